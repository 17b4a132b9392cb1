"""Resolvers of the application's own, for schemes of its own.

All of them run on one thread of evener's, on an event loop of its own: what is known of a target is shared by all channels of the
process, of either kind, and by watches. The thread starts with the first scheme.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import inspect
import json
import logging
import os
import random
import threading
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from evener import _native
from evener._endpoint import EndpointLike

_LOG = logging.getLogger("evener")
_JOIN_SECONDS = 2.0
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


class ResolverSink:
    """Where a resolver says what it knows of its target. Thread-safe; nothing here blocks.

    Each answers False, and what was said is dropped, once the target is no longer resolved.

    >>> import evener
    >>> sinks = []
    >>> evener.register_scheme("sinks", lambda target, sink: sinks.append(sink))
    >>> with evener.watch("sinks:///all", discovery=evener.Discovery(debounce=0)) as watch:
    ...     while not sinks:
    ...         watch.wait(timeout=0.01)
    ...     sinks[0].push(["10.0.0.1:8080"])
    ...     watch.wait(timeout=10).endpoints[0].addresses
    True
    ('10.0.0.1:8080',)
    """

    def __init__(self, native: _native.Driver, resolver: int) -> None:
        self._native = native
        self._resolver = resolver

    def push(self, endpoints: Iterable[EndpointLike]) -> bool:
        """All the servers there are, as of now. None at all means that there are none, which is another thing than not to know.

        Raises `ConfigError` or TypeError for what is no list of endpoints; what was pushed before stays, and the target's
        resolution shows the reason.

        >>> import evener
        >>> def resolve(target, sink):
        ...     sink.push(["10.0.0.1:8080;weight=3", evener.Endpoint("10.0.0.2:8080", zone="a")])
        >>> evener.register_scheme("pushed", resolve)
        >>> with evener.watch("pushed:///all") as watch:
        ...     [endpoint.weight for endpoint in watch.wait(timeout=10).endpoints]
        [3, 1]
        """
        try:
            return self._native.resolver_push(self._resolver, endpoints)
        except (ValueError, TypeError) as error:
            self.fail(_text(error))
            raise

    def fail(self, message: str) -> bool:
        """The servers cannot be found out now, and why, for people. What was pushed before stays in use.

        >>> import evener, evener.grpc
        >>> evener.register_scheme("down", lambda target, sink: sink.fail("the switchboard is closed"))
        >>> with evener.grpc.insecure_channel("down:///all") as channel:
        ...     demo_pb2_grpc.DemoStub(channel).Unary.future(demo_pb2.Request()).exception(timeout=10).details()
        'name resolution failed for down:///all: the switchboard is closed'
        """
        return self._native.resolver_fail(self._resolver, message)

    def service_config(self, config: str | Mapping[str, Any] | None) -> bool:
        """The service config (JSON text, or the object itself) that goes with the servers, or none any more. Said before `push` it is in
        force when they come. One that the application gave its channel goes before it.

        >>> import evener, evener.grpc, json
        >>> def resolve(target, sink):
        ...     sink.service_config({"loadBalancingConfig": [{"pick_first": {}}]})
        ...     sink.push([server])
        >>> evener.register_scheme("configured", resolve)
        >>> with evener.grpc.insecure_channel("configured:///all") as channel:
        ...     _ = demo_pb2_grpc.DemoStub(channel).Unary(demo_pb2.Request())
        ...     json.loads(channel.describe())["policy"]
        'pick_first'
        """
        text = config if config is None or isinstance(config, str) else json.dumps(config)
        return self._native.resolver_service_config(self._resolver, text)


Factory: TypeAlias = Callable[[str, ResolverSink], object] | Callable[[str], AsyncIterable[Iterable[EndpointLike]]]
"""Makes a resolver of a target: a class or function of (target, sink), or an async generator function of the target."""


def register_scheme(scheme: str, factory: Factory) -> None:
    """Makes a scheme the application's own: targets ``scheme:///...`` of channels and watches that are made after this.

    `factory` is one of two things, and is used once for each target:

    - An async generator function of the target, or a function of it that returns such a generator: it yields lists of
      endpoints, all there are each time. One that raises is started again after a pause (1 s, twice as long each time, at
      most a minute, varied by a fifth); one that ends has said its last word.
    - A class or function of the target and a `ResolverSink`. What it returns may have ``resolve_now()``, called when somebody has
      reason to think that what was pushed last is out of date, and ``close()``, called when the target is no longer resolved. If
      it raises, it is called again after such a pause.

    Both run on one thread that evener has for all of them, which has an event loop of its own: what blocks there holds up
    the other resolvers, but no call. What they raise ends up in ``describe()``, in the log, and in the text of calls that have
    nowhere to go; servers that are known stay in use. A built-in scheme may be taken over; a scheme that is registered again has the
    new factory from then on. In a forked child resolvers start anew, with its first channel.

    Raises `ConfigError` for what is no scheme. Thread-safe.

    >>> import evener, evener.grpc
    >>> async def resolve(target):
    ...     yield [server]
    >>> evener.register_scheme("users", resolve)
    >>> with evener.grpc.insecure_channel("users:///all") as channel:
    ...     demo_pb2_grpc.DemoStub(channel).Unary(demo_pb2.Request(text="found")).text
    'found'
    """
    if not isinstance(scheme, str):
        raise TypeError(f"a scheme is a text, not {type(scheme).__name__}")
    if not callable(factory):
        raise TypeError(f"a resolver is made by a class or function, not by {factory!r}")
    if inspect.iscoroutinefunction(factory):
        raise TypeError("an async resolver is a generator: it yields its lists")
    if inspect.isgeneratorfunction(factory):
        raise TypeError(f"a resolver is an async generator or a class; {_name(factory)} is a plain generator")
    with _lock:
        native = host().native
        name = scheme.lower()
        before = _factories.get(name)
        # First, because a target may be resolved as soon as the scheme is known.
        _factories[name] = factory
        try:
            native.register_scheme(scheme)
        except BaseException:
            _put_back(name, before)
            raise


def _put_back(name: str, factory: Factory | None) -> None:
    if factory is None:
        del _factories[name]
    else:
        _factories[name] = factory


def ready() -> None:
    """To be called before a target is read: a forked child has nobody yet who resolves the schemes."""
    if _factories and _host is None:
        host()


class _Running:
    """One target that is being resolved. Used on the host's loop."""

    def __init__(self, target: str, sink: ResolverSink) -> None:
        self.target = target
        self.sink = sink
        # What the application's factory has made; None for a generator.
        self.resolver: object = None
        self._said_something = False

    async def keep(self, factory: Factory) -> None:
        """Resolves until it is cancelled, whatever the application's code raises."""
        failures = 0
        while True:
            self._said_something = False
            try:
                return await self._resolve(factory)
            except BaseException as error:
                if _is_cancelled(error):
                    raise
                self._failed(error)
            failures = 0 if self._said_something else failures
            await asyncio.sleep(_pause(failures))
            failures += 1

    def resolve_now(self) -> None:
        """Passes it on to who wants to know."""
        look = getattr(self.resolver, "resolve_now", None)
        if look is not None:
            self._guarded(look)

    async def _resolve(self, factory: Factory) -> None:
        if _takes_target_alone(factory):
            # Its signature has been looked at, which the type of a factory of either kind does not show.
            return await self._follow(_lists(factory, factory(self.target)))  # type: ignore[call-arg]
        self.resolver = factory(self.target, self.sink)  # type: ignore[call-arg]
        if inspect.isasyncgen(self.resolver):
            lists, self.resolver = self.resolver, None
            return await self._follow(lists)
        try:
            await asyncio.Event().wait()
        finally:
            close = getattr(self.resolver, "close", None)
            if close is not None:
                self._guarded(close)

    async def _follow(self, lists: Any) -> None:
        async with _closing(lists):
            async for endpoints in lists:
                try:
                    if not self.sink.push(endpoints):
                        return
                except (ValueError, TypeError) as error:
                    # The sink has told already; the next list may be better.
                    self._warn(error)
                self._said_something = True
        if not self._said_something:
            raise RuntimeError("the generator has ended without a list")

    def _failed(self, error: BaseException) -> None:
        self._warn(error)
        self.sink.fail(_text(error))

    def _guarded(self, code: Callable[[], object]) -> None:
        try:
            code()
        except BaseException as error:
            self._warn(error)

    def _warn(self, error: BaseException) -> None:
        # Without the target, which may have a password in it.
        _LOG.warning("resolver of %s: %s", self.target.partition("//")[0], _text(error), exc_info=error)


