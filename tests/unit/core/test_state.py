"""state: what a process is called, and whether it lives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import beampy as bp
from beampy import api
from beampy.core.state import State
from beampy.testing import harness

if TYPE_CHECKING:
    from beampy.core.process import Process


async def idle() -> None:
    await bp.receive(("never",))


async def careful() -> None:
    try:
        await bp.receive()
    finally:
        await asyncio.sleep(30)


def process(pid: bp.Pid) -> Process:
    found = api.self_process().node.find(pid)
    assert found is not None
    return found


async def test_it_is_called_by_its_function_its_label_or_its_name() -> None:
    async def body() -> None:
        pid = bp.spawn(idle)
        one = process(pid)
        assert one.describe() == one.initial_call() == f"{__name__}.idle"
        assert repr(one) == f"<Process {pid.node} {pid.serial} {__name__}.idle>"
        one.set_name(("worker", 1))
        assert one.describe() == "('worker', 1)"
        bp.register("name", pid)
        assert one.describe() == "name"
        assert one.get_name() == f"name-{pid.serial}"

    await harness.run(body)


async def test_a_label_of_its_own() -> None:
    async def body() -> str:
        bp.set_label("the body")
        return api.self_process().describe()

    assert await harness.run(body) == "the body"


async def test_an_ended_function_is_still_named() -> None:
    async def nothing() -> None:
        pass

    async def body() -> str:
        pid = bp.spawn(nothing)
        one = process(pid)
        await harness.ended(pid)
        return one.initial_call()

    assert (await harness.run(body)).endswith("nothing")


async def test_alive_exiting_dead() -> None:
    async def body() -> None:
        pid = bp.spawn(careful)
        one = process(pid)
        await asyncio.sleep(0)
        assert (one.alive, one.dead) == (True, False)
        bp.exit(pid, "shutdown")
        assert (one.alive, one.dead) == (False, False)
        bp.exit(pid, "kill")
        assert (one.alive, one.dead) == (False, True)

    await harness.run(body)


async def test_what_most_processes_never_need_is_not_made() -> None:
    async def body() -> None:
        me = bp.self()

        async def simple() -> None:
            bp.send(me, await bp.receive())
            await bp.receive(("never",))

        pid = bp.spawn(simple)
        await asyncio.sleep(0)
        bp.send(pid, "x")
        await harness.expect("x")
        one = process(pid)
        assert one._extras is None
        assert one._watchers is None
        assert not one.trap_exit
        assert not hasattr(one, "__dict__")
        assert set(State.__slots__) >= {"_mailbox", "_extras", "pid", "node"}

    await harness.run(body)


async def test_ancestors_are_told_nearest_first() -> None:
    async def body() -> None:
        me = bp.self()

        async def child(depth: int) -> None:
            if depth:
                bp.spawn(child, depth - 1)
                await idle()
            bp.send(me, bp.ancestors())

        first = bp.spawn(child, 2)
        found = await harness.expect(lambda m: isinstance(m, tuple))
        assert len(found) >= 3
        assert found[1] == first
        assert found[2] == me
        siblings = [process(bp.spawn(idle)) for _ in range(2)]
        assert siblings[0]._lineage is siblings[1]._lineage

    await harness.run(body)
