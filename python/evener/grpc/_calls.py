"""The four multicallables of a channel: each call is sent on the endpoint that the engine picks, and its end is reported once."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import grpc

from evener._native import Failure, Ticket
from evener.grpc import _bases, _ended, _late, _states
from evener.grpc._endpoints import Kind
from evener.grpc._timeouts import shortest
from evener.grpc._transport import InnerEndpoint, Transport

# A call that its inner channel could not send has not been seen by anyone, so it may go elsewhere, as gRPC does when the picked
# subchannel has just lost its connection: so often at most.
_ELSEWHERE = 3
# How often another endpoint is asked for at once when the picked one has just lost its connection, and after how long again:
# the engine is being told.
_GLANCES = 8
_MOMENT_SECONDS = 0.005


class Picked(NamedTuple):
    """Where a call goes."""

    ticket: Ticket
    endpoint: InnerEndpoint
    inner: Any
    """The endpoint's multicallable."""


class Owner(Protocol):
    """The channel, which lives as long as somebody can make calls on it."""

    @property
    def _transport(self) -> Transport: ...


class _Method:
    """What the four have in common. Thread-safe."""

    def __init__(self, channel: Owner, kind: Kind) -> None:
        self._channel = channel
        self._transport = channel._transport
        self._native = channel._transport.native
        self._kind = kind
        self._unserialized: _Method | None = None

    def timeout(self, timeout: float | None) -> float | None:
        """The call's own time or the method's, whichever is less. Seconds."""
        return shortest(timeout, self._native.method_config(self._kind.path)[0])

    def patience(self, wait_for_ready: bool | None) -> bool | None:
        """Whether a call waits while every server fails: as it says itself, or its method."""
        return self._native.method_config(self._kind.path)[1] if wait_for_ready is None else wait_for_ready

    def pick(self, wait_for_ready: bool | None) -> Picked | Failure | int | None:
        """Where the call goes; why nowhere; the epoch to wait for; or None, to ask again in a moment."""
        for _ in range(_GLANCES):
            if self._transport.is_closed:
                raise ValueError("Cannot invoke RPC on closed channel!")
            started = self._native.start_call(self._kind.path, wait_for_ready)
            if type(started) is not Ticket:
                return started
            endpoint = self._transport.endpoint(started.endpoint)
            if endpoint is not None and endpoint.is_ready():
                return Picked(started, endpoint, endpoint.multicallable(self, self._kind))
            # Lost or let go, which the engine has not heard or published yet.
            started.finish(_states.CANCELLED_NUMBER, True)
        return None

    def wait(self, deadline: float | None, wait_for_ready: bool | None) -> Picked:
        """Blocks until there is an endpoint; raises what the call ends with if there will be none."""
        picked = self.pick(wait_for_ready)
        while picked is None or isinstance(picked, int):
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise _ended.deadline_exceeded()
            if picked is None:
                time.sleep(_MOMENT_SECONDS if remaining is None else min(remaining, _MOMENT_SECONDS))
            else:
                self._native.wait(picked, remaining)
            picked = self._pick_again(wait_for_ready)
        if isinstance(picked, Failure):
            raise _failed(picked)
        return picked

    def _pick_again(self, wait_for_ready: bool | None) -> Picked | Failure | int | None:
        """Picks for a call that has waited: a channel that was closed meanwhile ends it like any other of its calls."""
        try:
            return self.pick(wait_for_ready)
        except ValueError:
            raise _ended.channel_closed() from None

    def begin(self, invoke: str, request: Any, timeout: float | None, wait_for_ready: bool | None, arguments: dict[str, Any]) -> Any:
        """Starts a future or a stream without blocking: now, or when there is an endpoint."""
        timeout = self.timeout(timeout)
        picked = self.pick(wait_for_ready)
        if isinstance(picked, Failure):
            return _failed(picked)
        # A future or stream stays where it is put. Should the connection be lost at this very moment, one that is to wait waits there.
        arguments["wait_for_ready"] = self.patience(wait_for_ready)
        if isinstance(picked, Picked):
            return _launch(picked, invoke, request, timeout, arguments)
        deadline = None if timeout is None else time.monotonic() + timeout
        attempt = _Attempt(*self._prepared(request), invoke, deadline, wait_for_ready, arguments)
        return _late.room().admit(self._transport.token, attempt)

    def _prepared(self, request: Any) -> tuple[_Method, Any]:
        """A request as it is now: the application may change the object while the call waits."""
        if self._kind.serializer is None or self._kind.name.startswith("stream"):
            return self, request
        try:
            payload = self._kind.serializer(request)
        except Exception as error:
            raise _ended.EndedCall(grpc.StatusCode.INTERNAL, "Exception serializing request!") from error
        if self._unserialized is None:
            self._unserialized = type(self)(self._channel, self._kind._replace(serializer=None))
        return self._unserialized, payload


