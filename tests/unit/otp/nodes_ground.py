"""Several nodes on one loop, for tests of what nodes know together: groups and global names.

On the simulator each node is on a host of its own, so that links between them can be cut; elsewhere all are on this.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.dist.discovery import StaticDiscovery
from beampy.otp import groups
from beampy.otp.groups_scope import start_groups
from beampy.testing import harness, simnet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

TICK_TIME = 4.0  # seconds; on the simulator they cost nothing
PORT = 9100


def on_simulator() -> bool:
    return hasattr(asyncio.get_running_loop(), "net")


class Cluster:
    """Nodes by their short names: "a" is a@a on the simulator's host a, a@127.0.0.1 elsewhere."""

    def __init__(self, start: Iterable[Callable[[Any], Any]]) -> None:
        self.start_services = tuple(start)
        self.nodes: dict[str, bp.Node] = {}
        self.stack = contextlib.AsyncExitStack()
        self.simulated = on_simulator()

    def full(self, name: str) -> str:
        return f"{name}@{name if self.simulated else '127.0.0.1'}"

    async def up(self, *names: str, **options: Any) -> None:
        """Start nodes of these names."""
        for name in names:
            if self.simulated:
                every = {f"{n}@{n}": f"{n}:{PORT}" for n in "abcdefgh"}
                options |= {"discovery": StaticDiscovery(every), "bind": name, "tls": False, "unix": False}
            with simnet.host(name) if self.simulated else contextlib.nullcontext():
                node = bp.Node(self.full(name), tick_time=TICK_TIME, **options)
                # Entered in a task of its own: the body of a node is a process of it, and here there are many.
                runner = asyncio.create_task(self._live(node, started := asyncio.Event()))
            waiting = asyncio.create_task(started.wait())
            await asyncio.wait({runner, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if runner.done():
                runner.result()
            for start in self.start_services:
                start(node._core)
            self.nodes[name] = node
            node.__dict__["_test_runner"] = runner

    async def _live(self, node: bp.Node, started: asyncio.Event) -> None:
        async with node:
            node.__dict__["_test_end"] = end = asyncio.Event()
            started.set()
            await end.wait()

    async def down(self, *names: str) -> None:
        """Stop nodes."""
        for name in names:
            node = self.nodes.pop(name)
            node.__dict__["_test_end"].set()
            await node.__dict__["_test_runner"]

    async def crash(self, name: str) -> None:
        """A node's host dies without a word, in the middle of whatever it does."""
        self.net.crash(name, silent=True)
        await self.down(name)

    @property
    def net(self) -> simnet.Net:
        return simnet.net()

    async def run(self, name: str, fn: Any, *args: Any) -> Any:
        """Run a function as a process of a node; a plain one, too."""

        async def body() -> Any:
            result = fn(*args)
            return await result if hasattr(result, "__await__") else result

        return await self.nodes[name].run(body)

    async def connect(self, *names: str) -> None:
        """Connect all of these with each other; names of earlier attempts that failed count, too."""
        for i, one in enumerate(names):
            for other in names[:i]:
                await self.run(one, bp.connect, self.full(other))
        await self.settle(*names)

    async def settle(self, *names: str) -> None:
        """Wait until each of these is connected with exactly the others."""
        for name in names:
            await until(lambda name=name: self.run(name, bp.nodes), sorted(self.full(o) for o in names if o != name))

    async def split(self, *sides: str) -> None:
        """Cut all links between these sides ("ab", "c"), and wait until all have noticed."""
        for i, side in enumerate(sides):
            for other in sides[:i]:
                for one in side:
                    for two in other:
                        self.net.partition(one, two)
        for side in sides:
            await self.settle(*side)

    async def heal(self) -> None:
        """Open all links, and connect all nodes again."""
        self.net.heal()
        await asyncio.sleep(2 * TICK_TIME)
        await self.connect(*self.nodes)


@contextlib.asynccontextmanager
async def cluster(
    *names: str, start: Iterable[Callable[[Any], Any]] = (start_groups,), **options: Any
) -> AsyncIterator[Cluster]:
    """Nodes that are connected with each other. They are stopped at the end."""
    nodes = Cluster(start)
    try:
        await nodes.up(*names, **options)
        if not options:
            await nodes.connect(*names)
        yield nodes
    finally:
        await nodes.down(*list(nodes.nodes))


async def until(look: Callable[[], Any], wanted: Any, timeout: float = 60.0) -> None:
    """Wait until `look()` (awaited if need be) gives `wanted`; fail with what it gave last."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (timeout if on_simulator() else harness.DEADLINE)
    while True:
        seen = look()
        if hasattr(seen, "__await__"):
            seen = await seen
        if seen == wanted:
            return
        assert loop.time() < deadline, f"{seen!r} is not {wanted!r}"
        await asyncio.sleep(0.01)


async def idle() -> None:
    await bp.receive(("never",))


async def join(nodes: Cluster, name: str, group: Any, times: int = 1) -> bp.Pid:
    """A new process of a node that is in a group."""
    pid = nodes.nodes[name].spawn(idle)
    await nodes.run(name, groups.join, group, [pid] * times)
    return pid


async def seen(nodes: Cluster, name: str, group: Any, pids: list[bp.Pid]) -> None:
    """Wait until a node sees exactly these members."""
    await until(lambda: nodes.run(name, lambda: sorted(groups.members(group))), sorted(pids))
