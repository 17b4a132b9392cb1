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
        ({"token": ""}, "credentials: token: is empty"),
        ({"user": "", "password": "x"}, "credentials: user: is empty"),
        ({"ca_file": ""}, "credentials: ca_file: is empty"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(evener.ConfigError, match=why):
        evener.Credentials(**given)


def test_secrets_of_targets_are_not_shown() -> None:
    given = evener.Discovery(fallback_target="consul://u:hunter2@h/x", service_config_source="etcd://u:hunter2@h/k?token=hunter2")
    for shown in (repr(given), str(given), f"{[given]}"):
        assert "hunter2" not in shown
    assert "fallback_target='consul://***@h/x'" in repr(given) and "empty_hold=30.0" in repr(given)
    assert "fallback_target=None" in repr(evener.Discovery())


@pytest.mark.parametrize(
    ("make", "given", "why"),
    [
        (evener.Credentials, {"user": 5}, "credentials: user: a text or None is wanted, not int"),
        (evener.Credentials, {"tls": "yes"}, "credentials: tls: True or False is wanted, not str"),
        (evener.Credentials, {"ca_file": 5}, "credentials: ca_file: a path or None is wanted, not int"),
        (evener.Discovery, {"initial_timeout": "5"}, "discovery: initial_timeout: a number or None is wanted, not str"),
        (evener.Discovery, {"empty_hold": None}, "discovery: empty_hold: a number is wanted, not NoneType"),
        (evener.Discovery, {"max_drop_percent": 1.5}, "discovery: max_drop_percent: a whole number is wanted, not float"),
        (evener.Discovery, {"dns_servers": "10.0.0.2"}, "discovery: dns_servers: a list of texts is wanted, not str"),
        (evener.Discovery, {"dns_servers": ["10.0.0.2", 5]}, "discovery: dns_servers: a list of texts is wanted, not one with int in it"),
        (evener.Discovery, {"credentials": "x"}, "credentials: an evener.Credentials is wanted, not str"),
        (evener.Discovery, {"probe": 5}, "health probe: a text or an evener.Probe is wanted, not int"),
        (evener.Probe, {"interval": "5"}, "health probe: interval: a number is wanted, not str"),
    ],
)
def test_another_type_is_refused_by_name(make: Any, given: dict[str, Any], why: str) -> None:
    with pytest.raises(TypeError) as error:
        make(**given)
    assert str(error.value) == why


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
        ({"empty_hold": -1}, "empty_hold: -1.0: seconds are wanted, 0 or more, 1000000000 at most"),
        ({"debounce": float("nan")}, "debounce: NaN: seconds are wanted"),
        ({"initial_timeout": -2.0}, "initial_timeout: -2"),
        ({"removal_epoch": 1e300}, "removal_epoch: 1e300: seconds are wanted"),
        ({"empty_hold": 10**400}, "empty_hold: is out of range"),
        ({"snapshot_dir": ""}, "snapshot_dir: is empty"),
        ({"fallback_target": ""}, "fallback_target: is empty"),
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
