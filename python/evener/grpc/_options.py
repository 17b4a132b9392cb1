"""What a user gives a channel, turned into what the engine and each inner channel are given. No gRPC calls are made here."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from evener import _lint

_LOG = logging.getLogger("evener")

Option: TypeAlias = tuple[str, Any]

_SERVICE_CONFIG = "grpc.service_config"
_LB_POLICY = "grpc.lb_policy_name"
_AUTHORITY = "grpc.default_authority"

# An inner channel has one endpoint and no say: these are evener's to set.
_OWN = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    "grpc.client_idle_timeout_ms": 2**31 - 1,
}
# A server given by a host name is looked up by gRPC, in its inner channel; the target's own name never is.
_NAMES = frozenset(
    {
        "grpc.dns_ares_query_timeout",
        "grpc.dns_enable_srv_queries",
        "grpc.dns_min_time_between_resolutions_ms",
    }
)
# These speak of balancing between servers, which inner channels do not do.
_UNREACHABLE = frozenset({"grpc.grpclb_call_timeout_ms", "grpc.grpclb_fallback_timeout_ms"})


class ChannelSettings:
    """One user's options, sorted by who obeys them. Immutable."""

    __slots__ = ("authority", "options", "service_config")

    def __init__(self, options: Iterable[Option] | None, service_config: str | Mapping[str, Any] | None) -> None:
        given = dict(options or ())
        in_options = given.pop(_SERVICE_CONFIG, None)
        policy = given.pop(_LB_POLICY, None)
        chosen = service_config if service_config is not None else in_options
        self.service_config = None if chosen is None else _config_text(chosen)
        if self.service_config is None and policy is not None:
            self.service_config = json.dumps({"loadBalancingConfig": [{policy: {}}]})
        self.authority: str | None = given.pop(_AUTHORITY, None)
        self.options = _inner_options(given)
        for finding in _keepalive_findings(given):
            _LOG.warning("channel option %s: %s %s", finding.place, finding.message, finding.advice)

    def inner_options(self, authority: str, target: str, service_config: str | None) -> list[Option]:
        """All options of the inner channel to `target` of a channel called `authority` that has this service config."""
        options = [each for each in self.options if _is_name(target) or each[0] not in _NAMES]
        config = inner_config(service_config, target)
        return [*options, (_AUTHORITY, self.authority or authority), (_SERVICE_CONFIG, config)]


def inner_config(service_config: str | None, target: str) -> str:
    """The service config of the inner channel to `target`: message limits, and who keeps it connected.

    Timeouts, waiting and retries are not repeated: they are obeyed outside, once.
    """
    policy = "round_robin" if reconnects(target) else "pick_first"
    limits = message_limits(service_config)
    return json.dumps({"loadBalancingConfig": [{policy: {}}], **({"methodConfig": limits} if limits else {})})


def reconnects(target: str) -> bool:
    """Whether the inner channel to `target` leaves IDLE by itself: round_robin does, which is for a single address. Several
    addresses of one server, or those behind its name, are tried in turn: gRPC is not to spread calls behind evener's back."""
    return not _is_name(target) and "," not in target


def _is_name(target: str) -> bool:
    return target.startswith("dns:")


def message_limits(service_config: str | None) -> list[dict[str, Any]]:
    """What of a service config's methods goes to inner channels."""
    keys = ("name", "maxRequestMessageBytes", "maxResponseMessageBytes")
    methods = json.loads(service_config).get("methodConfig") or [] if service_config else []
    # An entry without limits stays: it may be the more specific one that lifts another's limit.
    entries = [{key: each[key] for key in keys if key in each} for each in methods if each.get("name")]
    return entries if any(len(entry) > 1 for entry in entries) else []


def _config_text(config: str | Mapping[str, Any]) -> str:
    return config if isinstance(config, str) else json.dumps(config)


def _inner_options(given: Mapping[str, Any]) -> list[Option]:
    for key in given:
        if key in _OWN:
            _LOG.warning("channel option %s is evener's own and is not changed", key)
        elif key in _UNREACHABLE:
            _LOG.warning("channel option %s has no effect: gRPC does not balance here", key)
        elif key in _NAMES:
            _LOG.warning("channel option %s counts for servers given by a host name, not for the target's own name", key)
    inner = {"grpc.enable_retries": 0, **given, **_OWN}
    return [(key, value) for key, value in inner.items() if key not in _UNREACHABLE]


def _keepalive_findings(given: Mapping[str, Any]) -> list[_lint.Finding]:
    keepalive = {key: value for key, value in given.items() if key.startswith("grpc.keepalive") and isinstance(value, int)}
    return _lint.lint(json.dumps(keepalive), "channel_args") if keepalive else []
