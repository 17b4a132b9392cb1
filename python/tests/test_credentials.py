"""Credentials and discovery options: what makes no sense is refused at once, and no secret is shown."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import evener
import pytest


def test_secrets_are_not_shown() -> None:
    given = evener.Credentials(user="reader", password="hunter2", token="0123-4567", ca_file="/ca.pem", tls=True)
    for shown in (repr(given), str(given), f"{[given]}"):
        assert "hunter2" not in shown and "0123-4567" not in shown
    assert repr(given) == "Credentials(user='reader', password=***, token=***, tls=True, ca_file='/ca.pem')"
    assert repr(evener.Credentials()) == "Credentials()"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"user": "reader"}, "user needs password"),
        ({"password": "x"}, "needs user"),
        ({"user": "reader", "password": "x", "password_file": "/f"}, "both password and password_file"),
        ({"token": "x", "token_file": "/f"}, "both token and token_file"),
        ({"cert_file": "/c.pem"}, "cert_file and key_file go together"),
        ({"key_file": "/k.pem"}, "cert_file and key_file go together"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(evener.ConfigError, match=why):
        evener.Credentials(**given)


def test_it_is_a_value() -> None:
    given = evener.Credentials(token="x", tls=True)
    assert given == evener.Credentials(token="x", tls=True)
    assert {given: 1}[evener.Credentials(token="x", tls=True)] == 1
    assert dataclasses.replace(given, token="y") != given
    assert pickle.loads(pickle.dumps(given)) == given
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.token = "z"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"empty_hold": -1}, "empty_hold: -1"),
        ({"debounce": float("nan")}, "debounce: NaN"),
        ({"initial_timeout": -2.0}, "initial_timeout: -2"),
        ({"max_drop_percent": 0}, "max_drop_percent: is 0"),
        ({"max_drop_percent": 101}, "max_drop_percent: is 101"),
        ({"max_stale": 0}, "max_stale: is 0"),
        ({"snapshot_max_age": -1}, "snapshot_max_age: -1"),
        ({"drop_stale": True}, "drop_stale: needs max_stale"),
        ({"dns_servers": ["ns.example.com"]}, "dns_servers: `ns.example.com` is no IP address"),
    ],
)
def test_discovery_that_makes_no_sense_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(evener.ConfigError, match=f"discovery: {why}"):
        evener.Discovery(**given)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kind": "udp"}, "`udp` is no probe"),
        ({"interval": 0}, "interval is less than 10 ms"),
        ({"timeout": float("inf")}, "timeout: inf"),
        ({"rise": 0}, "rise is 0"),
        ({"fall": -1}, "fall: -1 is out of range"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"jitter": 1.5}, "jitter: is a part"),
        ({"cert_file": "/c.pem"}, "go together"),
    ],
)
def test_a_probe_that_makes_no_sense_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(evener.ConfigError, match=f"health probe: .*{why}"):
        evener.Probe(**given)


def test_a_short_probe_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(evener.ConfigError, match="`udp` is no probe"):
        evener.Discovery(probe="udp")


def test_discovery_is_a_value() -> None:
    given = evener.Discovery(initial_timeout=None, dns_servers=["10.0.0.2", "[::1]:5353"], max_stale=60, drop_stale=True)
    assert dataclasses.replace(given, empty_hold=0) != given
    assert "secret" not in repr(evener.Discovery(credentials=evener.Credentials(token="secret")))
