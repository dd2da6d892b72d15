"""Placed children: how they start, what keeps them, and what ends them."""

from __future__ import annotations

import asyncio
import sys

import pytest

import beampy as bp
from beampy import api
from beampy.otp.child import ChildSpec
from beampy.pool.messages import Busy, Drain, Drained, Hello, Stop
from beampy.pool.terminator import DONE, LOST
from tests.unit.pool.runner_ground import Ground, with_runner

START = "beampy.pool.children:start"

STARTED: list[bp.Pid] = []  # a runner on the loop of the test shares this module


class Counter(bp.Server):
    def __init__(self, at: int = 0) -> None:
        self.at = at

    @bp.call
    async def add(self, by: int = 1) -> int:
        self.at += by
        return self.at


class Noted(bp.Server):
    async def init(self):
        STARTED.append(bp.self())


class Broken(bp.Server):
    async def init(self):
        raise ValueError("no")


async def waits(*args):
    await bp.receive(("never",))


async def stubborn():
    bp.trap_exit(True)
    while True:
        message = await bp.receive()
        if isinstance(message, bp.Exit) and message.reason == "shutdown":
            return


async def crashes_when_told():
    await bp.receive("crash")
    raise ValueError("told")


def starts_a_process(arg):
    return bp.spawn_link(waits, arg)


def place(both, child, *args, **kwargs):
    return bp.remote_call(both.spec.name, START, child, *args, **kwargs)


async def gone(pid):
    ref = bp.monitor(pid)
    return (await bp.receive(lambda message: isinstance(message, bp.Down) and message.ref == ref)).reason


@pytest.mark.parametrize(
    "child",
    [
        Counter,
        (Counter, 3),
        Counter.child_spec(3, restart="permanent"),
        waits,
        (waits, 1),
        (starts_a_process, 1),
        ChildSpec("mine", (starts_a_process, 1)),
        {"id": "mine", "start": (starts_a_process, 1)},
    ],
)
async def test_children_of_all_kinds(child):
    @with_runner()
    async def body(both):
        pid = await place(both, child)
        assert pid.node == both.spec.name
        assert list(both.here.children) == [pid]
        both.tell(Drain(1))
        assert f"1 placed child lives ({pid!r})" in (await both.next(Busy)).why
        bp.exit(pid, "kill")
        assert await gone(pid) in ("killed", "noproc")
        await both.until(lambda: not both.here.children)
        both.tell(Drain(2))
        assert await both.next(Drained) == Drained(2)

    await body()


@with_runner()
async def test_a_server_answers(both):
    pid = await place(both, (Counter, 3))
    assert await Counter.client(pid).add(4) == 7


@with_runner()
async def test_children_are_not_restarted(both):
    STARTED.clear()
    for _ in range(2):  # the supervisor has seen the end of the first before it starts the second
        pid = await place(both, Noted.child_spec(restart="permanent"))
        bp.exit(pid, "kill")
        await both.until(lambda: not both.here.children)
    assert await place(both, Counter)
    assert len(STARTED) == 2


@with_runner()
async def test_what_is_no_child(both):
    with pytest.raises(bp.errors.BadSpec):
        await place(both, 7)
    with pytest.raises(bp.errors.StartFailed, match="no"):
        await place(both, Broken)
    assert not both.here.children


async def placer(both, child, tell, linked=True):
    bp.send(tell, await place(both, child, bp.self(), link=linked))
    await bp.receive(("never",))


@pytest.mark.parametrize("child", [waits, stubborn])
async def test_a_linked_child_ends_with_its_caller(child):
    @with_runner()
    async def body(both):
        caller = bp.spawn(placer, both, child, bp.self())
        pid = await bp.receive(bp.Pid)
        assert both.here.children
        bp.exit(caller, "kill")
        await gone(pid)
        await both.until(lambda: not both.here.children)

    await body()


@with_runner()
async def test_the_caller_ends_with_its_linked_child(both):
    caller = bp.spawn(placer, both, waits, bp.self())
    pid = await bp.receive(bp.Pid)
    ref = bp.monitor(caller)
    bp.exit(pid, "broken")
    down = await bp.receive(bp.Down)
    assert (down.ref, down.reason) == (ref, "broken")


@with_runner()
async def test_a_child_that_is_not_linked_stays(both):
    caller = bp.spawn(placer, both, waits, bp.self(), False)
    pid = await bp.receive(bp.Pid)
    bp.exit(caller, "kill")
    assert await gone(caller) in ("killed", "noproc")
    both.tell(Drain(1))
    await both.next(Busy)
    assert list(both.here.children) == [pid]
    bp.exit(pid, "kill")
    await both.until(lambda: not both.here.children)


@with_runner()
async def test_stop_ends_children_in_order(both):
    pids = [await place(both, child) for child in (waits, stubborn, Counter)]
    watching = [asyncio.ensure_future(api.request(pid, None)) for pid in pids]
    both.tell(Stop(100.0))
    for watched in watching:
        with pytest.raises(bp.errors.ServerExited, match=r"shutdown|normal"):
            await watched
    assert await both.status() == DONE


async def never_ends():
    bp.trap_exit(True)
    while True:
        await bp.receive()


@with_runner()
async def test_stop_does_not_wait_longer_than_it_was_told(both):
    await place(both, bp.Supervisor.worker(never_ends, shutdown="infinity"))
    both.tell(Stop(0.2))
    assert await both.status() == DONE


async def places(both, child):
    return await place(both, child)


async def test_a_lost_parent_ends_children():
    both = Ground()
    await both.parent_up()
    both.make_spec()
    await both.runner_up()
    await both.next(Hello)
    await both.parent.node.run(places, both, stubborn)
    assert both.here.children
    await both.parent.down()
    assert await both.status() == LOST
    assert not both.here.children


async def prints(word):
    sys.stdout.write(f"{word}\n")
    await bp.receive(("never",))


@pytest.mark.loops("asyncio", "uvloop")
async def test_its_output_appears_where_it_was_placed(capsys):
    @with_runner()
    async def body(both):
        pid = await place(both, (prints, "said by a child"))
        out = ""

        def heard():
            nonlocal out
            out += capsys.readouterr().out
            return "said by a child" in out

        await both.until(heard)
        bp.exit(pid, "kill")
        await both.until(lambda: not both.here.children)

    await body()


@with_runner()
async def test_many_at_once(both):
    pids = await asyncio.gather(*(place(both, waits) for _ in range(50)))
    assert set(both.here.children) == set(pids)
    for pid in pids:
        bp.exit(pid, "kill")
    await both.until(lambda: not both.here.children)


async def test_a_node_that_is_no_runner_takes_none():
    async with bp.Node("x@127.0.0.1", cookie="Zz8sT1zFvE5oGx6uPy4iWjAbC93kLmN1") as node:
        with pytest.raises(bp.errors.BeampyError):
            await bp.remote_call(node.name, START, waits)
