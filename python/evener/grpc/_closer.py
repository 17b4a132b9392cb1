"""Closes inner channels a moment after they were let go.

grpcio watches a channel's connectivity from a thread that looks every 0.2 s whether anybody still wants to know. Closed between two
looks, it ends with a traceback on the standard error; so an inner channel is closed when that thread has ended by itself.
"""

from __future__ import annotations

import os
import queue
import threading
import time

import grpc

_SECONDS = 0.4


class Closer:
    """One thread that closes channels in the order they came, each 0.4 s after it came. Thread-safe."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[float, grpc.Channel]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="evener-closer", daemon=True)
        self._thread.start()

    def close(self, channel: grpc.Channel) -> None:
        """Closes `channel` soon; the calls that run on it are cancelled then."""
        self._queue.put((time.monotonic() + _SECONDS, channel))

    def _run(self) -> None:
        while True:
            due, channel = self._queue.get()
            time.sleep(max(due - time.monotonic(), 0.0))
            channel.close()
            del channel


_lock = threading.RLock()
_closer: Closer | None = None
_inherited: list[Closer | None] = []


def closer() -> Closer:
    """This process's closer."""
    global _closer
    with _lock:
        if _closer is None:
            _closer = Closer()
        return _closer


def _after_fork() -> None:
    global _lock, _closer
    _inherited.append(_closer)
    _lock = threading.RLock()
    _closer = None


os.register_at_fork(after_in_child=_after_fork)
