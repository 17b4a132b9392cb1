"""Callbacks on a channel's connectivity, delivered one after the other by a thread that lives only as long as there is something to tell."""

from __future__ import annotations

import threading
from collections.abc import Callable

import grpc

from evener.grpc._driver import complain

StateCallback = Callable[[grpc.ChannelConnectivity], None]


class _Watcher:
    __slots__ = ("callback", "told")

    def __init__(self, callback: StateCallback) -> None:
        self.callback = callback
        self.told: grpc.ChannelConnectivity | None = None


class Watchers:
    """Who wants to know a channel's state. Thread-safe; a slow callback delays other callbacks of this channel and nothing else."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._watchers: list[_Watcher] = []
        self._state = grpc.ChannelConnectivity.IDLE
        self._delivering = False

    def add(self, callback: StateCallback, current: Callable[[], grpc.ChannelConnectivity]) -> None:
        """From now on `callback` is told: the current state first, then each change (states in between may be skipped)."""
        with self._lock:
            # Read in here: a change that was told meanwhile would be overwritten by what was before it.
            self._state = current()
            self._watchers.append(_Watcher(callback))
            self._deliver()

    def remove(self, callback: StateCallback) -> None:
        """Forgets one registration of `callback`; an unknown one is ignored, as grpcio does."""
        with self._lock:
            for position, watcher in enumerate(self._watchers):
                if watcher.callback == callback:
                    del self._watchers[position]
                    return

    def clear(self) -> None:
        """Forgets everybody."""
        with self._lock:
            self._watchers.clear()

    def changed(self, state: grpc.ChannelConnectivity) -> None:
        """The channel has this state now."""
        with self._lock:
            self._state = state
            self._deliver()

    def _deliver(self) -> None:
        if self._delivering or not self._watchers:
            return
        threading.Thread(target=self._run, name="evener-states", daemon=True).start()
        # It waits for the lock, held here. Where it could not be started, the next change tries again.
        self._delivering = True

    def _run(self) -> None:
        while (news := self._next()) is not None:
            callback, state = news
            try:
                callback(state)
            except BaseException:  # SystemExit, too: this thread serves the other callbacks
                complain("a connectivity callback raised")

    def _next(self) -> tuple[StateCallback, grpc.ChannelConnectivity] | None:
        with self._lock:
            for watcher in self._watchers:
                if watcher.told is not self._state:
                    watcher.told = self._state
                    return watcher.callback, self._state
            self._delivering = False
            return None
