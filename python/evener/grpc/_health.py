"""Asks one server for its health over its own connection, as gRFC A17 says: a stream of grpc.health.v1.Health/Watch.

Why not grpcio's own, inside the inner channel: there a call that was picked a moment before the server's word came fails with
"backend unhealthy"; here the connection stays usable, so that such a call reaches the server, which still answers it.
"""

from __future__ import annotations

import enum
import logging
import random
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc

_LOG = logging.getLogger("evener")

WATCH = "/grpc.health.v1.Health/Watch"

# gRPC's connection backoff: 1 s, times 1.6 each, at most 2 min, plus or minus a fifth.
_FIRST_SECONDS = 1.0
_FACTOR = 1.6
_LONGEST_SECONDS = 120.0
_JITTER = 0.2

_SERVING = 1


class Health(enum.Enum):
    """What a server says of itself; UNKNOWN until its first answer."""

    UNKNOWN = grpc.ChannelConnectivity.CONNECTING
    SERVING = grpc.ChannelConnectivity.READY
    NOT_SERVING = grpc.ChannelConnectivity.TRANSIENT_FAILURE


class Verdict(NamedTuple):
    """A server's health, and why it does not serve."""

    health: Health
    reason: str = ""


def encode_request(service: str) -> bytes:
    """HealthCheckRequest: field 1, a string.

    >>> from evener.grpc._health import encode_request
    >>> encode_request("user.UserService")[:2]
    b'\\n\\x10'
    """
    text = service.encode()
    return b"\x0a" + _varint(len(text)) + text


def decode_response(message: bytes) -> int | None:
    """HealthCheckResponse: field 1, a number, 0 unless given; 1 is SERVING. None: these bytes are no message.

    >>> from evener.grpc._health import decode_response
    >>> decode_response(b"\\x08\\x01"), decode_response(b""), decode_response(b"\\x08")
    (1, 0, None)
    """
    status, at = 0, 0
    try:
        while at < len(message):
            key, at = _read_varint(message, at)
            value, at = _read_field(message, at, key & 7)
            if key == 1 << 3:
                status = value
    except (IndexError, ValueError):
        return None
    return status


def judged(service: str, message: bytes) -> Verdict:
    """What an answer says."""
    if decode_response(message) == _SERVING:
        return Verdict(Health.SERVING)
    return Verdict(Health.NOT_SERVING, f'the server says that it does not serve "{service}"')


def ended(code: grpc.StatusCode | None, details: str | None) -> Verdict:
    """What the end of a stream says. A server that has no such service counts as healthy."""
    if code is grpc.StatusCode.UNIMPLEMENTED:
        _LOG.warning("a server has no service grpc.health.v1.Health: it counts as healthy")
        return Verdict(Health.SERVING)
    return Verdict(Health.NOT_SERVING, f"the server's health cannot be watched: {details or ''}")


def backoff(failures: int) -> float:
    """Seconds until the next stream, after so many that ended without an answer before the last one did."""
    seconds: float = min(_FIRST_SECONDS * _FACTOR ** min(failures, 64), _LONGEST_SECONDS)
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)


class HealthWatch:
    """The stream to one server, on a thread of its own: grpcio's synchronous streams can only be waited for. Thread-safe."""

    def __init__(self, channel: grpc.Channel, service: str, initial: Health, changed: Callable[[], None]) -> None:
        """`changed` is called, on the thread, whenever `verdict` has become another; `initial` holds until the first answer."""
        self.service = service
        self.verdict = Verdict(initial)
        self._channel = channel
        self._changed = changed
        self._lock = threading.Lock()
        self._call: Any = None
        self._end = threading.Event()
        threading.Thread(target=self._run, name="evener-health", daemon=True).start()

    def end(self) -> None:
        """Nothing is asked or told any more."""
        with self._lock:
            self._end.set()
            call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _run(self) -> None:
        failures = 0
        while (call := self._begin()) is not None:
            try:
                for message in call:
                    failures = 0
                    self._become(judged(self.service, message))
            except grpc.RpcError:
                pass
            if self._end.is_set():
                return
            verdict = ended(call.code(), call.details())
            self._become(verdict)
            if verdict.health is Health.SERVING or self._end.wait(backoff(failures)):
                return
            failures += 1

    def _begin(self) -> Any:
        """A new stream; None when nobody wants to know any more."""
        with self._lock:
            if self._end.is_set():
                return None
            try:
                watch: Any = self._channel.unary_stream(WATCH)
                self._call = watch(encode_request(self.service))
            except ValueError:  # the channel was closed
                return None
            return self._call

    def _become(self, verdict: Verdict) -> None:
        is_news = verdict.health is not self.verdict.health
        self.verdict = verdict
        if is_news and not self._end.is_set():
            self._changed()


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 64, 7):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("a number of more than ten bytes")


def _read_field(message: bytes, at: int, kind: int) -> tuple[int, int]:
    """The value of a number; 0 for fields of other kinds, which are stepped over."""
    if kind == 0:
        return _read_varint(message, at)
    if kind == 2:
        length, at = _read_varint(message, at)
    elif kind in (1, 5):
        length = 8 if kind == 1 else 4
    else:
        raise ValueError("a field of an unknown kind")
    if at + length > len(message):
        raise IndexError("the message ends in a field")
    return 0, at + length