class Host:
    """The thread that resolvers run on, and those that run; one per process, made with the first scheme."""

    def __init__(self) -> None:
        self.native = _native.Driver()
        self._loop = asyncio.new_event_loop()
        self._running: dict[int, tuple[_Running, asyncio.Task[None]]] = {}
        # The loop itself does not hold tasks.
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="evener-resolvers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cancels the resolvers and ends the thread, which a resolver that blocks may hold up: that one is left behind."""
        with contextlib.suppress(RuntimeError):  # ended already
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_JOIN_SECONDS)
        self.native.shutdown()

    def _run(self) -> None:
        self._loop.add_reader(self.native.wake_fd(), self._turn)
        self._loop.call_soon(self._turn)
        try:
            self._loop.run_forever()
            self._loop.remove_reader(self.native.wake_fd())
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                self._loop.run_until_complete(asyncio.wait(self._tasks))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def _turn(self) -> None:
        while events := self.native.drain():
            for _, kind, _, _, text, resolver in events:
                try:
                    self._handle(kind, resolver, text)
                except Exception:  # what is left of the batch would be lost
                    _LOG.exception("a resolver could not be started or told")

    def _handle(self, kind: int, resolver: int, target: str) -> None:
        if kind == _native.RESOLVE_START:
            return self._start(resolver, target)
        found = self._running.get(resolver)
        if found is None:
            return
        running, task = found
        if kind == _native.RESOLVE_NOW:
            running.resolve_now()
        elif kind == _native.RESOLVE_STOP:
            del self._running[resolver]
            task.cancel()

    def _start(self, resolver: int, target: str) -> None:
        running = _Running(target, ResolverSink(self.native, resolver))
        task = self._loop.create_task(running.keep(_factories[target.partition(":")[0]]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._running[resolver] = running, task


def _takes_target_alone(factory: Factory) -> bool:
    """Whether it gives lists: an async generator function, or what returns one and has no use for a sink."""
    if inspect.isasyncgenfunction(factory) or inspect.isasyncgenfunction(getattr(factory, "__call__", None)):
        return True
    try:
        signature = inspect.signature(factory)
    except (ValueError, TypeError):  # of a compiled one
        return False
    return not _fits(signature, "target", "sink") and _fits(signature, "target")


def _lists(factory: Factory, made: object) -> AsyncIterable[Iterable[EndpointLike]]:
    """What a factory of the target alone has made, if it gives lists."""
    if isinstance(made, AsyncIterable):
        return made
    raise TypeError(f"a resolver is an async generator or a class; {_name(factory)} gives a {type(made).__name__}")


def _name(factory: Factory) -> str:
    return str(getattr(factory, "__qualname__", type(factory).__qualname__))


def _fits(signature: inspect.Signature, *arguments: str) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _closing(lists: Any) -> contextlib.AbstractAsyncContextManager[Any]:
    """Closes a generator at the end; another async iterable need not be one that can be closed."""
    return contextlib.aclosing(lists) if hasattr(lists, "aclose") else contextlib.nullcontext()


def _is_cancelled(error: BaseException) -> bool:
    """Whether it is evener that wants to have it ended, and not the application's code that has cancelled itself."""
    task = asyncio.current_task()
    return isinstance(error, (asyncio.CancelledError, GeneratorExit)) and task is not None and task.cancelling() > 0


def _pause(failures: int) -> float:
    longest: float = min(_FIRST_PAUSE_SECONDS * 2 ** min(failures, 16), _LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.8, 1.2)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__


_lock = threading.RLock()
_host: Host | None = None
_factories: dict[str, Factory] = {}
# What a parent had is kept for ever in the child: its loop would take its descriptors from the parent's.
_inherited: list[Host | None] = []


def host() -> Host:
    """This process's host, started if need be, with all the schemes that are registered."""
    global _host
    with _lock:
        if _host is None:
            started = Host()
            for scheme in _factories:
                started.native.register_scheme(scheme)
            _host = started
        return _host


def _after_fork() -> None:
    global _lock, _host
    _inherited.append(_host)
    _lock = threading.RLock()
    _host = None


def _at_exit() -> None:
    if _host is not None:
        _host.stop()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
