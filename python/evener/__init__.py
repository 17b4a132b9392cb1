"""The load-balancing brain of a gRPC client.

``evener.Balancer`` picks one of your own objects, by weight, in tens of nanoseconds. ``evener.grpc`` and ``evener.grpc.aio``
are drop-in channels for gRPC built on the same core. ``evener.register`` keeps a server in a registry, ``evener.watch`` and
``evener.config.watch`` follow what is there, ``evener.register_scheme`` adds a way to find servers, ``evener.lint`` says what
to know of it before production.

>>> import evener
>>> balancer = evener.Balancer(["10.0.0.1:8080", "10.0.0.2:8080"], seed=1)
>>> sorted(balancer.pick() for _ in range(4))
['10.0.0.1:8080', '10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.2:8080']

Logs go to Python's ``logging``, under the name ``evener``.
"""

import atexit as _atexit
import os as _os

from evener import _native, config
from evener._credentials import Credentials
from evener._discovery import Discovery
from evener._endpoint import Endpoint
from evener._lint import Finding, lint
from evener._native import Balancer, Call, ConfigError, NoEndpoint, __version__, policies
from evener._probe import Probe
from evener._registration import Registration, register
from evener._schemes import ResolverSink, register_scheme
from evener._watch import KnownEndpoint, Snapshot, Watch, watch

_os.register_at_fork(after_in_child=_native.forked)
# Registrations that are left are withdrawn then. What is registered last is called first: `evener.grpc`, imported later, has closed its
# channels by then, and the thread of the application's own resolvers, registered by the import above, ends after it.
_atexit.register(_native.end_discovery, 5.0)

__all__ = [
    "Balancer",
    "Call",
    "ConfigError",
    "Credentials",
    "Discovery",
    "Endpoint",
    "Finding",
    "KnownEndpoint",
    "NoEndpoint",
    "Probe",
    "Registration",
    "ResolverSink",
    "Snapshot",
    "Watch",
    "__version__",
    "config",
    "lint",
    "policies",
    "register",
    "register_scheme",
    "watch",
]
