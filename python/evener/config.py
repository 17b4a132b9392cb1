"""Configuration that lives in a registry: a map of keys to values, now and at every change.

>>> import evener.config
>>> with evener.config.watch("etcd://127.0.0.1:1/config/user-service/") as watch:
...     print(watch.latest())
None
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Any

from evener import _native, _polling
from evener._credentials import Credentials

__all__ = ["ConfigMap", "ConfigWatch", "watch"]


class ConfigMap(Mapping[str, bytes]):
    """A configuration as of one instant: values by what follows the prefix in their keys. Immutable.

    ``epoch`` counts the different ones from 1; ``revision`` is how the registry counts its changes. Values are not part of its
    representation: they may be secrets.

    >>> from evener.config import ConfigMap
    >>> config = ConfigMap(1, "7", {"cache_size": b"512", "database_url": b"postgres://db"})
    >>> int(config["cache_size"]), config.text("database_url"), config.get("nothing")
    (512, 'postgres://db', None)
    >>> config
    ConfigMap(epoch=1, revision='7', keys=['cache_size', 'database_url'])
    """

    __slots__ = ("_values", "epoch", "revision")

    def __init__(self, epoch: int, revision: str, values: Mapping[str, bytes]) -> None:
        self.epoch = epoch
        self.revision = revision
        self._values = dict(values)

    def text(self, key: str) -> str:
        """The value of `key`, which is UTF-8; KeyError where there is none, UnicodeDecodeError where it is not.

        >>> from evener.config import ConfigMap
        >>> ConfigMap(1, "7", {"log_level": b"debug"}).text("log_level")
        'debug'
        """
        return self._values[key].decode()

    def __getitem__(self, key: str) -> bytes:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"ConfigMap(epoch={self.epoch}, revision={self.revision!r}, keys={sorted(self._values)})"


class ConfigWatch:
    """A configuration that is followed in the background until it is closed; ``evener.config.watch`` makes it. Thread-safe.

    Iterating yields a map at the start and at every change, and ends when the watch is closed; ``async for`` does the same
    without blocking the event loop. While the registry cannot be asked the last map stays, and `status` says how old it is.
    Made before a fork, it raises ``RuntimeError`` in the child.

    >>> import evener.config
    >>> watch = evener.config.watch("consul://127.0.0.1:1/config/user-service/")
    >>> watch.close()
    >>> list(watch)
    []
    """

    def __init__(self, native: _native.ConfigWatch) -> None:
        self._native = native

    def latest(self) -> ConfigMap | None:
        """What is known now; None until the first answer. Never waits.

        >>> import evener.config
        >>> with evener.config.watch("etcd://127.0.0.1:1/config/") as watch:
        ...     print(watch.latest())
        None
        """
        return _config(self._native.latest())

    def wait(self, timeout: float | None = None, *, after: int = 0) -> ConfigMap | None:
        """The first map after the one of this epoch, waiting for it; None after `timeout` seconds, or when there will be none:
        the watch is closed, or its target is refused (`status` says why).

        >>> import evener.config
        >>> with evener.config.watch("etcd://127.0.0.1:1/config/") as watch:
        ...     print(watch.wait(timeout=0.01))
        None
        """
        return _config(self._native.wait(after, timeout))

    async def wait_async(self, timeout: float | None = None, *, after: int = 0) -> ConfigMap | None:
        """As `wait`, on an event loop.

        >>> import asyncio, evener.config
        >>> with evener.config.watch("etcd://127.0.0.1:1/config/") as watch:
        ...     print(asyncio.run(watch.wait_async(timeout=0.01)))
        None
        """
        return await _polling.until(lambda: self._next(after), timeout)

    def status(self) -> dict[str, Any]:
        """How the watch is doing: ``epoch``, ``age_seconds`` since the registry last said that this is the configuration,
        ``revision``, ``last_error``, ``errors_total``. Empty once the watch is closed.

        >>> import evener.config
        >>> with evener.config.watch("etcd://127.0.0.1:1/config/") as watch:
        ...     watch.status()["epoch"]
        0
        """
        status = self._native.status()
        return {} if status is None else dict(json.loads(status))

    def resolve_now(self) -> None:
        """Asks for another look, soon.

        >>> import evener.config
        >>> with evener.config.watch("etcd://127.0.0.1:1/config/") as watch:
        ...     watch.resolve_now()
        """
        self._native.resolve_now()

    def close(self) -> None:
        """Ends it; whoever waits gets None. Closing twice does no harm.

        >>> import evener.config
        >>> watch = evener.config.watch("etcd://127.0.0.1:1/config/")
        >>> watch.close()
        >>> watch.status()
        {}
        """
        self._native.close()

    def __enter__(self) -> ConfigWatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[ConfigMap]:
        epoch = 0
        while (config := self.wait(after=epoch)) is not None:
            epoch = config.epoch
            yield config

    async def __aiter__(self) -> AsyncIterator[ConfigMap]:
        epoch = 0
        while (config := await self.wait_async(after=epoch)) is not None:
            epoch = config.epoch
            yield config

    def _next(self, after: int) -> tuple[ConfigMap | None] | None:
        config = self.latest()
        if config is not None and config.epoch > after:
            return (config,)
        return (None,) if self._native.ended() else None


def watch(target: str, *, credentials: Credentials | None = None) -> ConfigWatch:
    """Follows a configuration in the background from now on: ``consul:///config/user-service/`` or
    ``etcd:///config/user-service/`` is every key below that prefix, the same without the last slash is that one key.

    ``ConfigError`` where the target or the credentials make no sense. A registry that cannot be reached is none: it is tried
    for ever.

    >>> import evener.config
    >>> evener.config.watch("dns:///config/")
    Traceback (most recent call last):
    ...
    evener.ConfigError: dns:///config/: a configuration is in consul:///KEY or etcd:///KEY
    """
    return ConfigWatch(_native.ConfigWatch(target, credentials))


def _config(parts: _native._Config | None) -> ConfigMap | None:
    return None if parts is None else ConfigMap(*parts)
