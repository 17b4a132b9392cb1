"""The load-balancing brain of a gRPC client.

``evener.Balancer`` picks one of your own objects, by weight, in tens of nanoseconds. ``evener.grpc`` and ``evener.grpc.aio``
are drop-in channels for gRPC built on the same core.

>>> import evener
>>> balancer = evener.Balancer(["10.0.0.1:8080", "10.0.0.2:8080"], seed=1)
>>> sorted(balancer.pick() for _ in range(4))
['10.0.0.1:8080', '10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.2:8080']

Logs go to Python's ``logging``, under the name ``evener``.
"""

import atexit as _atexit
import os as _os

from evener import _native
from evener._credentials import Credentials
from evener._discovery import Discovery
from evener._native import Balancer, Call, ConfigError, NoEndpoint, __version__, policies

_os.register_at_fork(after_in_child=_native.forked)
# Registered before anybody who uses discovery, and so called after them: registrations that are left are withdrawn then.
_atexit.register(_native.end_discovery, 5.0)

__all__ = ["Balancer", "Call", "ConfigError", "Credentials", "Discovery", "NoEndpoint", "__version__", "policies"]
