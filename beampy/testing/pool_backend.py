"""LoopBackend: a backend whose machines are nodes on the very loop that asks: for tests of pools, also simulated ones.

Rule: what runs is the real runner, over real (or simulated) connections; only the process is missing. A machine that is
killed falls silent at once: its connections break, its processes run no line more. What a test wants to go wrong it
says beforehand: boots that take long, fail, never call home, run twice, or run another version; and it can kill, and
cut off.

On the simulator each machine is a host of its own where `host` is given: it can then be partitioned, and be gone
without even a closed connection (`kill(machine, silent=True)`), which its backend knows when it is asked.

Example:
    backend = LoopBackend()
    backend.plans = [Fail("no quota"), Slow(2.0)]        # the first boot fails, the second takes two seconds
    async with bp.Pool(backend=backend) as pool:
        await pool.call(fn)
        backend.kill(backend.machines[0])
"""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import Context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import beampy
from beampy.pool.backend import Description, Machine, Order
from beampy.pool.messages import PROTOCOL
from beampy.pool.runner import live, options
from beampy.pool.spec import RunnerSpec
from beampy.runtime import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KILLED = -9  # the status of a process that was killed


@dataclass(frozen=True)
class Fail:
    """`boot` raises."""

    why: str = "no machine for you"


@dataclass(frozen=True)
class Slow:
    """The machine takes so many seconds to come up."""

    seconds: float


@dataclass(frozen=True)
class Silent:
    """The machine runs, and never calls home."""


@dataclass(frozen=True)
class Dies:
    """The machine ends before it calls home, with this status, having written this."""

    status: int = 1
    wrote: str = "no such library"


@dataclass(frozen=True)
class Hangs:
    """`boot` itself does not return."""


@dataclass(frozen=True)
class Twice:
    """Two machines are started with the same spec."""


@dataclass(frozen=True)
class Other:
    """The machine runs another version of the runners' protocol."""

    protocol: int = PROTOCOL + 1


@dataclass(frozen=True)
class Liar:
    """The machine changes something of its ticket."""


Plan = Fail | Slow | Silent | Dies | Hangs | Twice | Other | Liar | None


class _Running:
    """One machine."""

    def __init__(self, machine: Machine, number: int) -> None:
        self.machine = machine
        self.number = number
        self.tasks: list[asyncio.Task[Any]] = []
        self.nodes: list[Node] = []
        self.status: int | None = None
        self.ended = False
        self.oom = False
        self.wrote = ""
        self.leaving = False
        self.deleting = False


