"""Servers as the application gives them."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, Union


class Endpoint(NamedTuple):
    """One server: one or more addresses of the same process, its weight and zone.

    ``address`` is ``host:port``, ``[v6]:port``, ``unix:/path``, or several of them joined by ``|``. Weight 0 drains the
    server: it keeps its connection and gets no calls. Where an endpoint is asked for, text is one as well:
    ``"10.0.0.1:8080;weight=3;zone=a"``.

    >>> from evener import Endpoint
    >>> Endpoint("10.0.0.1:8080", weight=3).weight
    3
    """

    address: str
    weight: int = 1
    zone: str | None = None


EndpointLike: TypeAlias = Union[str, Endpoint]
