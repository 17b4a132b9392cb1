"""What a careful colleague would say before something goes into production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evener import _native


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know, and what to do about it. Immutable.

    ``severity``: an ``error`` is refused or silently has no effect; a ``warning`` works and is likely to hurt in a bad hour;
    ``advice`` is a good habit that is missing. ``code`` is stable, for tools; ``place`` is a path as in
    ``methodConfig[1].retryPolicy``, empty for the whole; ``corrected`` is the text to put in its place, where there is one that
    is surely better.

    >>> import evener
    >>> [finding] = evener.lint("dns:///user-service:http2")
    >>> print(finding.severity, finding.place, finding.code)
    error port target-refused
    """

    severity: Literal["error", "warning", "advice"]
    code: str
    place: str
    message: str
    advice: str
    corrected: str | None

    def __str__(self) -> str:
        lines = [f"{self.severity}: {self.place or 'the whole'}: {self.message} [{self.code}]"]
        if self.advice:
            lines.append(f"  {self.advice}")
        if self.corrected is not None:
            indented = self.corrected.replace("\n", "\n    ")
            lines.append(f"  corrected:\n    {indented}")
        return "\n".join(lines)


def lint(text: str, kind: Literal["document", "target", "service_config", "channel_args"] | None = None) -> list[Finding]:
    """The findings of a target or a JSON document: a service config, a Consul service definition (``service``, ``services``, or a
    service by itself with a ``name``), a channel (``target``, ``service_config``, ``channel_args`` with gRPC's names;
    ``fallback_target``, ``snapshot_dir``), channel arguments by themselves (``grpc.keepalive_time_ms``). Errors come first. Nothing
    is looked up, read or asked. What `register` refuses of a definition is an error, what it warns of a warning.

    What `text` is shows in it, unless `kind` says so; a document that is clearly of another kind is an error.

    >>> import evener
    >>> [finding.code for finding in evener.lint('{"retryPolicy": {"maxAttempts": 3}}')]
    ['retry-misplaced', 'retry-multiplies', 'no-timeout', 'no-health-check']
    """
    return [Finding(*parts) for parts in _native.lint(text, kind or _guess(text))]


def _guess(text: str) -> Literal["document", "target"]:
    # No target begins like this, and none has several lines.
    return "document" if text.lstrip().startswith(("{", "[", '"')) or "\n" in text.strip() else "target"