class LoopBackend:
    """See the module. `plans`: what happens at the next boots, in order; None: all goes well. `delay`: seconds that
    every boot takes. `deleting`: seconds that ending a machine takes. `grace`: as of a backend. `host`: the name of the
    simulated host for a machine's number. `on_boot` is called when a machine was started."""

    name = "loop"
    local = True

    def __init__(
        self,
        *,
        plans: Iterable[Plan] = (),
        delay: float = 0.0,
        deleting: float = 0.0,
        grace: float = 0.0,
        host: Callable[[int], str] | None = None,
        on_boot: Callable[[Machine], object] = lambda machine: None,
        **node: Any,
    ) -> None:
        self.plans: list[Plan] = list(plans)
        self.delay = delay
        self.deleting = deleting
        self.grace = grace
        self.host = host
        self.on_boot = on_boot
        self.node = node
        self.all: dict[str, _Running] = {}
        self.booted = 0
        self.most = 0  # machines that ran at once, at any time

    # what a test does and sees

    @property
    def machines(self) -> list[Machine]:
        """Those that run, the oldest first."""
        return [running.machine for running in self.all.values() if not running.ended]

    @property
    def kept(self) -> list[Machine]:
        """Those that run and that nobody has asked to end."""
        return [running.machine for running in self.all.values() if not running.ended and not running.deleting]

    def nodes(self, machine: Machine) -> list[Node]:
        """Its nodes: one; two of a machine that was booted twice; none before it is up."""
        return list(self.all[machine.id].nodes)

    def kill(self, machine: Machine, *, oom: bool = False, silent: bool = False) -> None:
        """It is gone, at once and without a word. `silent`: its host is, too, and nobody sees a connection close."""
        running = self.all[machine.id]
        running.oom = oom
        if silent and self.host is not None:
            from beampy.testing import simnet

            simnet.net().crash(self.host(running.number), silent=True)
        self._end(running, KILLED)

    def cut(self, machine: Machine) -> None:
        """Its connections break; it runs on."""
        for node in self.all[machine.id].nodes:
            _break(node)

    # the backend

    async def start(self) -> None:
        """Nothing to do."""

    async def boot(self, order: Order) -> Machine:
        """Start a runner on this loop."""
        self.booted += 1
        plan = self.plans.pop(0) if self.plans else None
        if isinstance(plan, Fail):
            raise RuntimeError(plan.why)
        if isinstance(plan, Hangs):
            await asyncio.Event().wait()
        machine = Machine(f"m{self.booted}", order.name)
        running = self.all[machine.id] = _Running(machine, self.booted)
        self.most = max(self.most, len(self.machines))
        spec = RunnerSpec.from_text(order.spec)
        spec = replace(spec, node=spec.node | {"busy_wait": False} | self.node)
        for _ in range(2 if isinstance(plan, Twice) else 1):
            context = Context()  # a machine of its own: nothing of who asks for it
            if self.host is not None:
                from beampy.testing import simnet

                context.run(simnet.HOST.set, self.host(self.booted))
            task = asyncio.get_running_loop().create_task(self._life(running, spec, plan), context=context)
            running.tasks.append(task)
        self.on_boot(machine)
        return machine

    async def _life(self, running: _Running, spec: RunnerSpec, plan: Plan) -> None:
        told: dict[str, Any] = {"protocol": PROTOCOL, "beampy": beampy.__version__}
        wait = plan.seconds if isinstance(plan, Slow) else self.delay
        if wait:
            await asyncio.sleep(wait)
        if isinstance(plan, Dies):
            running.wrote = plan.wrote
            self._end(running, plan.status)
            return
        if isinstance(plan, Silent):
            await asyncio.Event().wait()
        if isinstance(plan, Other):
            told = {"protocol": plan.protocol, "beampy": "0.0.1"}
        if isinstance(plan, Liar):
            spec = replace(spec, ticket=spec.ticket[:-4] + "AAAA")
        node = Node(**options(spec))
        running.nodes.append(node)
        status: int | None = None
        try:
            async with node:
                status = await live(spec, node, about=told)
                running.leaving = True
        except beampy.errors.BeampyError as error:
            running.wrote += f"{error}\n"
            status = 1
        finally:
            if not isinstance(plan, Twice):
                if self.host is not None:
                    from beampy.testing import simnet

                    simnet.net().crash(self.host(running.number))  # a process that ends leaves nothing open
                if not running.ended:
                    running.ended, running.status = True, status

    def _end(self, running: _Running, status: int) -> None:
        if running.ended:
            return
        running.ended, running.status = True, status
        for node in running.nodes:
            _silence(node)
        if not running.leaving:  # else its node is being closed, which is not to be broken off
            for task in running.tasks:
                task.cancel()

    async def terminate(self, machine: Machine) -> None:
        """Kill it."""
        running = self.all.get(machine.id)
        if running is None:
            return
        running.deleting = True
        if self.deleting and not running.ended:
            await asyncio.sleep(self.deleting)
        self._end(running, KILLED)
        tasks = [task for task in running.tasks if task is not asyncio.current_task()]
        if tasks:
            await asyncio.wait(tasks)

    async def logs(self, machine: Machine, limit: int = 20_000) -> str:
        """What its plan says that it wrote."""
        running = self.all.get(machine.id)
        return "" if running is None else running.wrote[-limit:]

    async def describe(self, machine: Machine) -> Description:
        """Whether it runs."""
        running = self.all.get(machine.id)
        if running is None:
            return Description("unknown")
        if running.ended:
            return Description("ended", running.status, running.oom)
        return Description("running")

    def price(self, machine: Machine | None = None) -> float | None:
        """A round number, to see it in the metrics."""
        return 1.0

    async def stop(self) -> None:
        """End all."""
        for machine in list(self.machines):
            await self.terminate(machine)
        tasks = [task for running in self.all.values() for task in running.tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _break(node: Node) -> None:
    """Every connection of a node is gone, without a goodbye."""
    peers = node._peers
    if peers is not None:
        for connection in [*peers.half_open, *peers.connections]:
            transport = getattr(connection, "transport", None)
            if transport is not None:
                with contextlib.suppress(Exception):
                    transport.abort()


def _silence(node: Node) -> None:
    """A process that was killed: it says and does nothing any more."""
    peers, local = node._peers, node._local
    if peers is not None:
        peers.stopping = True
    _break(node)
    if local is not None:
        for process in list(local.processes.values()):
            process.kill()
