"""evener.Balancer: picks among the caller's own objects."""

from __future__ import annotations

import collections
import gc
import threading
import weakref
from typing import Any

import evener
import pytest
from evener import _native


class Connection:
    """Something of the application's."""


def test_picks_are_the_callers_own_objects() -> None:
    connections = [Connection() for _ in range(3)]
    balancer = evener.Balancer(connections)
    assert {id(balancer.pick()) for _ in range(6)} == {id(connection) for connection in connections}


def test_round_robin_is_even() -> None:
    balancer = evener.Balancer([f"s{number}" for number in range(7)])
    counts = collections.Counter(balancer.pick_many(700))
    assert set(counts.values()) == {100}


def test_small_weights_are_met_exactly() -> None:
    balancer = evener.Balancer({"a": 3, "b": 2, "c": 1}, policy="weighted_round_robin")
    for _ in range(50):
        assert collections.Counter(balancer.pick_many(6)) == {"a": 3, "b": 2, "c": 1}


def test_weight_zero_drains() -> None:
    balancer = evener.Balancer({"a": 1, "b": 0})
    assert set(balancer.pick_many(10)) == {"a"}


def test_why_there_is_no_endpoint() -> None:
    with pytest.raises(evener.NoEndpoint, match="not_ready"):
        evener.Balancer().pick()
    balancer = evener.Balancer(["a"])
    balancer.set_state("a", "transient_failure")
    with pytest.raises(evener.NoEndpoint, match="all_failing"):
        balancer.pick()
    with pytest.raises(evener.NoEndpoint, match="all_failing"):
        balancer.start()
    balancer.set_state("a", "ready")
    assert balancer.pick() == "a"
    balancer.update([])
    with pytest.raises(evener.NoEndpoint, match="no_endpoints"):
        balancer.pick()


def test_update_says_what_changed_and_keeps_counts() -> None:
    balancer = evener.Balancer(["a", "b"])
    balancer.start().finish()
    balancer.start().finish()
    assert balancer.update(["c", "b"]) == (1, 1, 1, 0)
    assert {endpoint: row["ok"] for endpoint, row in balancer.stats()} == {"b": 1, "c": 0}


def test_an_endpoint_with_calls_drains_and_may_come_back() -> None:
    balancer = evener.Balancer(["a", "b"])
    calls = [balancer.start() for _ in range(2)]
    balancer.update(["a"])
    assert len(balancer) == 2
    assert set(balancer.pick_many(4)) == {"a"}
    assert balancer.update(["a", "b"]) == (0, 0, 1, 1)
    assert dict(balancer.stats())["b"]["in_flight"] == 1
    balancer.update(["a"])
    for call in calls:
        call.finish()
    assert len(balancer) == 1


def test_too_many_endpoints_change_nothing() -> None:
    balancer = evener.Balancer(["a", "b"], capacity=2)
    with pytest.raises(evener.ConfigError, match="capacity"):
        balancer.update(["a", "b", "c"])
    assert set(balancer.pick_many(4)) == {"a", "b"}
    assert balancer.update(["c", "d", "d"]) == (2, 2, 0, 0)
    calls = [balancer.start(), balancer.start()]
    assert balancer.update(["e", "f"]) == (2, 2, 0, 0)
    with pytest.raises(evener.ConfigError, match="drain"):
        balancer.update(["g", "h"])
    for call in calls:
        call.finish()
    assert balancer.update(["g", "h"]) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    ("outcome", "column"),
    [
        ("success", "ok"),
        ("failure", "failed"),
        ("timed_out", "failed"),
        ("rejected", "rejected"),
        ("cancelled", "other"),
        ("abandoned", "other"),
    ],
)
def test_each_outcome_is_counted_once(outcome: str, column: str) -> None:
    balancer = evener.Balancer(["a"])
    call = balancer.start()
    balancer.finish(call, outcome)  # type: ignore[arg-type]
    balancer.finish(call, outcome)  # type: ignore[arg-type]
    row = dict(balancer.stats())["a"]
    assert row.pop("weight") == 1
    assert row.pop(column) == 1
    assert set(row.values()) == {0}


def test_a_block_ends_its_call() -> None:
    balancer = evener.Balancer(["a"])
    with balancer.start() as endpoint:
        assert endpoint == "a"
    with pytest.raises(OSError), balancer.start():
        raise OSError
    with pytest.raises(KeyboardInterrupt), balancer.start():
        raise KeyboardInterrupt
    row = dict(balancer.stats())["a"]
    assert (row["ok"], row["failed"], row["other"], row["in_flight"]) == (1, 1, 1, 0)


def test_a_dropped_call_is_abandoned() -> None:
    balancer = evener.Balancer(["a"])
    balancer.start()
    gc.collect()
    row = dict(balancer.stats())["a"]
    assert (row["other"], row["in_flight"]) == (1, 0)


