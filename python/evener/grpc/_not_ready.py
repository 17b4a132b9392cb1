"""A start that was waited for in vain."""

from __future__ import annotations


class NotReady(TimeoutError):
    """The channel had no server to call in time. The text says what is missing: the target's resolution and why, the servers, or each
    one's last error.

    >>> import evener.grpc
    >>> with evener.grpc.insecure_channel("static:///127.0.0.1:1") as channel:
    ...     try:
    ...         channel.wait_until_ready(timeout=2)
    ...     except evener.grpc.NotReady as error:
    ...         "127.0.0.1:1" in str(error)
    True
    """
