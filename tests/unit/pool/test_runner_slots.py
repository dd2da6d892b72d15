"""What a runner does with slots that are processes: it forks, kills and tells. Real processes are tests/cluster's."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from beampy.pool.messages import Drain, Drained, Ended, Fork, Forked, Hello, Kill
from beampy.pool.runner_slots import LIBRARIES, ProcessSlots, thread_limits
from tests.unit.pool.ground import until
from tests.unit.pool.runner_ground import ground


class FakeSlots:
    """Slots without processes."""

    def __init__(self):
        self.log = []
        self.fails = False

    def on_end(self, tell):
        self.ended = tell

    def told_to(self):
        """The terminator."""
        return self.ended.__closure__[0].cell_contents

    async def fork(self, name, spec):
        if self.fails:
            raise OSError("no more processes")
        self.log.append(("fork", name, spec))
        return 4711

    async def kill(self, name, seconds):
        self.log.append(("kill", name, seconds))
        self.ended(name, -15, False)


async def send(both, *messages):
    for message in messages:
        both.tell(message)


async def test_fork_and_kill():
    slots = FakeSlots()
    async with ground(slots=slots) as both:
        text = replace(both.spec, name="b-s1@h", isolation="slot").to_text()
        await both.parent.node.run(send, both, Fork(text))
        assert await both.next(Forked) == Forked("b-s1@h", 4711)
        await both.parent.node.run(send, both, Kill("b-s1@h", 0.5))
        assert await both.next(Ended) == Ended("b-s1@h", -15, False)
        assert slots.log == [("fork", "b-s1@h", text), ("kill", "b-s1@h", 0.5)]


async def test_a_slot_that_cannot_be_started_has_ended():
    slots = FakeSlots()
    slots.fails = True
    async with ground(slots=slots) as both:
        await both.parent.node.run(send, both, Fork("nonsense"), Fork(replace(both.spec, name="b-s1@h").to_text()))
        assert await both.next(Ended) == Ended("b-s1@h", None, False)


async def test_a_runner_without_such_slots_says_so():
    async with ground() as both:
        messages = Fork(replace(both.spec, name="b-s1@h").to_text()), Kill("b-s1@h", 0.1)
        await both.parent.node.run(send, both, *messages)
        assert await both.next(Ended) == Ended("b-s1@h", None, False)


async def test_ends_while_the_parent_is_lost_are_not_told():
    slots = FakeSlots()
    async with ground(slots=slots, grace=1000.0) as both:
        await both.parent.node.run(end, both.manager)
        await both.until(lambda: not slots.told_to().connected)
        slots.ended("b-s1@h", 0, False)
        await both.manager_up()
        assert (await both.next(Hello)).about["again"]
        await both.parent.node.run(send, both, Drain(1))
        await both.next(Drained)
        assert Ended not in map(type, both.got)


async def end(pid):
    import beampy as bp

    bp.exit(pid, "kill")
    await asyncio.sleep(0)


class FakeZygote:
    def __init__(self):
        self.on_end = None
        self.killed = []

    async def fork(self, spec, log, env=None, *, name=""):
        return {"s1": 1, "s2": 2}[name]

    async def kill(self, pid, number):
        self.killed.append((pid, int(number)))
        if number == 9:
            self.on_end(pid, -9, False)


async def test_kill_is_terminate_first():
    zygote, told = FakeZygote(), []
    slots = ProcessSlots(zygote)
    slots.on_end(lambda *end: told.append(end))
    assert await slots.fork("s1", "spec") == 1
    assert await slots.fork("s2", "spec") == 2
    await slots.kill("nobody", 1.0)
    killing = asyncio.create_task(slots.kill("s1", 100.0))
    await until(lambda: zygote.killed)
    zygote.on_end(1, 0, False)
    await killing
    assert zygote.killed == [(1, 15)]
    await slots.kill("s2", 0.01)
    assert zygote.killed == [(1, 15), (2, 15), (2, 9)]
    assert told == [("s1", 0, False), ("s2", -9, False)]
    assert slots.names == {}


def test_each_slot_has_its_share_of_the_cores():
    assert thread_limits(8, 2) == dict.fromkeys(LIBRARIES, "4")
    assert set(thread_limits(2, 100).values()) == {"1"}
    assert set(thread_limits(1, 0).values()) == {"1"}
