"""Calls that were made before there was an endpoint for them: returned at once, started when there is one.

Blocking calls do not come here, they wait in their own thread. One room serves the process: a single thread, started with the first
call that has to wait, gives waiting calls to endpoints when the engine says so, and ends those whose deadline has passed.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import grpc

from evener.grpc import _bases, _ended
from evener.grpc._driver import complain

# `Attempt.start`: there is no endpoint, and nobody will say when to look again.
SOON = object()
_SOON_SECONDS = 0.005
# In the place of a call's number: the channel's calls are to be looked at again.
_LOOK_AGAIN = -1


class Attempt(Protocol):
    """A call that can be started once there is an endpoint."""

    deadline: float | None

    def start(self) -> Any | None:
        """The call, running or already ended; None while there is no endpoint for it, until the engine says so; or `SOON`."""


class LateCall(grpc.RpcError, grpc.Call, _bases.Future):
    """A future or stream that is waiting for an endpoint, and then the call it has become. Thread-safe.

    What asks about the call's end, its metadata or its messages waits; `cancel`, `done` and callbacks do not.
    """

    def __init__(self, deadline: float | None) -> None:
        super().__init__()
        self._deadline = deadline
        self._condition = threading.Condition(threading.RLock())
        self._call: Any = None
        self._when_bound: list[Callable[[Any], None]] = []
        self._keep: _Waiting | None = None

    def bind(self, call: Any) -> bool:
        """Becomes `call`, and says whether it has; one that comes after the end (cancelled meanwhile) is cancelled."""
        with self._condition:
            late = self._call is not None
            if not late:
                self._call = call
            callbacks, self._when_bound = self._when_bound, []
            self._condition.notify_all()
        if late:
            call.cancel()
        for callback in callbacks:
            callback(call)
        return not late

    def _bound(self, timeout: float | None = None) -> Any:
        with self._condition:
            if not self._condition.wait_for(lambda: self._call is not None, timeout):
                raise grpc.FutureTimeoutError
            return self._call

    def _then(self, callback: Callable[[Any], None]) -> None:
        """Calls back with the bound call, at once if there is one. A call with callbacks stays alive, as grpcio's do."""
        with self._condition:
            if self._call is None:
                self._when_bound.append(callback)
                if self._keep is not None:
                    self._keep.strong = self
                return
        callback(self._call)

    def is_active(self) -> bool:
        return self._call is None or bool(self._call.is_active())

    def time_remaining(self) -> float | None:  # type: ignore[override]  # grpcio returns None as well
        if self._deadline is None:
            return None
        return max(self._deadline - time.monotonic(), 0.0)

    def cancel(self) -> bool:
        if not self.bind(_ended.locally_cancelled()):
            return bool(self._call.cancel())
        if self._keep is not None:
            room().drop(self._keep.token, self._keep.number)
        return True

    def add_callback(self, callback: Callable[[], None]) -> bool:
        with self._condition:
            if self._call is not None:
                return bool(self._call.add_callback(callback))

            def pass_on(call: Any) -> None:
                if not call.add_callback(callback):
                    _guarded(callback)

            self._then(pass_on)
            return True

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        self._then(lambda call: call.add_done_callback(lambda _: _guarded(fn, self)))

    def initial_metadata(self) -> Any:
        return self._bound().initial_metadata()

    def trailing_metadata(self) -> Any:
        return self._bound().trailing_metadata()

    def code(self) -> Any:
        return self._bound().code()

    def details(self) -> Any:
        return self._bound().details()

    def debug_error_string(self) -> Any:
        return self._bound().debug_error_string()

    def cancelled(self) -> bool:
        return self._call is not None and bool(self._call.cancelled())

    def running(self) -> bool:
        return self._call is None or bool(self._call.running())

    def done(self) -> bool:
        return self._call is not None and bool(self._call.done())

    def result(self, timeout: float | None = None) -> Any:
        started = time.monotonic()
        return self._bound(timeout).result(_left(timeout, started))

    def exception(self, timeout: float | None = None) -> Any:
        started = time.monotonic()
        return self._bound(timeout).exception(_left(timeout, started))

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        started = time.monotonic()
        trace: TracebackType | None = self._bound(timeout).traceback(_left(timeout, started))
        return trace

    def __iter__(self) -> LateCall:
        return self

    def __next__(self) -> Any:
        return next(self._bound())

    def __str__(self) -> str:
        return f"<{type(self).__name__} waiting for an endpoint>" if self._call is None else str(self._call)

    __repr__ = __str__


def _left(timeout: float | None, started: float) -> float | None:
    return None if timeout is None else max(timeout - (time.monotonic() - started), 0.0)


def _guarded(callback: Callable[..., None], *arguments: Any) -> None:
    try:
        callback(*arguments)
    except BaseException:  # SystemExit, too: the thread serves the calls of all channels
        complain("a callback of a call raised")


class _Waiting:
    """One waiting call. It is held weakly: a call that the application drops is over."""

    __slots__ = ("attempt", "call", "number", "strong", "token")

    def __init__(self, token: int, number: int, call: weakref.ref[LateCall], attempt: Attempt) -> None:
        self.token = token
        self.number = number
        self.call = call
        self.attempt = attempt
        self.strong: LateCall | None = None


class Room:
    """Where the process's late calls wait. Thread-safe."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.RLock())
        self._waiting: dict[int, dict[int, _Waiting]] = {}
        self._deadlines: list[tuple[float, int, int]] = []
        # Channels that `_deadlines` has a `_LOOK_AGAIN` of.
        self._again: set[int] = set()
        self._kicked: set[int] = set()
        self._dropped: list[tuple[int, int]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def admit(self, token: int, attempt: Attempt) -> LateCall:
        """A call of channel `token` that starts when `attempt` can."""
        call = LateCall(attempt.deadline)
        number = next(self._numbers)
        reference = weakref.ref(call, lambda _: self.drop(token, number))
        waiting = call._keep = _Waiting(token, number, reference, attempt)
        with self._condition:
            self._waiting.setdefault(token, {})[waiting.number] = waiting
            if attempt.deadline is not None:
                heapq.heappush(self._deadlines, (attempt.deadline, token, waiting.number))
            # An endpoint may have become ready since the caller looked: look once more, now that the call can be found.
            self._kick(token)
        return call

    def kick(self, token: int) -> None:
        """Channel `token` has a new answer for its waiting calls."""
        with self._condition:
            if token in self._waiting:
                self._kick(token)

    def end(self, token: int) -> None:
        """The channel is closed: its waiting calls are over."""
        with self._condition:
            ended = self._waiting.pop(token, {})
        for waiting in ended.values():
            _bind(waiting, _ended.channel_closed())

    def _kick(self, token: int) -> None:
        self._kicked.add(token)
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="evener-waiting", daemon=True)
            thread.start()
            self._thread = thread
        self._condition.notify()

    def drop(self, token: int, number: int) -> None:
        """The application let go of a waiting call, or cancelled it; what it would have used is let go by the room's thread."""
        with self._condition:
            self._dropped.append((token, number))
            self._condition.notify()

    def _run(self) -> None:
        while True:
            ready, overdue = self._next()
            for waiting in overdue:
                _guarded(_bind, waiting, _ended.deadline_exceeded())
            for waiting in ready:
                _guarded(self._try, waiting)
            # Kept until the next turn they would keep their channels.
            waiting = ready = overdue = None  # type: ignore[assignment]

    def _try(self, waiting: _Waiting) -> None:
        """Starts a waiting call if it can be."""
        call = waiting.call()
        if call is not None and call._call is None:
            started = _started(waiting.attempt)
            if started is None:
                return
            if started is SOON:
                return self._look_again(waiting.token)
            _bind(waiting, started)
        self._take(waiting.token, waiting.number)

    def _look_again(self, token: int) -> None:
        with self._condition:
            if token not in self._again:
                self._again.add(token)
                heapq.heappush(self._deadlines, (time.monotonic() + _SOON_SECONDS, token, _LOOK_AGAIN))

    def _next(self) -> tuple[list[_Waiting], list[_Waiting]]:
        """Waits for a kick or a deadline; what to try again, oldest first, and what is over."""
        with self._condition:
            while not self._kicked and not self._dropped and not self._is_due():
                self._condition.wait(self._until_due())
            dropped, self._dropped = self._dropped, []
            overdue = self._take_overdue() + self._take_all(dropped)
            tokens, self._kicked = self._kicked, set()
            ready = [each for token in tokens for each in list(self._waiting.get(token, {}).values())]
            return ready, overdue

    def _until_due(self) -> float | None:
        return max(self._deadlines[0][0] - time.monotonic(), 0.0) if self._deadlines else None

    def _is_due(self) -> bool:
        return bool(self._deadlines) and self._deadlines[0][0] <= time.monotonic()

    def _take_overdue(self) -> list[_Waiting]:
        overdue = []
        while self._is_due():
            _, token, number = heapq.heappop(self._deadlines)
            if number == _LOOK_AGAIN:
                self._again.discard(token)
                self._kicked.add(token)
            else:
                overdue.append((token, number))
        return self._take_all(overdue)

    def _take_all(self, numbers: list[tuple[int, int]]) -> list[_Waiting]:
        taken = (self._take(token, number) for token, number in numbers)
        return [waiting for waiting in taken if waiting is not None]

    def _take(self, token: int, number: int) -> _Waiting | None:
        with self._condition:
            calls = self._waiting.get(token, {})
            waiting = calls.pop(number, None)
            if not calls:
                self._waiting.pop(token, None)
            return waiting


def _started(attempt: Attempt) -> Any | None:
    """What `attempt` answers; one that raises has ended."""
    try:
        return attempt.start()
    except BaseException as error:
        return _ended.of(error)


def _bind(waiting: _Waiting, started: Any) -> None:
    call = waiting.call()
    waiting.strong = None
    if call is not None:
        call.bind(started)


_lock = threading.RLock()
_room: Room | None = None
_inherited: list[Room | None] = []


def room() -> Room:
    """This process's room."""
    global _room
    with _lock:
        if _room is None:
            _room = Room()
        return _room


def _after_fork() -> None:
    global _lock, _room
    _inherited.append(_room)
    _lock = threading.RLock()
    _room = None


os.register_at_fork(after_in_child=_after_fork)
