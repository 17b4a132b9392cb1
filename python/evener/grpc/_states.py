"""gRPC's numbers for connectivity states and status codes, both ways."""

from __future__ import annotations

import grpc

READY = grpc.ChannelConnectivity.READY
TRANSIENT_FAILURE = grpc.ChannelConnectivity.TRANSIENT_FAILURE
IDLE = grpc.ChannelConnectivity.IDLE
SHUTDOWN = grpc.ChannelConnectivity.SHUTDOWN

_CONNECTIVITY = {state.value[0]: state for state in grpc.ChannelConnectivity}
_STATUS = {code.value[0]: code for code in grpc.StatusCode}

CANCELLED_NUMBER = 1
UNKNOWN_NUMBER = 2


def connectivity(number: int) -> grpc.ChannelConnectivity:
    """The state called `number` by the engine, whose numbers are gRPC's."""
    return _CONNECTIVITY[number]


def number_of(state: grpc.ChannelConnectivity) -> int:
    """The engine's number of a state."""
    number: int = state.value[0]
    return number


def status(number: int) -> grpc.StatusCode:
    """The status called `number`; UNKNOWN for what gRPC has no name for."""
    return _STATUS.get(number, grpc.StatusCode.UNKNOWN)


def code_number(code: grpc.StatusCode | None) -> int:
    """The number of a finished call's status; UNKNOWN where gRPC gave none."""
    if code is None:
        return UNKNOWN_NUMBER
    number: int = code.value[0]
    return number
