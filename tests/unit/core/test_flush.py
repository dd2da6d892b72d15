"""demonitor(flush=True) removes one Down and leaves the rest of the mailbox as it was."""

from __future__ import annotations

import asyncio

import beampy as bp
from beampy.core.mailbox import LimitedMailbox, Mailbox
from beampy.otp.groups import GroupJoin
from beampy.testing import harness


async def idle() -> None:
    await bp.receive(("never",))


async def fired() -> bp.Ref:
    """A monitor whose Down is in the mailbox."""
    pid, ref = bp.spawn_monitor(idle)
    bp.exit(pid, "kill")
    return ref


async def test_a_flush_that_finds_nothing_hides_nothing_from_the_next_one():
    async def body() -> None:
        one, two = await fired(), await fired()
        bp.send(bp.self(), "other")
        assert not bp.demonitor(two, flush=True)
        assert not bp.demonitor(two, flush=True)
        assert not bp.demonitor(one, flush=True)
        assert harness.flush() == ["other"]

    await harness.run(body)


async def test_a_flush_in_a_task_hides_nothing_from_a_receive_that_waits():
    async def body() -> None:
        ref, me = await fired(), bp.self()
        await harness.expect(bp.Down)

        async def flushes() -> None:
            bp.send(me, "wanted")  # me is on the run queue now, and has not looked
            bp.demonitor(ref, flush=True)

        task = asyncio.create_task(flushes())
        await harness.expect("wanted")
        await task
        await harness.nothing()

    await harness.run(body)


async def test_only_a_down_is_flushed():
    async def body() -> None:
        ref = await fired()
        message = GroupJoin(ref, "g", ())
        bp.send(bp.self(), message)
        bp.demonitor(ref, flush=True)
        assert harness.flush() == [message]

    await harness.run(body)


def test_discard_takes_the_oldest_that_fits_from_either_part():
    box = Mailbox([1, 2, 3, 4])
    assert box.take(int, lambda m: m == 3) == 3  # 1 and 2 are saved now
    box.append(2)
    assert box.discard(lambda m: m == 2)
    assert box.everything() == [1, 4, 2]
    assert box.discard(lambda m: m == 2)
    assert not box.discard(lambda m: m == 2)
    assert box.everything() == [1, 4]
    assert list(box.saved) == [1]


def test_discard_keeps_the_accounts_of_a_limited_mailbox():
    box = LimitedMailbox(10, 10_000, lambda length: None)
    box.append(b"x" * 100)
    box.append(b"y" * 100)
    used = box.used
    assert box.discard(lambda m: m[:1] == b"x")
    assert 0 < box.used < used
