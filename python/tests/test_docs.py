"""Every public name has an example in its docstring, and every example runs, against a real server."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import evener
import evener.command
import evener.config
import evener.grpc
import evener.grpc._ended
import evener.grpc.aio
import pytest
from conftest import Server

import demo_pb2
import demo_pb2_grpc

_MODULES = [evener, evener.config, evener.command, evener.grpc, evener.grpc.aio]
# Exceptions and NamedTuple's own need no example; grpcio documents how the rest of its interface is used.
_EXEMPT = {"NoEndpoint", "ConfigError", "Channel.unary_unary", "Channel.unary_stream", "Channel.stream_unary", "Channel.stream_stream"}
_GRPCIO = {"Channel.unsubscribe", "Channel.close", "Channel.get_state", "Channel.wait_for_state_change"}


def _documented(module: ModuleType) -> Iterator[tuple[str, Any]]:
    yield module.__name__, module
    for name in module.__all__:
        thing = getattr(module, name)
        if not inspect.isclass(thing):
            if callable(thing):
                yield name, thing
            continue
        yield name, thing
        for member, value in vars(thing).items():
            if not member.startswith("_") and callable(value) and member not in getattr(thing, "_fields", ()):
                yield f"{name}.{member}", value


_THINGS = [pytest.param(name, thing, id=f"{module.__name__}:{name}") for module in _MODULES for name, thing in _documented(module)]
_THINGS.append(pytest.param("EndedCall", evener.grpc._ended.EndedCall, id="EndedCall"))


@pytest.mark.parametrize(("name", "thing"), _THINGS)
def test_example(name: str, thing: Any, start_server: Any) -> None:
    text = inspect.getdoc(thing) or ""
    assert text, f"{name} has no docstring"
    if name in _EXEMPT | _GRPCIO:
        return
    server: Server = start_server("s0")
    names = {"server": server.address, "demo_pb2": demo_pb2, "demo_pb2_grpc": demo_pb2_grpc}
    test = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    assert test.examples, f"{name} has no example"
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert result.failed == 0, "".join(report)
