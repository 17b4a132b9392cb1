"""Asks one server for its health over its own connection, on its channel's loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from evener.grpc._health import WATCH, Health, Verdict, backoff, encode_request, ended, judged

_ours: contextvars.ContextVar[bool] = contextvars.ContextVar("evener_health", default=False)


class HealthWatch:
    """The stream to one server. Used on its loop only."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        service: str,
        initial: Health,
        changed: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`changed` is called whenever `verdict` has become another; `initial` holds until the first answer."""
        self.service = service
        self.verdict = Verdict(initial)
        self._channel = channel
        self._changed = changed
        self._task = loop.create_task(self._run())

    def end(self) -> None:
        """Nothing is asked or told any more."""
        self._task.cancel()

    async def _run(self) -> None:
        _ours.set(True)
        failures = 0
        while True:
            watch: Any = self._channel.unary_stream(WATCH)
            call = watch(encode_request(self.service))
            try:
                async for message in call:
                    failures = 0
                    self._become(judged(self.service, message))
            except grpc.RpcError:
                pass
            verdict = ended(await call.code(), await call.details())
            self._become(verdict)
            if verdict.health is Health.SERVING:
                return
            await asyncio.sleep(backoff(failures))
            failures += 1

    def _become(self, verdict: Verdict) -> None:
        is_news = verdict.health is not self.verdict.health
        self.verdict = verdict
        if is_news:
            self._changed()


class _Unseen(grpc.aio.UnaryStreamClientInterceptor):
    """An interceptor of the application's that is not shown evener's own streams."""

    def __init__(self, interceptor: grpc.aio.UnaryStreamClientInterceptor) -> None:
        self._interceptor = interceptor

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        if _ours.get():
            return await continuation(client_call_details, request)
        return await self._interceptor.intercept_unary_stream(continuation, client_call_details, request)


def not_for_ours(interceptors: Sequence[grpc.aio.ClientInterceptor] | None) -> Sequence[grpc.aio.ClientInterceptor] | None:
    """The same interceptors, but for health streams, which the application has not begun."""
    return None if interceptors is None else [_wrapped(each) for each in interceptors]


def _wrapped(interceptor: grpc.aio.ClientInterceptor) -> grpc.aio.ClientInterceptor:
    # grpcio takes one that is of two kinds for the first of them.
    is_unary = isinstance(interceptor, grpc.aio.UnaryUnaryClientInterceptor)
    if isinstance(interceptor, grpc.aio.UnaryStreamClientInterceptor) and not is_unary:
        return _Unseen(interceptor)
    return interceptor
