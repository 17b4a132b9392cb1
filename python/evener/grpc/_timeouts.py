"""How long a call may take."""

from __future__ import annotations

import math

# More than 30 years: clocks and locks cannot count much further, and nobody waits that long.
_LONGEST_SECONDS = 1e9


def shortest(timeout: float | None, configured: float | None) -> float | None:
    """The call's own time or its method's, whichever is less, in seconds; None = as long as it takes.

    Raises ValueError for what is not a number: no deadline could be compared with it.

    >>> from evener.grpc._timeouts import shortest
    >>> shortest(3.0, None), shortest(float("inf"), 2.0), shortest(float("inf"), None)
    (3.0, 2.0, None)
    """
    if timeout is not None:
        if math.isnan(timeout):
            raise ValueError("the timeout is not a number")
        if timeout > _LONGEST_SECONDS:
            timeout = None
    if configured is None or timeout is None:
        return timeout if configured is None else configured
    return min(timeout, configured)
