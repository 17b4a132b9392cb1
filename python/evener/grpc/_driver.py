"""The process's one driver thread: takes actions from the engine, in batches, and has each channel do its own.

The thread waits detached from the interpreter; no thread of the engine ever enters it.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import traceback
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
        interrupted: BaseException | None = None
        for event in events:
            try:
                self._obey(event)
            except Exception:
                complain("an action of the channel could not be carried out")
            except BaseException as error:  # Ctrl-C on an event loop; what is left of the batch would be lost
                interrupted = error
        if interrupted is not None:
            raise interrupted

    def _obey(self, event: Event) -> None:
        token, kind, endpoint, state, text, _ = event
        if kind == _native.LOG:
            _LOG.log(_LEVELS.get(state, logging.INFO), "%s", text)
        elif (actor := self._actors.get(token)) is not None:
            actor.act(kind, endpoint, state, text)


def complain(text: str) -> None:
    """Logs the exception that is being handled. A filter or handler of the application's may be what raised it, and raise again."""
    try:
        _LOG.exception(text)
    except BaseException:
        if logging.raiseExceptions:
            traceback.print_exc()


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
                _close(actor)
        finally:
            self.native.shutdown()
            self._thread.join(_JOIN_SECONDS)


def _close(actor: Actor) -> None:
    try:
        actor.close()
    except Exception:
        complain("a channel could not be closed")


def _drive(native: _native.Driver, registry: Registry) -> None:
    while (events := native.next()) is not None:
        try:
            registry.dispatch(events)
        except BaseException:  # SystemExit, too: this thread serves all channels
            complain("an action of the channel could not be carried out")


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
