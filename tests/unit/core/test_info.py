"""info: what can be seen of a process, and that looking changes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy import api
from beampy.core import info as module
from beampy.testing import harness

if TYPE_CHECKING:
    from beampy.core.process import Process

LONG = 30.0


def look(pid: bp.Pid) -> bp.ProcessInfo:
    found = bp.process_info(pid)
    assert found is not None
    return found


def process(pid: bp.Pid) -> Process:
    found = api.self_process().node.find(pid)
    assert found is not None
    return found


async def idle() -> None:
    await bp.receive(("never",))


async def deep(depth: int) -> None:
    if depth:
        await deep(depth - 1)
    else:
        await asyncio.sleep(LONG)


async def pause(rounds: int = 3) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


async def test_everything_of_one_process() -> None:
    async def busy(other: bp.Pid, to: bp.Pid) -> None:
        bp.link(other)
        refs = [bp.monitor(other), bp.monitor("named")]
        asyncio.get_running_loop().create_task(asyncio.sleep(LONG))
        bp.set_label(("worker", 1))
        bp.send(to, refs)
        await bp.receive(("never",))

    async def body() -> None:
        me = bp.self()
        other = bp.spawn(idle, name="named")
        pid = bp.spawn(busy, other, me, trap_exit=True)
        await harness.expect(list)
        mine = bp.monitor(pid)
        for message in ("a", "b"):
            bp.send(pid, message)
        found = look(pid)
        assert found.pid == pid
        assert found.registered_name is None
        assert found.label == ("worker", 1)
        assert found.status == "waiting" or found.status == "runnable"
        assert found.initial_call.endswith("busy")
        assert "busy (" in found.current_function
        assert __file__.rpartition("/")[2] in found.current_function
        assert found.message_queue_len == 2
        assert found.links == (other,)
        assert found.monitors == (other, ("named", pid.node))
        assert found.monitored_by == (me,)
        assert found.trap_exit
        assert found.reductions >= 1
        assert found.tasks == 1
        assert found.ancestors[0] == me
        assert 500 < found.memory < 20_000
        assert look(other).registered_name == "named"
        assert look(other).links == (pid,)
        bp.demonitor(mine)
        assert look(pid).monitored_by == ()
        bp.exit(pid, "kill")  # it traps exits and would not hear of the end

    await harness.run(body)


async def test_a_simple_process_has_the_plain_values_and_looking_makes_nothing() -> None:
    async def body() -> None:
        pid = bp.spawn(idle)
        assert look(pid).status == "runnable"
        await pause()
        found = look(pid)
        assert (found.label, found.links, found.monitors, found.monitored_by) == (None, (), (), ())
        assert (found.trap_exit, found.tasks, found.message_queue_len) == (False, 0, 0)
        assert process(pid)._extras is None
        assert look(pid) == found

    await harness.run(body)


async def test_a_message_that_was_handed_over_is_counted() -> None:
    async def reader() -> None:
        await bp.receive()
        await idle()

    async def body() -> None:
        pid = bp.spawn(reader)
        await pause()
        bp.send(pid, 1)
        assert look(pid).message_queue_len == 1
        bp.send(pid, 2)
        assert look(pid).message_queue_len == 2
        await pause()
        assert look(pid).message_queue_len == 1

    await harness.run(body)


async def test_states() -> None:
    async def careful() -> None:
        try:
            await bp.receive()
        finally:
            await asyncio.sleep(LONG)

    async def body() -> None:
        pid = bp.spawn(careful)
        seen = [look(pid).status, look(bp.self()).status]
        await pause()
        seen.append(look(pid).status)
        bp.exit(pid, "shutdown")
        await pause()
        seen.append(look(pid).status)
        bp.exit(pid, "kill")
        assert bp.process_info(pid) is None
        assert seen == ["runnable", "running", "waiting", "exiting"]

    await harness.run(body)


async def test_where_it_is_is_the_users_innermost_function() -> None:
    async def gives() -> Any:
        await asyncio.sleep(LONG)
        yield 1

    async def iterates() -> None:
        async for _ in gives():
            pass

    async def selects() -> None:
        await bp.receive(("never",), timeout=LONG)

    async def body() -> None:
        at: dict[str, str] = {}
        for name, fn, args in (
            ("deep", deep, (5,)), ("iterates", iterates, ()), ("selects", selects, ()), ("idle", idle, ()),
        ):  # fmt: skip
            pid = bp.spawn(fn, *args)
            await pause()
            at[name] = look(pid).current_function
        assert at["deep"].startswith(("sleep (", "deep ("))
        assert "selects (" in at["selects"]
        assert at["idle"].startswith("idle (")
        assert at["iterates"].partition(" ")[0].rpartition(".")[2] in ("iterates", "gives", "sleep")

    await harness.run(body)


async def test_a_frame_that_runs_is_found_as_well() -> None:
    async def body() -> str:
        return look(bp.self()).current_function

    assert "body (" in await harness.run(body)


async def test_memory_grows_with_the_mailbox_and_samples_a_long_one() -> None:
    async def body() -> None:
        pid = bp.spawn(idle)
        await pause()
        empty = look(pid).memory
        for _ in range(100):
            bp.send(pid, bytes(1000))
        await pause()
        some = look(pid).memory
        assert 90_000 < some - empty < 150_000
        for _ in range(module.SAMPLED * 2):
            bp.send(pid, bytes(1000))
        assert 2_000_000 < look(pid).memory < 3_000_000

    await harness.run(body)


async def test_a_very_deep_stack_is_no_trouble() -> None:
    async def body() -> None:
        pid = bp.spawn(deep, 200)
        await pause()
        assert look(pid).memory > look(bp.spawn(idle)).memory
        bp.exit(pid, "kill")
        await pause()

    await harness.run(body)
