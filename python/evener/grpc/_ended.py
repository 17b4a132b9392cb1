"""A call that ended before any server saw it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

import grpc

from evener.grpc import _bases


class EndedCall(grpc.RpcError, grpc.Call, _bases.Future):
    """The error, the call and the future of a call that never left the client. Immutable, hence thread-safe.

    It is what grpcio's own calls are when they fail: raised, or returned by ``future()`` and stream calls.

    >>> import grpc
    >>> from evener.grpc._ended import EndedCall
    >>> error = EndedCall(grpc.StatusCode.UNAVAILABLE, "no endpoints")
    >>> error.code().name, error.details(), error.done()
    ('UNAVAILABLE', 'no endpoints', True)
    """

    def __init__(self, code: grpc.StatusCode, details: str, *, cancelled: bool = False) -> None:
        super().__init__(code, details)
        self._code = code
        self._details = details
        self._cancelled = cancelled

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def debug_error_string(self) -> str:
        return f"evener: {self._details}"

    def initial_metadata(self) -> tuple[()]:
        return ()

    def trailing_metadata(self) -> tuple[()]:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> None:  # type: ignore[override]  # grpcio returns None as well
        return None

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return False

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return self._cancelled

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> NoReturn:
        if self._cancelled:
            raise grpc.FutureCancelledError
        raise self

    def exception(self, timeout: float | None = None) -> EndedCall:
        if self._cancelled:
            raise grpc.FutureCancelledError
        return self

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        try:
            self.result()
        except EndedCall:
            return sys.exc_info()[2]

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        fn(self)

    def __iter__(self) -> EndedCall:
        return self

    def __next__(self) -> NoReturn:
        raise self

    def __str__(self) -> str:
        return f'<{type(self).__name__} of RPC that terminated with:\n\tstatus = {self._code}\n\tdetails = "{self._details}"\n>'

    __repr__ = __str__


def deadline_exceeded() -> EndedCall:
    """The end of a call whose time ran out while it waited for a server."""
    return EndedCall(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded: no endpoint became ready in time")


def channel_closed() -> EndedCall:
    """The end of a call that was waiting when its channel was closed."""
    return EndedCall(grpc.StatusCode.CANCELLED, "Channel closed!")


def locally_cancelled() -> EndedCall:
    """The end of a call that was cancelled while it waited."""
    return EndedCall(grpc.StatusCode.CANCELLED, "Locally cancelled by application!", cancelled=True)


def of(error: BaseException) -> Any:
    """The end of a call that could not be started because of `error`: grpcio's own error, or INTERNAL."""
    if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
        return error
    return EndedCall(grpc.StatusCode.INTERNAL, f"the call could not be started: {error}")
