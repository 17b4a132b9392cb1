"""Ends: what is refused before it is too late, and what does no harm in a forked child, which has none of the parent's threads."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import evener
import pytest

# Nobody listens there.
_NOWHERE = "etcd://127.0.0.1:1/services"


@pytest.mark.parametrize("field", ["drain", "deadline"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_how_a_registration_ends_is_checked_when_it_begins(field: str, value: float) -> None:
    given: Any = {field: value}
    with pytest.raises(evener.ConfigError, match=field):
        evener.register(_NOWHERE, name="user", port=50051, **given)
    with evener.register(_NOWHERE, name="user", port=50051, deadline=0) as registration:
        with pytest.raises(evener.ConfigError, match=field):
            registration.close(**given)
        assert registration.state == "registering", "it was not begun"


_PROGRAM = """
import asyncio, os, signal, sys, threading
import evener, evener.grpc, evener.grpc.aio

def in_child(work):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def registration():
    registration = evener.register("etcd://127.0.0.1:1/services", name="user", port=50051, deadline=0)
    def child():
        assert "inherited" in repr(registration)
        assert asyncio.run(registration.close_async())
        assert registration.close()
    in_child(child)
    registration.close()

def locked_channel():
    channel = evener.grpc.insecure_channel("static:///127.0.0.1:1")
    held, done = threading.Event(), threading.Event()
    def hold():
        with channel._watchers._lock:
            held.set()
            done.wait(30)
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    def child():
        channel.unsubscribe(print)
        channel.close()
        with channel:
            pass
        try:
            channel.subscribe(print)
        except RuntimeError as error:
            assert "fork" in str(error)
    in_child(child)
    done.set()
    holder.join()
    channel.close()

def aio_channel():
    async def make():
        channel = evener.grpc.aio.insecure_channel("static:///127.0.0.1:1")
        channel.describe()
        return channel
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(make())
    in_child(lambda: asyncio.run(channel.close()))
    loop.run_until_complete(channel.close())
    loop.close()

globals()[sys.argv[1]]()
"""


@pytest.mark.parametrize("name", ["registration", "locked_channel", "aio_channel"])
def test_the_end_of_what_is_inherited_does_nothing(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, name], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
