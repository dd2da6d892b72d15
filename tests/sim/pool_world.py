"""A pool in the simulator: its node and each of its machines on a host of its own, and every call accounted for.

Rule: whatever is asked of the pool is asked by a process (`Asked`) that writes down how it ended; jobs count how often
they were run, by id. `check_calls` holds all of that to the pool's one promise, and `check_pool` looks for what should
not be left: slots, machines, refs, tickets, tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import beampy as bp
from beampy.errors import CallKilled, PoolError
from beampy.otp.rpc_function import shown
from beampy.pool.backend import Machine
from beampy.pool.manager import Manager
from beampy.pool.placing import LAST_WORDS
from beampy.pool.pool import Pool
from beampy.pool.residents import residents
from beampy.testing import simnet
from beampy.testing.pool_backend import LoopBackend
from tests.sim.world import World, core_of, peers_of

TICK = 4.0  # seconds until a silent connection is given up, about: short, so that runs are
CREATION = 1 << 30  # the first of them; all have as many bytes
CROSSING = 0.01  # virtual seconds in which a boot may be under way that a resize has made one too many
QUIET = 300.0  # virtual seconds for all that was asked to end: all deadlines, graces, drains and boots, and some

RUNS: Counter[int] = Counter()  # how often each job began; machines share the test's memory


class Oops(Exception):
    """What jobs raise."""


# ---- jobs ----


async def work(number: int, seconds: float) -> int:
    RUNS[number] += 1
    await asyncio.sleep(seconds)
    return number


async def fail(number: int, seconds: float) -> int:
    RUNS[number] += 1
    await asyncio.sleep(seconds)
    raise Oops(number)


async def stubborn(number: int, seconds: float) -> int:
    """Does not end when it is told to, for a while."""
    RUNS[number] += 1
    rest = asyncio.get_running_loop().time() + seconds
    while (left := rest - asyncio.get_running_loop().time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(left)
    return number


def plain(number: int, seconds: float) -> int:
    """In a thread, where time stands still."""
    RUNS[number] += 1
    return number


async def large(number: int, seconds: float) -> bytes:
    """A value that is decoded in a thread."""
    RUNS[number] += 1
    await asyncio.sleep(seconds)
    return number.to_bytes(8) * 100_000


async def odd(number: int, seconds: float) -> Any:
    """A value that cannot travel."""
    RUNS[number] += 1
    return threading.Lock()


async def killed(number: int, seconds: float) -> None:
    """Its process is killed."""
    RUNS[number] += 1
    await asyncio.sleep(seconds)
    bp.exit(bp.self(), "kill")
    await asyncio.sleep(1)


async def items(number: int, seconds: float, count: int) -> AsyncIterator[int]:
    RUNS[number] += 1
    for each in range(count):
        await asyncio.sleep(seconds / count)
        yield each


async def part(number: int, seconds: float, each: int) -> int:
    await asyncio.sleep(seconds)
    return each


async def resident(number: int, seconds: float) -> None:
    """A placed child."""
    RUNS[number] += 1
    await asyncio.sleep(seconds)


# ---- who asks ----


@dataclass(eq=False)
class Asked:
    """One thing that was asked of the pool. `ends`: how it ended, for who asked; there is to be one."""

    number: int
    verb: str
    fn: Callable[..., Any]
    retries: int = 0
    pid: bp.Pid | None = None
    ends: list[Any] = field(default_factory=list)
    settled: int = 0  # how often its handle said so
    handle: Any = None
    cancelled: bool = False  # by us
    killed: bool = False  # the process that asked

    def __repr__(self) -> str:
        return f"<{self.verb} {self.number} of {shown(self.fn)}: {self.ends} {self.handle!r} runs={RUNS[self.number]}>"


class PoolWorld:
    """A pool on the host `parent`. `options` are the pool's; `machines` those of its backend."""

    def __init__(self, world: World, machines: dict[str, Any] | None = None, **options: Any) -> None:
        self.world = world
        self.net = world.net
        self.rng: random.Random = world.rng
        self.loop = world.loop
        told = {"accept_code": None, "bind": "127.0.0.1", "tls": False, "unix": False, "tick_time": TICK}
        self.backend = LoopBackend(host=lambda n: f"m{n}", on_boot=self._booted, **(told | (machines or {})))
        self.pool = Pool("p", backend=self.backend, **options)
        self.asked: list[Asked] = []
        self.over = 0  # machines that were more than max when one was started; those that are being deleted not counted
        self._before, self._resized = 0, -CROSSING  # max before it was changed, and when that was
        self._trace = hashlib.blake2b(digest_size=16)
        self._manager: Manager | None = None
        RUNS.clear()

    async def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Start the pool, run the body as the process that it belongs to, stop it, and look at everything."""
        creations = itertools.count(CREATION)
        # The creation of a node is left to chance, and so is the size of a message that holds it.
        with simnet.host("parent"), mock.patch("secrets.randbelow", side_effect=creations):
            await self.world.start("parent", tick_time=TICK, accept_code=None)
            await self.world.run("parent", self._body, body)
            await self.check_ended()

    async def _body(self, body: Callable[[], Awaitable[None]]) -> None:
        async with self.pool:
            self._manager = self.pool._working()
            self.pool.subscribe(self._note)
            await body()

    @property
    def manager(self) -> Manager:
        assert self._manager is not None
        return self._manager

    def _note(self, event: Any) -> None:
        """Part of what the run did: all but the time of day."""
        self._trace.update(repr((round(self.loop.time(), 6), type(event).__name__, *event[1:])).encode())

    def fingerprint(self) -> str:
        """Equal runs have equal ones: what happened in the pool, and when."""
        return self._trace.hexdigest()

    def _booted(self, machine: Machine) -> None:
        if self._manager is not None:
            most = self._manager.plan.limits.max
            if self.loop.time() - self._resized < CROSSING:
                most = max(most, self._before)
            self.over = max(self.over, len(self.backend.kept) - most)

    def resize(self, low: int, high: int) -> None:
        """Other limits for the pool. Boots that have begun cross that."""
        self._before, self._resized = self.manager.plan.limits.max, self.loop.time()
        self.pool.resize(min=low, max=high)

    # what is asked

    def ask(self, verb: str, fn: Callable[..., Any], seconds: float, **options: Any) -> Asked:
        """One more process that asks for one thing: call, submit, cast, stream, map, place_child."""
        asked = Asked(len(self.asked), verb, fn, options.get("retries", 0))
        self.asked.append(asked)
        asked.pid = bp.spawn(self._asking, asked, seconds, options)
        return asked

    async def _asking(self, asked: Asked, seconds: float, options: dict[str, Any]) -> None:
        pool = self.pool.options(**options)
        try:
            asked.ends.append(await getattr(self, f"_{asked.verb}")(pool, asked, seconds))
        except asyncio.CancelledError as error:
            if asked.killed:
                raise
            asked.ends.append(error)
        except Exception as error:
            asked.ends.append(error)

    def _keep(self, asked: Asked, handle: Any) -> Any:
        asked.handle = handle

        def settled(_: Any) -> None:
            asked.settled += 1

        handle.add_done_callback(settled)
        return handle

    async def _call(self, pool: Any, asked: Asked, seconds: float) -> Any:
        return await self._keep(asked, pool.call(asked.fn, asked.number, seconds))

    async def _submit(self, pool: Any, asked: Asked, seconds: float) -> Any:
        return await self._keep(asked, pool.submit(asked.fn, asked.number, seconds))

    async def _cast(self, pool: Any, asked: Asked, seconds: float) -> Any:
        await pool.cast(asked.fn, asked.number, seconds)
        return asked.number

    async def _stream(self, pool: Any, asked: Asked, seconds: float) -> Any:
        count = 1 + asked.number % 40
        pause = seconds if asked.number % 3 else 0.0  # of the reader
        got: list[int] = []
        async with contextlib.aclosing(pool.stream(asked.fn, asked.number, seconds, count)) as stream:
            async for each in stream:
                assert each == len(got), "items are missing, or out of order"
                got.append(each)
                if pause:
                    await asyncio.sleep(pause / count)
        assert len(got) == count, "a stream ended early without a word"
        return asked.number

    async def _map(self, pool: Any, asked: Asked, seconds: float) -> Any:
        count, ordered = 1 + asked.number % 30, bool(asked.number % 2)
        got: list[int] = []
        numbers = [asked.number] * count
        mapped = pool.map(part, numbers, [seconds] * count, range(count), ordered=ordered, max_in_flight=5)
        async with contextlib.aclosing(mapped):
            got += [each async for each in mapped]
        assert sorted(got) == list(range(count)), "a map has lost something"
        assert not ordered or got == sorted(got), "a map is out of order"
        return asked.number

    async def _place_child(self, pool: Any, asked: Asked, seconds: float) -> Any:
        pid = await self._keep(asked, pool.place_child(asked.fn, asked.number, seconds))
        ref = bp.monitor(pid)
        down = await bp.receive(lambda message: isinstance(message, bp.Down) and message.ref == ref)
        return down

    # what happens to it

    def open(self) -> list[Asked]:
        """What has not ended."""
        return [asked for asked in self.asked if not asked.ends and not asked.killed]

    def kill(self, asked: Asked) -> None:
        """The process that asked is gone."""
        process = None if asked.pid is None else core_of(self.world.nodes["parent"]).find(asked.pid)
        if process is not None:
            asked.killed = True
            process.kill()

    def cancel(self, asked: Asked) -> None:
        """Who asked cancels it."""
        if asked.handle is not None and not asked.handle.done():
            asked.cancelled = True
            asked.handle.cancel()

    def hosts(self) -> list[str]:
        """Of machines that run."""
        return [f"m{machine.id[1:]}" for machine in self.backend.machines]

    # what must be so

    async def quiet(self) -> None:
        """Wait until all that was asked has ended, everywhere, and the last words of placed children were heard."""
        manager = self.manager
        await self.until(lambda: not self.open() and not manager.calls and not manager.held and not self.jobs())
        await asyncio.sleep(LAST_WORDS)

    def jobs(self) -> list[str]:
        """What is on the machines, in words."""
        found = []
        for machine in self.backend.machines:
            for node in self.backend.nodes(machine):
                core = node._local
                if core is not None and (here := residents(core)).busy:
                    found.append(f"{machine.id}: {here.why()}")
        return found

    async def until(self, fn: Callable[[], object], seconds: float = QUIET) -> None:
        """Wait, in virtual time."""
        end = self.loop.time() + seconds
        while not fn():
            assert self.loop.time() < end, f"not so within {seconds} s: {self.describe()}"
            await asyncio.sleep(0.05)

    def describe(self) -> str:
        """For a failure."""
        manager = self.manager
        lines = [f"open: {self.open()[:5]}", f"calls: {list(manager.calls.values())[:5]}", f"jobs: {self.jobs()[:5]}"]
        lines += [f"held: {list(manager.held.values())[:5]}", f"runners: {list(manager.runners.values())[:8]}"]
        plan = manager.plan
        runners = [(r.id, r.state, sorted(r.calls)[:5], r.asked, r.deadline) for r in plan._runners.values()][:8]
        lines += [f"plan: {plan.waiting} wait, boots {plan._boots}, {runners}, due {plan.next_due()}"]
        return "\n  ".join(lines)

    def check_calls(self) -> None:
        """Each has ended once for who asked, with what may end it, and was run as often as it may be."""
        for asked in self.asked:
            runs = RUNS[asked.number]
            if asked.verb != "map":
                assert runs <= 1 + asked.retries, f"was run too often: {asked}"
            assert asked.settled <= 1, f"settled twice: {asked}"
            if asked.killed:
                assert len(asked.ends) <= 1, asked
                continue
            assert len(asked.ends) == 1, f"did not end once: {asked}"
            self._check_end(asked, asked.ends[0], runs)

    def _check_end(self, asked: Asked, end: Any, runs: int) -> None:
        match end:
            case asyncio.CancelledError():
                linked = asked.verb == "place_child"  # its end may be its child's
                assert asked.cancelled or linked, f"was cancelled by nobody: {asked}"
            case Oops():
                assert asked.fn is fail, asked
                assert runs, asked
            case CallKilled():
                assert asked.fn is killed, asked
            case bp.errors.EncodeError():
                assert asked.fn is odd, asked
            case PoolError():
                pass  # each of them has a name for what was lost
            case bp.Down():
                pass
            case bytes():
                assert int.from_bytes(end[:8]) == asked.number, asked
            case _:
                assert end == asked.number, f"has another value: {asked}"
                assert runs or asked.verb in ("cast", "map"), f"has a value and was not run: {asked}"

    def check_quiet(self) -> None:
        """Nothing is left of calls while the pool works on."""
        manager = self.manager
        manager.plan.check()
        assert manager.calls == {}
        assert manager.plan.waiting == 0
        assert not manager.plan._where
        assert manager.zombies == 0, f"{manager.zombies} zombies are counted, and none is there"
        assert all(not runner.jobs and not runner.wanting for runner in manager.runners.values())
        for (
            runner
        ) in manager.plan._runners.values():  # the manager knows those that the plan uses, and no others are up
            assert runner.state not in ("up", "asked") or manager.runners[runner.id].state == "up", self.describe()
        for known in manager.runners.values():
            assert known.state != "up" or known.number in manager.plan._runners, self.describe()
        assert self.over <= 0, f"{self.over} machines more than max"
        core = core_of(self.world.nodes["parent"])
        assert not core.exported, list(core.exported.items())[:5]

    async def check_ended(self) -> None:
        """Nothing is left of the pool."""
        manager, backend = self.manager, self.backend
        assert manager.ended
        await self.until(lambda: not self.open())  # readers of streams have items yet
        assert manager.calls == {}, self.describe()
        assert manager.runners == {}, self.describe()
        assert manager.zombies == 0
        assert manager.asked == {}
        assert manager.tickets.open == {}, self.describe()
        assert not manager.tasks, manager.tasks
        assert backend.machines == []
        assert not [task for running in backend.all.values() for task in running.tasks if not task.done()]
        peers = peers_of(self.world.nodes["parent"])
        named = [name for name in peers.options.cookies._nodes if name.startswith("p-")]
        assert not named, named
        self.check_calls()
