"""A pool's node and a runner on one loop, for tests of the runner's side. The pool is a process that says messages.py.

On the simulator each node is on a host of its own, so that the way between them can be cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy import api
from beampy.dist.discovery import StaticDiscovery
from beampy.pool import runner
from beampy.pool.messages import RUNNER, Hello, Refused, Welcome
from beampy.pool.residents import residents
from beampy.pool.spec import RunnerSpec
from beampy.testing import harness, simnet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

MANAGER = "a pool's manager"
COOKIE = "Qh8sT1zFvE5oGx6uPy4iWjAbC93kLmN0"
PORT = 9100
FOREVER = 3600.0
TICK_TIME = 4.0  # seconds; on the simulator they cost nothing


def simulated() -> bool:
    return hasattr(asyncio.get_running_loop(), "net")


class Up:
    """A node that runs in a task of its own, since the body of a node is a process of it."""

    def __init__(self, node: bp.Node, host: str, then: Callable[[bp.Node], Coroutine[Any, Any, Any]] | None = None):
        self.node = node
        self._end = asyncio.Event()
        self._started = asyncio.Event()
        self._then = then
        with simnet.host(host) if simulated() else contextlib.nullcontext():
            self.task = asyncio.create_task(self._live())

    async def _live(self) -> Any:
        async with self.node:
            self._started.set()
            if self._then is not None:
                return await self._then(self.node)
            await self._end.wait()
            return None

    async def started(self) -> None:
        waiting = asyncio.create_task(self._started.wait())
        await asyncio.wait({self.task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.task.done():
            self.task.result()

    async def down(self) -> None:
        self._end.set()
        await self.task


class Ground:
    """Both of them. `inbox` has what the pool's process got."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.got: list[Any] = []  # of that, what no test has asked for yet
        self.numbers = itertools.count(1)
        self.answer: Any = lambda hello: Welcome(1)
        self.spec: RunnerSpec
        self.parent: Up
        self.runner: Up
        self.terminator: bp.Pid
        self.ending: list[float] = []

    # the pool's node

    def name(self, letter: str) -> str:
        return f"{letter}@{letter if simulated() else '127.0.0.1'}"

    async def parent_up(self) -> None:
        self.parent = Up(bp.Node(self.name("a"), **self.options("a")), "a")
        await self.parent.started()
        await self.manager_up()

    def options(self, letter: str) -> dict[str, Any]:
        options: dict[str, Any] = {"cookie": COOKIE, "tick_time": TICK_TIME}
        if simulated():
            every = {f"{n}@{n}": f"{n}:{PORT}" for n in "ab"}
            options |= {"discovery": StaticDiscovery(every), "bind": letter, "tls": False, "unix": False}
        return options

    async def manager_up(self) -> None:
        up = asyncio.Event()
        self.manager = self.parent.node.spawn(self._manage, up)
        await up.wait()

    async def _manage(self, up: asyncio.Event) -> None:
        api.register(MANAGER, api.self())
        up.set()
        while True:
            message = await api.receive()
            if message.__class__ is Hello and (answer := self.answer(message)) is not None:
                api.send(message.pid, answer)
            if message.__class__ is not Refused:
                self.inbox.put_nowait(message)

    # the runner

    def make_spec(self, **changes: Any) -> None:
        addresses: list[dict[str, Any]] = []
        if not simulated():
            peers = self.parent.node._peers
            assert peers is not None
            addresses = [asdict(address) for address in peers.listeners.addresses()]
        spec = RunnerSpec(self.name("b"), self.name("a"), addresses, MANAGER, COOKIE, "a ticket")
        self.spec = replace(spec, **changes)

    async def runner_up(self, slots: Any = None) -> None:
        node = bp.Node(**(runner.options(self.spec) | self.options("b") if simulated() else runner.options(self.spec)))

        async def live(node: bp.Node) -> int:
            return await runner.live(self.spec, node, slots=slots, ending=self.ending.append)

        self.runner = Up(node, "b", live)
        await self.runner.started()

    @property
    def core(self) -> Any:
        return self.runner.node._local

    @property
    def here(self) -> Any:
        """The residents of the runner."""
        return residents(self.core)

    # what tests do

    async def next(self, kind: type) -> Any:
        """The next message of this kind at the pool's process."""
        async with asyncio.timeout(FOREVER if simulated() else harness.DEADLINE):
            while not (found := next((message for message in self.got if message.__class__ is kind), None)):
                self.got.append(await self.inbox.get())
        self.got.remove(found)
        return found

    def tell(self, message: Any) -> None:
        """A message of the pool's to the runner."""
        api.send((RUNNER, self.spec.name), message)

    def call(self, fn: Any, *args: Any, timeout: float | None = None, number: int | None = None, **kwargs: Any) -> Any:
        """A job, as the pool sends it."""
        number = next(self.numbers) if number is None else number
        return bp.remote_call(self.spec.name, "beampy.pool.job:run", number, fn, args, kwargs, (timeout, None, None))

    def stream(self, fn: Any, *args: Any, timeout: float | None = None, window: int = 16) -> Any:
        caller = bp.remote_call.options(window=window)
        settings = (timeout, None, None)
        number = next(self.numbers)
        return caller.stream(self.spec.name, "beampy.pool.job:stream", number, fn, args, {}, settings)

    async def until(self, look: Callable[[], Any]) -> None:
        async with asyncio.timeout(FOREVER if simulated() else harness.DEADLINE):
            while not look():
                await asyncio.sleep(0.1 if simulated() else 0.001)

    async def status(self) -> int:
        """The runner's exit status."""
        async with asyncio.timeout(FOREVER if simulated() else harness.DEADLINE):
            return await self.runner.task


@contextlib.asynccontextmanager
async def ground(*, slots: Any = None, **changes: Any) -> AsyncIterator[Ground]:
    """A pool's node, and a runner that it has taken. Both are gone at the end."""
    both = Ground()
    await both.parent_up()
    try:
        both.make_spec(**changes)
        await both.runner_up(slots)
        try:
            both.terminator = (await both.next(Hello)).pid
            yield both
        finally:
            if not both.runner.task.done():
                await stop_now(both)
    finally:
        await both.parent.down()


async def stop_now(both: Ground) -> None:
    core = both.core
    if core is not None and both.here.terminator is not None:
        both.here.terminator.deliver(runner.Leave())
    with contextlib.suppress(Exception):
        await both.runner.task


def with_runner(**changes: Any) -> Any:
    """Run the test as a process of the pool's node; a runner is there, and nothing is left of jobs at its end."""

    def decorate(test: Any) -> Any:
        async def run() -> None:
            async with ground(**changes) as both:
                await both.parent.node.run(test, both)
                if both.core is not None and not both.core.closed:
                    await both.until(lambda: not both.here.jobs and not both.here.zombies)

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate
