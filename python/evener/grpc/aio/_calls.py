"""The four asyncio multicallables: each call is sent on the endpoint that the engine picks, and its end is reported once."""

from __future__ import annotations

import asyncio
import itertools
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import grpc
import grpc.aio

from evener._native import Failure, Ticket
from evener.grpc import _bases, _states
from evener.grpc._endpoints import Kind
from evener.grpc._timeouts import shortest
from evener.grpc.aio import _deferred
from evener.grpc.aio._deferred import EndedCall
from evener.grpc.aio._transport import Transport

_numbers = itertools.count()
# How often another endpoint is asked for at once when the picked one has just lost its connection.
_GLANCES = 8


class Owner(Protocol):
    """The channel, which lives as long as somebody can make calls on it."""

    def _attached(self) -> Transport: ...


class _Method:
    """What the four have in common."""

    _deferred: type[Any]
    _is_stream: bool

    def __init__(self, channel: Owner, kind: Kind) -> None:
        self._channel = channel
        self._kind = kind
        self._unserialized: _Method | None = None

    def begin(self, request: Any, timeout: float | None, wait_for_ready: bool | None, arguments: dict[str, Any]) -> Any:
        """The call: running, ended, or waiting for an endpoint."""
        transport = self._channel._attached()
        timeout = shortest(timeout, transport.native.method_config(self._kind.path)[0])
        picked = self.pick(transport, wait_for_ready)
        if picked is None or isinstance(picked, int):
            return self._defer(transport, request, timeout, wait_for_ready, arguments)
        call = self._launch(transport, picked, request, timeout, wait_for_ready, arguments)
        if self._is_stream or isinstance(call, EndedCall):
            return self._wrapped(transport, call)
        return call

    def pick(self, transport: Transport, wait_for_ready: bool | None) -> tuple[Ticket, Any] | Failure | int | None:
        """An endpoint's ticket and inner multicallable; why there is none; the epoch to wait for; or None, to ask again in a
        moment."""
        for _ in range(_GLANCES):
            started = transport.native.start_call(self._kind.path, wait_for_ready)
            if type(started) is not Ticket:
                return started
            endpoint = transport.endpoint(started.endpoint)
            if endpoint is not None and endpoint.is_ready():
                return started, endpoint.multicallable(self, self._kind)
            # Lost or let go, which the engine has not heard or published yet.
            started.finish(_states.CANCELLED_NUMBER, True)
        return None

    def _wrapped(self, transport: Transport, call: Any) -> Any:
        wrapped = self._deferred(transport.loop)
        wrapped.bind(call)
        return wrapped

    def _launch(
        self,
        transport: Transport,
        picked: tuple[Ticket, Any] | Failure,
        request: Any,
        timeout: float | None,
        wait_for_ready: bool | None,
        arguments: dict[str, Any],
    ) -> Any:
        if isinstance(picked, Failure):
            return EndedCall(_states.status(picked.code), picked.message)
        ticket, inner = picked
        # It stays where it is put. Should the connection be lost at this very moment, one that is to wait waits there.
        wait_for_ready = transport.native.method_config(self._kind.path)[1] if wait_for_ready is None else wait_for_ready
        try:
            call = inner(request, timeout=timeout, wait_for_ready=wait_for_ready, **arguments)
        except BaseException:
            ticket.finish(_states.CANCELLED_NUMBER, True)
            raise
        call.add_done_callback(lambda ended: _report(ticket, ended))
        return call

    def _defer(
        self,
        transport: Transport,
        request: Any,
        timeout: float | None,
        wait_for_ready: bool | None,
        arguments: dict[str, Any],
    ) -> Any:
        method, request = self._prepared(request)
        deadline = None if timeout is None else time.monotonic() + timeout
        call = self._deferred(transport.loop, deadline)
        # As with grpcio, a unary call goes on when nobody holds it, and a stream ends.
        number = next(_numbers)
        held: Callable[[], Any] = weakref.ref(call, lambda _: transport.forget(number)) if self._is_stream else lambda: call

        def start() -> bool:
            waiting = held()
            if waiting is None or waiting._call is not None:
                return True
            if transport.is_closed:
                waiting.bind(EndedCall(grpc.StatusCode.CANCELLED, "Channel is closed."))
                return True
            return method._start(transport, waiting, request, wait_for_ready, arguments)

        def expire() -> None:
            waiting = held()
            if waiting is not None:
                waiting.bind(EndedCall(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded: no endpoint became ready in time"))

        call.when_bound(lambda: transport.forget(number))
        transport.wait(number, start, timeout, expire)
        return call

    def _start(self, transport: Transport, call: Any, request: Any, wait_for_ready: bool | None, arguments: dict[str, Any]) -> bool:
        """Starts a waiting call if there is an endpoint for it; whether it is done with waiting."""
        picked = self.pick(transport, wait_for_ready)
        if picked is None:
            transport.look_again_soon()
            return False
        if isinstance(picked, int):
            return False
        try:
            started = self._launch(transport, picked, request, call.time_remaining(), wait_for_ready, arguments)
        except Exception as error:
            started = EndedCall(grpc.StatusCode.INTERNAL, f"the call could not be started: {error}")
        call.bind(started)
        return True

    def _prepared(self, request: Any) -> tuple[_Method, Any]:
        """A request as it is now: the application may change the object while the call waits."""
        if self._kind.serializer is None or self._kind.name.startswith("stream"):
            return self, request
        if self._unserialized is None:
            self._unserialized = type(self)(self._channel, self._kind._replace(serializer=None))
        return self._unserialized, self._kind.serializer(request)


def _report(ticket: Ticket, call: Any) -> None:
    """Reports a finished call. Its `code` is a coroutine, which has nothing to wait for any more: one step ends it."""
    coroutine = call.code()
    try:
        coroutine.send(None)
    except StopIteration as stop:
        ticket.finish(_states.code_number(stop.value))
    except asyncio.CancelledError:
        ticket.finish(_states.CANCELLED_NUMBER)
    except Exception:
        ticket.finish(_states.UNKNOWN_NUMBER)
    else:
        coroutine.close()
        ticket.finish(_states.UNKNOWN_NUMBER)


class _UnaryRequest(_Method):
    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        arguments = {"metadata": metadata, "credentials": credentials, "compression": compression}
        return self.begin(request, timeout, wait_for_ready, arguments)


class _StreamRequest(_Method):
    def __call__(
        self,
        request_iterator: Any = None,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        arguments = {"metadata": metadata, "credentials": credentials, "compression": compression}
        return self.begin(request_iterator, timeout, wait_for_ready, arguments)


class UnaryUnary(_UnaryRequest, _bases.AioUnaryUnary):
    """One request, one response."""

    _deferred = _deferred.UnaryUnaryCall
    _is_stream = False


class UnaryStream(_UnaryRequest, _bases.AioUnaryStream):
    """One request, a stream of responses."""

    _deferred = _deferred.UnaryStreamCall
    _is_stream = True


class StreamUnary(_StreamRequest, _bases.AioStreamUnary):
    """A stream of requests, one response."""

    _deferred = _deferred.StreamUnaryCall
    _is_stream = False


class StreamStream(_StreamRequest, _bases.AioStreamStream):
    """A stream of requests, a stream of responses."""

    _deferred = _deferred.StreamStreamCall
    _is_stream = True