def test_calls_per_endpoint_limit() -> None:
    balancer = evener.Balancer(["a"], calls_per_endpoint=2)
    calls = [balancer.start(), balancer.start()]
    with pytest.raises(evener.NoEndpoint, match="not_ready"):
        balancer.start()
    calls.pop().finish()
    calls.append(balancer.start())


def test_a_removed_object_is_let_go() -> None:
    connection = Connection()
    reference = weakref.ref(connection)
    balancer = evener.Balancer([connection])
    del connection
    balancer.update([])
    gc.collect()
    assert reference() is None


def test_an_object_that_refers_back_is_collected() -> None:
    connection = Connection()
    connection.balancer = evener.Balancer([connection])  # type: ignore[attr-defined]
    reference = weakref.ref(connection)
    del connection
    gc.collect()
    assert reference() is None


def test_an_object_whose_end_uses_the_balancer() -> None:
    class Talkative:
        def __del__(self) -> None:
            balancer.pick()
            balancer.update(["b", "c"])

    balancer: evener.Balancer[object] = evener.Balancer([Talkative()])
    balancer.update(["b"])
    gc.collect()
    assert set(balancer.pick_many(4)) == {"b", "c"}


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="unknown policy"):
        evener.Balancer(["a"], policy="fastest")  # type: ignore[arg-type]
    balancer = evener.Balancer(["a"])
    with pytest.raises(KeyError, match="z"):
        balancer.set_state("z", "ready")
    with pytest.raises(ValueError, match="unknown state"):
        balancer.set_state("a", "happy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown outcome"):
        balancer.start().finish("lost")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        balancer.update([[]])
    with pytest.raises(evener.ConfigError):
        evener.Balancer(capacity=0)
    # It could cancel nothing: the calls are the application's.
    with pytest.raises(TypeError, match="drain_timeout"):
        evener.Balancer(["a"], drain_timeout=1.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("text", ["10.0.0.1:80", b"10.0.0.1:80"])
def test_a_text_is_no_list_of_endpoints(text: Any) -> None:
    with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
        evener.Balancer(text)
    balancer = evener.Balancer(["a"])
    with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
        balancer.update(text)
    assert balancer.pick() == "a"


def test_a_channel_takes_no_text_for_a_list_either() -> None:
    driver = _native.Driver()
    for given in ({"endpoints": "h:80"}, {"lists": {"a": "h:80"}}):
        with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
            _native.Channel(driver, "static:///a", 1, **given)
    channel = _native.Channel(driver, "static:///a", 1, lists={"a": iter(["h:80"])}, endpoints=(each for each in ["h:81"]))
    with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
        channel.update_endpoints("h:80")
    channel.update_endpoints({"h:82": None}.keys())
    driver.shutdown()


def test_a_seed_repeats_the_picks() -> None:
    picks = [evener.Balancer(["a", "b", "c"], policy="pick_random", seed=7).pick_many(50) for _ in range(2)]
    assert picks[0] == picks[1]


def test_threads_share_a_balancer() -> None:
    balancer: evener.Balancer[int] = evener.Balancer(range(8), capacity=64)
    stop = threading.Event()
    errors: list[BaseException] = []

    def call() -> None:
        try:
            while not stop.is_set():
                with balancer.start():
                    balancer.pick()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(300):
        balancer.update(range(turn % 5, turn % 5 + 8))
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    balancer.update([])
    assert len(balancer) == 0


def test_objects_of_a_refused_list_are_let_go() -> None:
    class Server:
        pass

    balancer: evener.Balancer[object] = evener.Balancer(["kept"])
    refused = Server()
    gone = weakref.ref(refused)
    with pytest.raises(TypeError, match="unhashable"):
        balancer.update([refused, []])
    del refused
    gc.collect()
    assert gone() is None
    assert balancer.pick() == "kept"


def test_objects_may_use_the_balancer_while_it_asks_about_them() -> None:
    """Hashes, comparisons and ends are Python code, which may call back: no lock is held then."""
    balancers: list[evener.Balancer[Any]] = []

    class Server:
        def __init__(self, number: int) -> None:
            self.number = number

        def __hash__(self) -> int:
            for balancer in balancers:
                balancer.pick()
                balancer.stats()
            return self.number % 3

        def __eq__(self, other: object) -> bool:
            for balancer in balancers:
                balancer.set_policy("round_robin")
                len(balancer)
            return isinstance(other, Server) and self.number == other.number

        def __del__(self) -> None:
            for balancer in balancers:
                balancer.stats()

    balancers.append(evener.Balancer([Server(number) for number in range(5)]))
    for turn in range(10):
        balancers[0].update([Server(turn + number) for number in range(5)])
        balancers[0].set_state(Server(turn + 1), "ready")
    assert sorted(picked.number for picked in balancers[0].pick_many(5)) == [9, 10, 11, 12, 13]
    balancers.clear()