class _Attempt:
    """A future or stream that is waiting to be started. Knows nothing of the object that the application holds."""

    def __init__(
        self,
        method: _Method,
        request: Any,
        invoke: str,
        deadline: float | None,
        wait_for_ready: bool | None,
        arguments: dict[str, Any],
    ) -> None:
        self.deadline = deadline
        self._method = method
        self._request = request
        self._invoke = invoke
        self._wait_for_ready = wait_for_ready
        self._arguments = arguments

    def start(self) -> Any | None:
        picked = self._method._pick_again(self._wait_for_ready)
        if picked is None:
            return _late.SOON
        if isinstance(picked, int):
            return None
        if isinstance(picked, Failure):
            return _failed(picked)
        remaining = None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)
        return _launch(picked, self._invoke, self._request, remaining, self._arguments)


def _launch(picked: Picked, invoke: str, request: Any, timeout: float | None, arguments: dict[str, Any]) -> Any:
    ticket, _, inner = picked
    try:
        call = getattr(inner, invoke)(request, timeout=timeout, **arguments)
    except grpc.RpcError as error:
        ticket.finish(_code_of(error))
        raise
    except BaseException:
        ticket.finish(_states.CANCELLED_NUMBER, True)
        raise
    _report_end(ticket, call)
    return call


def _report_end(ticket: Ticket, call: Any) -> None:
    """Reports when the call ends. It is held weakly: a callback that held it would keep an abandoned stream open for ever."""
    reference = weakref.ref(call)

    def ended() -> None:
        call = reference()
        if call is None:
            ticket.finish(_states.CANCELLED_NUMBER, True)
        else:
            ticket.finish(_states.code_number(call.code()))

    if not call.add_callback(ended):
        ended()


def _failed(failure: Failure) -> _ended.EndedCall:
    return _ended.EndedCall(_states.status(failure.code), failure.message)


def _code_of(error: grpc.RpcError) -> int:
    code: Callable[[], grpc.StatusCode] | None = getattr(error, "code", None)
    return _states.UNKNOWN_NUMBER if code is None else _states.code_number(code())


class _UnaryResponse(_Method):
    """Calls with one response: blocking, with their call, or as a future."""

    # Requests that can be sent a second time when the first was never sent.
    _repeatable = False

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        return self.with_call(request, timeout, metadata, credentials, wait_for_ready, compression)[0]

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> tuple[Any, Any]:
        timeout = self.timeout(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        arguments = {"metadata": metadata, "credentials": credentials, "compression": compression}
        if self._repeatable and metadata is not None:
            # An iterator would be used up by the first attempt.
            arguments["metadata"] = tuple(metadata)
        attempts = _ELSEWHERE if self._repeatable else 0
        while True:
            ticket, endpoint, inner = self.wait(deadline, wait_for_ready)
            remaining = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not attempts:
                # It stays there, and waits there if it is to wait.
                arguments["wait_for_ready"] = self.patience(wait_for_ready)
            try:
                answer: tuple[Any, Any] = inner.with_call(request, timeout=remaining, **arguments)
            except grpc.RpcError as error:
                ticket.finish(_code_of(error))
                if not (attempts and endpoint.has_never_sent(error)):
                    raise
            except BaseException:
                ticket.finish(_states.CANCELLED_NUMBER, True)
                raise
            else:
                ticket.finish(0)
                return answer
            attempts -= 1

    def future(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        arguments = {"metadata": metadata, "credentials": credentials, "compression": compression}
        return self.begin("future", request, timeout, wait_for_ready, arguments)


class _StreamResponse(_Method):
    """Calls with a stream of responses."""

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> Any:
        arguments = {"metadata": metadata, "credentials": credentials, "compression": compression}
        return self.begin("__call__", request, timeout, wait_for_ready, arguments)


class UnaryUnary(_UnaryResponse, _bases.UnaryUnary):
    """One request, one response."""

    _repeatable = True


class StreamUnary(_UnaryResponse, _bases.StreamUnary):
    """A stream of requests, one response. The stream is read once, so the call stays where it was sent."""


class UnaryStream(_StreamResponse, _bases.UnaryStream):
    """One request, a stream of responses."""


class StreamStream(_StreamResponse, _bases.StreamStream):
    """A stream of requests, a stream of responses."""
