"""`evener.lint` on what the first user runs: it works as written, or a finding has the corrected text."""

from __future__ import annotations

import json
from typing import Any

import evener
import pytest
from test_command import RETRIES
from test_registration import CONSUL_DEFINITION


@pytest.mark.parametrize(
    "target",
    [
        "user-service",
        "localhost:8080",
        "dns:///user-service.example.com:8080",
        "dns:///user-service.prod.company.com:443",
        "etcd:///user-service",
        "consul:///user-service",
        "static:///user-service",
    ],
)
def test_the_users_targets(target: str) -> None:
    assert [str(each) for each in evener.lint(target) if each.severity != "advice"] == []


def test_a_target_that_cannot_be_balanced() -> None:
    [finding] = evener.lint("user-service.default.svc.cluster.local:8080")
    assert (finding.severity, finding.code, finding.place) == ("warning", "cluster-ip", "host")
    assert finding.corrected == "kubernetes:///user-service.default:8080"
    assert finding.corrected in str(finding) and finding.advice in str(finding)


def test_a_misplaced_retry_policy() -> None:
    findings = evener.lint(json.dumps(RETRIES))
    assert findings[0].severity == "error" and findings[0].place == "retryPolicy"
    assert findings[0].corrected is not None
    corrected = json.loads(findings[0].corrected)
    assert corrected["methodConfig"][0]["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert "retryThrottling" in corrected and "methodConfig\":" not in findings[0].message
    assert any("DEADLINE_EXCEEDED" in each.message for each in findings[1:]), "which is left out, and why is said"
    [worst] = [each for each in findings if each.code == "retry-multiplies"]
    assert worst.severity == "warning" and "up to 27 calls" in worst.message
    after = evener.lint(json.dumps({**{key: value for key, value in RETRIES.items() if key != "retryPolicy"}, **corrected}))
    assert [each for each in after if each.severity == "error"] == [], "what is corrected is right"


def test_what_another_client_of_consul_wrote() -> None:
    [finding] = evener.lint("consul://agent:8500/user-service?near=_agent&wait=14s")
    assert (finding.severity, finding.code, finding.place) == ("warning", "parameter-ignored", "query")
    assert finding.corrected == "consul://agent:8500/user-service?wait=14s"


def test_a_channel_that_cannot_start_without_its_registry() -> None:
    channel = {"target": "etcd:///user-service", "service_config": {}}
    assert [each.severity for each in evener.lint(json.dumps(channel)) if each.code == "start-order"] == ["advice"]
    channel["snapshot_dir"] = "/var/lib/user-service"
    assert [each for each in evener.lint(json.dumps(channel)) if each.code == "start-order"] == []


def test_keepalive_below_what_servers_allow() -> None:
    arguments = {"grpc.keepalive_time_ms": 10_000, "grpc.keepalive_timeout_ms": 3_000, "grpc.keepalive_permit_without_calls": 1}
    findings = evener.lint(json.dumps(arguments), kind="channel_args")
    assert any("too_many_pings" in each.message for each in findings)


def test_the_users_consul_definition() -> None:
    assert [each for each in evener.lint(json.dumps(CONSUL_DEFINITION)) if each.severity == "error"] == []


@pytest.mark.parametrize(
    "definition",
    [
        {"service": {"name": "x", "port": 99999}},
        {"Service": {"Name": "x"}},
        {"name": "x", "port": 80, "check": {"http": "http://localhost", "interval": "10"}},
        {"services": []},
    ],
)
def test_what_registering_refuses_is_an_error_with_its_text(definition: dict[str, Any]) -> None:
    with pytest.raises(evener.ConfigError) as refused:
        evener.register("consul:///", definition=definition)
    [finding] = [each for each in evener.lint(json.dumps(definition)) if each.code == "definition-refused"]
    said = finding.message.removeprefix("Registering refuses it: ").removesuffix(".")
    assert finding.severity == "error" and said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{", None),
        ("[1,", None),
        ('{\n  "service": {}\n}', None),
        ("dns:///a:b", "target"),
        ("{", "service_config"),
        ('{"name": "x", "port": 80}', "service_config"),
        ('{"loadBalancingConfg": []}', None),
    ],
)
def test_what_is_wrong_is_an_error(text: str, kind: Any) -> None:
    assert evener.lint(text, kind)[0].severity == "error"


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        evener.lint("{}", "poem")  # type: ignore[arg-type]
