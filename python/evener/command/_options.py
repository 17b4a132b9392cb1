"""Options that several subcommands have."""

from __future__ import annotations

import argparse
import math
import os
import sys

from evener import Credentials, Discovery, Probe

# Whoever looks wants to see it now.
_PROBE_SECONDS = 2.0
_CREDENTIAL_FILES = ("token-file", "password-file", "ca-file", "cert-file", "key-file")

TARGETS = """targets:
  HOST:PORT, dns:///HOST:PORT   DNS; dns://SERVER/HOST:PORT asks that server
  etcd:///NAME                  etcd; etcd://HOST:PORT,HOST:PORT/NAME its members
  consul:///NAME                this machine's Consul agent, or consul://HOST:PORT/NAME
  kubernetes:///SERVICE:PORT    EndpointSlices, in the cluster or by kubeconfig
  static:///ADDRESS,ADDRESS     these addresses"""


class UsageError(Exception):
    """The command was called wrongly; the text says what to do."""


def standard_input() -> bytes:
    """All of it; UsageError where there is none."""
    if sys.stdin is None:
        raise UsageError("the standard input is closed")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise UsageError(f"the standard input: {error.strerror}") from None


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")


def add_credentials(parser: argparse.ArgumentParser) -> None:
    """What a registry is asked with. Secrets only by files: arguments are visible to everybody on the machine."""
    group = parser.add_argument_group("credentials", "without them, registries are asked with what their environment variables say")
    group.add_argument("--token-file", metavar="FILE", help="a token (Consul's ACL token, a bearer token for Kubernetes)")
    group.add_argument("--user", metavar="NAME", help="a user's name; needs --password-file")
    group.add_argument("--password-file", metavar="FILE", help="a file with the user's password")
    group.add_argument("--tls", action="store_true", help="use TLS and trust the system's certificates")
    group.add_argument("--ca-file", metavar="FILE", help="use TLS and trust these certificates (PEM)")
    group.add_argument("--cert-file", metavar="FILE", help="this client's certificate (PEM); needs --key-file")
    group.add_argument("--key-file", metavar="FILE", help="the key of --cert-file (PEM)")
    group.add_argument("--server-name", metavar="NAME", help="the name to check the registry's certificate against")


def add_dns(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("DNS")
    group.add_argument(
        "--dns-server",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="ask this server (10.0.0.2, 10.0.0.2:5353); may be repeated",
    )
    group.add_argument("--system-dns", action="store_true", help="ask the system's resolver (getaddrinfo), hosts file and all")


def add_probe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--probe",
        metavar="KIND",
        help="probe the servers: tcp, http:/path, http::PORT/path, grpc[:service] or grpc-watch[:service]",
    )


def credentials(options: argparse.Namespace) -> Credentials | None:
    """The credentials that were given; None where the environment's are to be used. UsageError for a file that cannot be read."""
    for option in _CREDENTIAL_FILES:
        _check_readable(option, getattr(options, option.replace("-", "_")))
    given = Credentials(
        user=options.user,
        password_file=options.password_file,
        token_file=options.token_file,
        tls=options.tls,
        ca_file=options.ca_file,
        cert_file=options.cert_file,
        key_file=options.key_file,
        server_name=options.server_name,
    )
    return None if given == Credentials() else given


def _check_readable(option: str, path: str | None) -> None:
    """Looks only: what is read of a pipe is gone."""
    if path is None or os.access(path, os.R_OK):
        return
    raise UsageError(f"--{option}: {path}: cannot be read{'' if os.path.exists(path) else '; there is no such file'}")


def probe(options: argparse.Namespace) -> Probe | None:
    """The probe that was asked for: its verdicts are shown as they are."""
    return None if options.probe is None else Probe(options.probe, interval=_PROBE_SECONDS, rise=1, fall=1, fail_open=False)


def discovery(options: argparse.Namespace, probe: Probe | None = None) -> Discovery:
    return Discovery(
        credentials=credentials(options),
        dns_servers=options.dns_server,
        system_dns=options.system_dns,
        probe=probe,
    )


def seconds(text: str) -> float:
    """A time of at least nothing."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError
    return value


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value
