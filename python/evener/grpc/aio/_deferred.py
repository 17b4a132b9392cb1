"""Calls as the application holds them: bound to an endpoint's real call at once, or when there is one.

A stream is always held this way, because the real call is kept alive by the callback that reports its end: when the application
drops the stream, the real one is cancelled here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Any, NoReturn

import grpc
import grpc.aio

from evener.grpc import _bases


class EndedCall:
    """A call that ended before any server saw it. Immutable.

    Waiting for it lets the loop go round once, as waiting for a real call does: otherwise nothing else would run beside an application
    that tries again at once.
    """

    def __init__(self, code: grpc.StatusCode, details: str, *, cancelled: bool = False) -> None:
        self._code = code
        self._details = details
        self._cancelled = cancelled

    def _raise(self) -> NoReturn:
        if self._cancelled:
            raise asyncio.CancelledError
        raise grpc.aio.AioRpcError(
            self._code, grpc.aio.Metadata(), grpc.aio.Metadata(), self._details, f"evener: {self._details}"
        )

    def __await__(self) -> Generator[Any, None, NoReturn]:
        yield
        self._raise()

    def __aiter__(self) -> EndedCall:
        return self

    async def __anext__(self) -> NoReturn:
        await self

    async def read(self) -> NoReturn:
        await self

    async def write(self, request: Any) -> NoReturn:
        await self

    async def done_writing(self) -> None:
        return None

    async def wait_for_connection(self) -> NoReturn:
        await self

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return self._cancelled

    def done(self) -> bool:
        return True

    def time_remaining(self) -> None:
        return None

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata()

    async def code(self) -> grpc.StatusCode:
        return self._code

    async def details(self) -> str:
        return self._details

    async def debug_error_string(self) -> str:
        return f"evener: {self._details}"


class _Deferred:
    """What all four have in common. Belongs to one event loop."""

    # Where any channel is closed, older versions of grpcio look at all tasks that are in a method of a call, for the call's channel:
    # calls of others are passed over, and one that has none at all would stop the closing with an error.
    _channel: Any = None

    def __init__(self, loop: asyncio.AbstractEventLoop, deadline: float | None = None) -> None:
        self._deadline = deadline
        self._call: Any = None
        self._bound: asyncio.Future[Any] = loop.create_future()

    def bind(self, call: Any) -> None:
        """Becomes `call`; one that comes after the end (cancelled meanwhile) is cancelled."""
        if self._call is not None:
            call.cancel()
            return
        self._call = call
        if not self._bound.done():
            self._bound.set_result(call)

    def when_bound(self, callback: Callable[[], None]) -> None:
        """Calls back once this has become a call, running or ended."""
        self._bound.add_done_callback(lambda _: callback())

    async def _ready(self) -> Any:
        """The bound call. Shielded: one who stops waiting does not stop the others."""
        return self._call if self._call is not None else await asyncio.shield(self._bound)

    async def _ready_or_cancel(self) -> Any:
        """The same, for what grpcio ends the call for when it is cancelled."""
        try:
            return await self._ready()
        except asyncio.CancelledError:
            self.cancel()
            raise

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        def attach(call: Any) -> None:
            call.add_done_callback(lambda _: callback(self))

        if self._call is not None:
            attach(self._call)
        else:
            self._bound.add_done_callback(lambda bound: None if bound.cancelled() else attach(bound.result()))

    def cancel(self) -> bool:
        if self._call is not None:
            return bool(self._call.cancel())
        self.bind(EndedCall(grpc.StatusCode.CANCELLED, "Locally cancelled by application!", cancelled=True))
        return True

    def cancelled(self) -> bool:
        return self._call is not None and bool(self._call.cancelled())

    def done(self) -> bool:
        return self._call is not None and bool(self._call.done())

    def time_remaining(self) -> float | None:
        if self._call is not None:
            remaining: float | None = self._call.time_remaining()
            return remaining
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    async def initial_metadata(self) -> Any:
        return await (await self._ready()).initial_metadata()

    async def trailing_metadata(self) -> Any:
        return await (await self._ready()).trailing_metadata()

    async def code(self) -> Any:
        return await (await self._ready()).code()

    async def details(self) -> Any:
        return await (await self._ready()).details()

    async def debug_error_string(self) -> Any:
        return await (await self._ready()).debug_error_string()

    async def wait_for_connection(self) -> None:
        await (await self._ready_or_cancel()).wait_for_connection()


class _OneResponse(_Deferred):
    def __await__(self) -> Generator[Any, None, Any]:
        call = yield from self._ready_or_cancel().__await__()
        return (yield from call.__await__())


class _Responses(_Deferred):
    _messages: Any = None

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        if self._messages is None:
            self._messages = (await self._ready_or_cancel()).__aiter__()
        return await self._messages.__anext__()

    async def read(self) -> Any:
        return await (await self._ready_or_cancel()).read()

    def __del__(self) -> None:
        # The application has dropped the stream.
        call = getattr(self, "_call", None)
        if call is not None and not call.done() and not self._bound.get_loop().is_closed():
            call.cancel()


class _Requests(_Deferred):
    async def write(self, request: Any) -> None:
        await (await self._ready_or_cancel()).write(request)

    async def done_writing(self) -> None:
        await (await self._ready_or_cancel()).done_writing()


class UnaryUnaryCall(_OneResponse, _bases.AioUnaryUnaryCall):
    """A unary call that had to wait for an endpoint."""


class StreamUnaryCall(_OneResponse, _Requests, _bases.AioStreamUnaryCall):
    """A client-streaming call that had to wait for an endpoint."""


class UnaryStreamCall(_Responses, _bases.AioUnaryStreamCall):
    """A server-streaming call."""


class StreamStreamCall(_Responses, _Requests, _bases.AioStreamStreamCall):
    """A bidirectional call."""
