"""Pool: mark a call, get machines. What FLAME is to Elixir.

    async with bp.Pool(max=10) as pool:
        page = await pool.call(fetch, url)                       # on a machine that did not exist a moment ago
        async for tree in pool.map(parse, paths, ordered=False): ...

Rule: a call goes to the least loaded runner that has a free slot; where none has, it waits, and machines are booted for
what waits, up to `max`; those that have nothing to do are let go. Every call ends exactly once for its caller: with a
value, with its exception, or with an error that names what was lost. It runs at most once; with `retries` at least
once.

The verbs are calls.py's, the work is the manager's, what to do is decided by plan.py, machines are a backend's.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Self

from beampy import api
from beampy.core.current import current, here
from beampy.core.group_leader import screen_now
from beampy.errors import BootFailed, NotInNode, PoolClosed
from beampy.handle import Handle, Pending
from beampy.pool import closing
from beampy.pool.calls import Calls
from beampy.pool.home import Home
from beampy.pool.manager import HURRY, Manager
from beampy.pool.options import MAX_CONCURRENCY, MAX_QUEUE, MAX_ZOMBIES, TIMEOUT, PoolOptions
from beampy.pool.plan import Limits
from beampy.pool.ticket import KEY_BYTES
from beampy.runtime import Node, start

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import ContextVar
    from types import TracebackType

    from beampy.core.process import Process
    from beampy.pool.backend import Backend
    from beampy.pool.scaling import Strategy

LATE = 5.0  # seconds over `boot_timeout` that a first use waits: for a node that is busy, as others do for its answers
MAX_NAME = 200  # characters; with what is put before and behind it, a node's name has at most 255


class Pool(Calls):
    """An elastic pool of runners. Use it as `async with`, on threads and in scripts as `with`.

    `name` appears in messages and in the names of its runners. `backend` starts machines: by default real processes of
    this machine.

    How many: `min` runners are always there, at most `max` (10). Each runs `max_concurrency` calls at once (100; with
    isolation="process" as many as it has processors). `strategy` says how many are wanted for what there is to do.
    `single_use`: each runs one call and ends. `max_queue`: calls that may wait (100 000); more are PoolSaturated.

    How a call runs: async functions share the runner's loop. isolation="thread": others run in its threads; "process":
    each in a process of the runner that runs nothing else meanwhile, so that all processors compute.

    Where nobody has started it, and code that is no process uses it (a notebook's cell, or a script after `bp.start`),
    it starts at its first use, and ends with its node; or when nobody has the pool any more and its runners, which have
    nothing to do then, have ended.

    Times, in seconds, None for ever: `timeout` (30) for a `call`, from queue to value. `boot_timeout` (30) for the
    backend to start, and for a machine to call home. `idle_shutdown_after` (30) until a runner with nothing to do may
    end, or `(seconds, function)`: and the function, asked there, says True. `min_idle_shutdown_after` (None): the same
    for the last `min`.
    `shutdown_timeout` (30) for what runs when a runner, or the pool, ends. `grace`: how long a runner waits for
    this node when it has lost it (the backend's: 0 on this machine, 30 elsewhere); `failsafe` (20) when it never came.

    When boots fail: all that are wanted are tried again after `backoff` (0.25, doubling), and after `boot_rounds` (3)
    who waits gets BootFailed, with the machine's log. `max_zombies` (4): threads of a runner that nobody waits for and
    that do not end, before it is replaced.

    `context`: context variables that go along with each call. `env`: environment variables of runners.
    `packages`: as of Node. `preload`: modules that runners of this machine have from the start.
    `on_grow_start`, `on_grow_end`, `on_shrink`: see beampy.pool.hooks.
    `prefix`: whether output is labelled with its runner.

    >>> async with bp.Pool(max=4) as pool:
    ...     await pool.call(pow, 2, 10)
    1024
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        backend: Backend | None = None,
        min: int = 0,
        max: int = 10,
        max_concurrency: int | None = None,
        isolation: Literal["thread", "process"] = "thread",
        single_use: bool = False,
        strategy: Strategy | None = None,
        max_queue: int = MAX_QUEUE,
        timeout: float | None = TIMEOUT,
        boot_timeout: float = TIMEOUT,
        shutdown_timeout: float = TIMEOUT,
        idle_shutdown_after: float | tuple[float, Callable[[], bool]] | None = TIMEOUT,
        min_idle_shutdown_after: float | None = None,
        max_zombies: int = MAX_ZOMBIES,
        boot_rounds: int = 3,
        backoff: float = 0.25,
        grace: float | None = None,
        failsafe: float = 20.0,
        context: Sequence[ContextVar[Any]] = (),
        env: Mapping[str, str] | None = None,
        packages: Literal["off", "pure", "install"] = "pure",
        preload: Sequence[str] = (),
        on_grow_start: Callable[[dict[str, Any]], object] | None = None,
        on_grow_end: Callable[[Any, dict[str, Any]], object] | None = None,
        on_shrink: Callable[[dict[str, Any]], object] | None = None,
        prefix: bool = True,
    ) -> None:
        self.name = name or f"pool-{secrets.token_hex(3)}"
        if not self.name.replace("-", "").replace("_", "").isalnum() or not self.name.isascii():
            raise ValueError(f"Pool: name is letters, digits, - and _, for the names of its nodes, not {name!r}")
        if len(self.name) > MAX_NAME:
            raise ValueError(f"Pool: name has at most {MAX_NAME} characters, not {len(self.name)}")
        self._said, self._made = {}, {}
        self._timeout = timeout
        self._options = PoolOptions(
            min=min,
            max=max,
            max_concurrency=max_concurrency,
            isolation=isolation,
            single_use=single_use,
            timeout=timeout,
            boot_timeout=boot_timeout,
            shutdown_timeout=shutdown_timeout,
            idle_shutdown_after=idle_shutdown_after,
            min_idle_shutdown_after=min_idle_shutdown_after,
            max_queue=max_queue,
            max_zombies=max_zombies,
            boot_rounds=boot_rounds,
            backoff=backoff,
            strategy=strategy,
            grace=grace,
            failsafe=failsafe,
            on_grow_start=on_grow_start,
            on_grow_end=on_grow_end,
            on_shrink=on_shrink,
            context=tuple(context),
            env=tuple((env or {}).items()),
            packages=packages,
        )
        self._backend = backend
        self._started_backend: Backend | None = None
        if isinstance(preload, str):
            raise TypeError(f"Pool: preload is a list of names of modules, as in [{preload!r}], not a text")
        self._preload = tuple(preload)
        self._prefix = prefix
        self._manager: Manager | None = None
        self._ending: Manager | None = None  # the one that was stopped last
        self._why = "it has not been started"
        self._own: Node | None = None  # the node of a pool that found none
        self._beginning = threading.Lock()  # held by the thread that starts it at its first use
        self._by_itself = False  # it was started so

    @property
    def _pool(self) -> Self:  # type: ignore[override]
        """As Calls has it; not kept, so that a pool that nobody has is gone at once."""
        return self

    # life

    async def __aenter__(self) -> Self:
        if _anybody() is None:
            self._started_backend = await self._start_backend()  # it takes longest, and goes on beside the rest
            self._own = Node()
            await self._own.__aenter__()
        try:
            await self.start()
        except BaseException:
            await self._leave_own()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self.stop(drain=error is None)
        except BaseException as failed:
            await self._leave_own(failed)
            raise
        await self._leave_own(error)

    async def _leave_own(self, error: BaseException | None = None) -> None:
        own, self._own = self._own, None
        if own is not None:
            await own.__aexit__(None if error is None else type(error), error, None)

    def __enter__(self) -> Self:
        if _anybody() is None:
            self._own = start()
        try:
            self.start().result()
        except BaseException:
            self._stop_own()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.stop(drain=error is None).result()
        finally:
            self._stop_own()

    def _stop_own(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.stop().result()

    def start(self) -> Handle[Self]:
        """Start it, for the process that asks: with that one it ends. Wants a node; `with` starts one where there is
        none.

        It returns when `min` runners were asked for; calls wait for them.
        """
        me = here("Pool")
        if me.node.thread == threading.get_ident():
            return Pending(self._started(me))
        return api.submit(me, lambda: self._started(me), f"the start of {self!r}")

    async def _started(self, me: Process) -> Self:
        if self._manager is not None:
            raise PoolClosed(self.name, "it runs already")
        if self._ending is not None:
            await closing.over(self._ending)
        backend = self._started_backend or await self._start_backend()
        self._started_backend = None
        try:
            home = await Home.open(me.node, self.name)
        except BaseException:
            await backend.stop()
            raise
        home.local = backend.local
        manager = Manager(
            self.name,
            self._options,
            _limits(self._options),
            backend,
            home,
            secrets.token_bytes(KEY_BYTES),
            self._prefix,
        )
        try:
            process, _ = me.node.spawn(manager.serve, (), me, name=manager.registered)
        except BaseException:  # there is one of that name
            await backend.stop()
            raise
        manager.process = process
        manager.hands, _ = me.node.spawn(manager.hold, (), process)
        self._manager = manager
        pools.add(self)
        manager.begin(me)
        return self

    async def _start_backend(self) -> Backend:
        backend = self._backend
        if backend is None:
            from beampy.pool.backends.local import LocalBackend

            backend = LocalBackend(preload=self._preload)
        elif self._preload:
            raise ValueError("Pool: preload is for the default backend; say it to yours: LocalBackend(preload=…)")
        limit = asyncio.timeout(self._options.boot_timeout)
        try:
            async with limit:
                await backend.start()
        except TimeoutError:
            if limit.expired():
                raise self._not_started(backend, self._options.boot_timeout) from None
            raise
        return backend

    def stop(self, *, drain: bool = True) -> Handle[None]:
        """End it, and all its runners. `drain`: first wait for the calls that there are, at most `shutdown_timeout`."""
        manager = self._manager
        me = here("Pool") if manager is None else manager.node.voice
        if me.node.thread == threading.get_ident():
            return Pending(self._stopped(drain))
        return api.submit(me, lambda: self._stopped(drain), f"the stop of {self!r}")

    async def _stopped(self, drain: bool) -> None:
        manager, self._manager = self._manager, None
        if manager is None:
            if self._ending is not None:
                await closing.over(self._ending)
            return
        self._why, self._ending = "it was stopped", manager
        me = current.get(None) or manager.node.voice
        manager.post(lambda: closing.let_go(manager, me))  # after what it was told of before
        patience = self._options.shutdown_timeout if drain else 0.0
        most = self._options.shutdown_timeout
        await closing.closed(manager, "it was stopped", patience, most if drain else min(most, HURRY))

    def _working(self) -> Manager:
        manager = self._manager
        if manager is None:
            manager = self._begun()
        return manager

    def _begun(self) -> Manager:
        """Start it at its first use, by code that is no process: it ends with its node then, and with the next one it
        can start again. Else PoolClosed.
        """
        if current.get(None) is None and self._ending is None:
            pools.add(self)  # a child that is forked meanwhile has a lock of its own
            with self._beginning:
                if self._manager is None:
                    try:
                        me = here("Pool")
                    except NotInNode:
                        raise PoolClosed(self.name, self._why) from None
                    if me.node.thread != threading.get_ident():
                        self._start_for(me)
        if self._manager is None:
            raise PoolClosed(self.name, self._why)
        return self._manager

    def _start_for(self, me: Process) -> None:
        """Start it, from a thread, which waits: BootFailed where a start does not end, or holds the node up."""
        handle = api.submit(me, lambda: self._first_used(me), f"the start of {self!r}")
        most = self._options.boot_timeout + LATE
        try:
            handle.result(most)
        except TimeoutError:
            if handle.cancel():
                raise self._not_started(self._backend, most) from None
            handle.result(0)  # it has just ended; a timeout may be its own

    def _not_started(self, backend: Backend | None, seconds: float) -> BootFailed:
        what = "LocalBackend" if backend is None else type(backend).__name__
        return BootFailed(
            self.name,
            f"its backend {what} had not started after {seconds:g} s; see what its start() waits for, "
            "or give it longer with Pool(boot_timeout=…)",
        )

    async def _first_used(self, me: Process) -> None:
        await self._started(me)
        manager, weak = self._manager, weakref.ref(self)
        assert manager is not None

        def ended(_: object) -> None:
            pool = weak()
            if pool is not None and pool._manager is manager:
                pool._manager = None

        manager.process.add_done_callback(ended)
        self._by_itself = True

    def __del__(self) -> None:
        manager = getattr(self, "_manager", None)
        if manager is None or not self._by_itself or manager.node.closed:
            return
        with suppress(RuntimeError):  # the loop is closed, and all is over
            manager.loop.call_soon_threadsafe(closing.unused, manager)

    # at work

    def resize(self, *, min: int | None = None, max: int | None = None) -> None:
        """Other limits from now on. Runners over the new `max` end when their calls have.

        >>> pool.resize(max=64)
        """
        manager = self._working()
        limits = manager.plan.limits
        low, high = limits.min if min is None else min, limits.max if max is None else max
        PoolOptions(min=low, max=high)  # ValueError where they do not fit

        def change() -> None:
            manager.plan.resize(low, high, manager.clock())
            manager.tell.scaled(low, high)
            manager.act()

        api._ask(manager.node.voice, change)

    def metrics(self) -> dict[str, Any]:
        """Counts, times and gauges of its whole life, as plain values. See beampy.pool.metrics."""
        manager = self._working()
        return api._ask(manager.node.voice, lambda: manager.tell.metrics.snapshot(manager.clock()))

    def runners(self) -> list[dict[str, Any]]:
        """Each runner: `runner` (label), `node`, `state`, `calls` (that it runs), `done`, `since` (seconds),
        `machine`.
        """
        manager = self._working()
        return api._ask(manager.node.voice, manager.shown_runners)

    def logs(self, runner: str | None = None) -> list[str]:
        """The last lines that calls printed and logged: on one runner ("runner-3"), or on all."""
        return [line.text for line in self._working().tell.output.lines(runner=runner)]

    def events(self) -> Any:
        """What happens from now on, to iterate over: `async for event in pool.events()`. See beampy.pool.events."""
        return self._working().tell.events.reader()

    def subscribe(self, fn: Callable[[Any], object]) -> Callable[[], None]:
        """Call `fn(event)` for what happens, on the node's thread. The answer ends it."""
        return self._working().tell.events.subscribe(fn)

    def prometheus(self) -> str:
        """The same in the text format of Prometheus."""
        manager = self._working()
        return api._ask(manager.node.voice, lambda: manager.tell.metrics.prometheus(manager.clock()))

    def live(self, **options: Any) -> contextlib.AbstractContextManager[Any]:
        """A view of it while the block runs: `with pool.live():`. In a notebook a card in the cell, elsewhere in the
        terminal, which wants rich (pip install rich).
        """
        card = getattr(screen_now(), "live", None)
        if card is not None and not options:
            return card(self, self._working())  # type: ignore[no-any-return]
        from beampy.pool.live import Live
        from beampy.pool.viewing import Viewer

        manager = self._working()
        return Live(Viewer(manager).view, manager.loop, manager.node.thread, manager.tell.events, **options)

    def __repr__(self) -> str:
        manager = self._manager
        if manager is None:
            return f"<Pool {self.name}: {self._why}>"
        up = sum(runner.state == "up" for runner in manager.runners.values())
        return f"<Pool {self.name}: {up} runners, {len(manager.calls)} calls>"

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} belongs to its node: call it there, or start one where you are")


def _limits(options: PoolOptions) -> Limits:
    """The same as the plan wants it."""
    width = options.max_concurrency
    if width is None:
        width = MAX_CONCURRENCY if options.isolation == "thread" else os.cpu_count() or 1
    return Limits(
        min=options.min,
        max=options.max,
        max_concurrency=width,
        single_use=options.single_use,
        idle_after=options.idle_after,
        min_idle_after=options.min_idle_shutdown_after,
        max_queue=options.max_queue,
        max_zombies=options.max_zombies if options.isolation == "thread" else None,  # processes are killed
        boot_rounds=options.boot_rounds,
        backoff=options.backoff,
        boot_timeout=options.boot_timeout,
        shutdown_timeout=options.shutdown_timeout,
        strategy=options.strategy,
    )


def _anybody() -> Process | None:
    """Who would speak for a pool made here."""
    try:
        return current.get(None) or here("Pool")
    except NotInNode:
        return None


pools: weakref.WeakSet[Pool] = weakref.WeakSet()  # that were started in this process, for who shows them


def _forked() -> None:
    """Their nodes are the parent's: in the child they have not been started."""
    for pool in list(pools):
        pool._manager, pool._ending, pool._own = None, None, None
        pool._beginning, pool._why = threading.Lock(), "it has not been started"
    pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
