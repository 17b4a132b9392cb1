"""The process's one driver thread: takes actions from the engine, in batches, and has each channel do its own.

The thread waits detached from the interpreter; no thread of the engine ever enters it.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import weakref
from typing import Protocol

from evener import _native

_LOG = logging.getLogger("evener")
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}
_JOIN_SECONDS = 5.0

Event = tuple[int, int, int, int, str, int]


class Actor(Protocol):
    """What carries out one channel's actions."""

    def act(self, kind: int, endpoint: int, state: int, text: str) -> None: ...

    def close(self) -> None: ...


class Registry:
    """Channels by the token that the engine's events carry. Thread-safe."""

    def __init__(self) -> None:
        self._actors: weakref.WeakValueDictionary[int, Actor] = weakref.WeakValueDictionary()

    def add(self, token: int, actor: Actor) -> None:
        self._actors[token] = actor

    def remove(self, token: int) -> None:
        self._actors.pop(token, None)

    def actors(self) -> list[Actor]:
        return list(self._actors.values())

    def dispatch(self, events: list[Event]) -> None:
        """Has each event's channel act; an error in one is logged and does not stop the others."""
        for token, kind, endpoint, state, text, _ in events:
            if kind == _native.LOG:
                _LOG.log(_LEVELS.get(state, logging.INFO), "%s", text)
                continue
            actor = self._actors.get(token)
            if actor is None:
                continue
            try:
                actor.act(kind, endpoint, state, text)
            except Exception:
                _LOG.exception("an action of the channel could not be carried out")


class Process:
    """The driver thread and its channels; one per process, made with the first channel."""

    def __init__(self) -> None:
        self.native = _native.Driver()
        self.registry = Registry()
        self._thread = threading.Thread(target=_drive, args=(self.native, self.registry), name="evener-driver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends waiting calls and the thread: a thread must not come back from the engine into an interpreter that is gone."""
        try:
            for actor in self.registry.actors():
                actor.close()
        finally:
            self.native.shutdown()
            self._thread.join(_JOIN_SECONDS)


def _drive(native: _native.Driver, registry: Registry) -> None:
    while (events := native.next()) is not None:
        registry.dispatch(events)


tokens = itertools.count(1)
"""Numbers of channels; never reused."""

_lock = threading.RLock()
_process: Process | None = None
# What a parent had is kept for ever in the child: its locks may be held by threads that do not exist here.
_inherited: list[Process | None] = []


def process() -> Process:
    """This process's driver, started if need be."""
    global _process
    with _lock:
        if _process is None:
            _process = Process()
        return _process


def _after_fork() -> None:
    global _lock, _process
    _inherited.append(_process)
    _lock = threading.RLock()
    _process = None


def _at_exit() -> None:
    if _process is not None:
        _process.stop()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
