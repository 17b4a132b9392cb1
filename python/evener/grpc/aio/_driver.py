"""One driver per event loop: its wake descriptor is read by the loop, its timers are the loop's. No thread."""

from __future__ import annotations

import asyncio
import os
import weakref

from evener import _native
from evener.grpc._driver import Registry


class LoopDriver:
    """The engine's events on one loop. Used by that loop's thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.native = _native.Driver()
        self.registry = Registry()
        self._loop = loop
        self._channels = 0
        self._timer: asyncio.TimerHandle | None = None

    def attach(self) -> None:
        """One more channel. The loop watches the descriptor only while there are any, so that it can be closed cleanly."""
        self._channels += 1
        if self._channels == 1:
            # Known from here on only: one whose first channel could not be made is nobody's and goes.
            _drivers[self._loop] = self
            self._loop.add_reader(self.native.wake_fd(), self.turn)
            self._loop.call_soon(self.turn)

    def detach(self) -> None:
        """One channel less; may come after the loop was closed."""
        self._channels -= 1
        if self._channels:
            return
        _drivers.pop(self._loop, None)
        if self._timer is not None:
            self._timer.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self.native.wake_fd())
        self.native.shutdown()

    def turn(self) -> None:
        """Carries out what has come up, and sets the timer for what comes up by itself."""
        if not self._channels:
            return
        while events := self.native.drain():
            self.registry.dispatch(events)
        if self._timer is not None:
            self._timer.cancel()
        delay = self.native.next_timeout()
        self._timer = None if delay is None else self._loop.call_later(delay, self.turn)


_drivers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopDriver] = weakref.WeakKeyDictionary()
_inherited: list[object] = []


def driver_of(loop: asyncio.AbstractEventLoop) -> LoopDriver:
    """The driver of `loop`, made if need be."""
    return _drivers.get(loop) or LoopDriver(loop)


def _after_fork() -> None:
    global _drivers
    _inherited.append(list(_drivers.values()))
    _inherited.append(_drivers)
    _drivers = weakref.WeakKeyDictionary()


os.register_at_fork(after_in_child=_after_fork)
