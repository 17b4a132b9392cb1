"""Waiting on an event loop, without a thread: what is waited for costs little to look at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

_STEP_SECONDS = 0.05

_T = TypeVar("_T")


async def until(look: Callable[[], tuple[_T] | None], timeout: float | None) -> _T | None:
    """Looks twenty times a second until there is something; None after `timeout` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while (found := look()) is None:
        left = _STEP_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return None
        await asyncio.sleep(min(left, _STEP_SECONDS))
    return found[0]
