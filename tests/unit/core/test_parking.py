"""Processes that wait for a connection: where they stop, and what makes them go on."""

from __future__ import annotations

import asyncio

import pytest

import beampy as bp
from beampy.core.state import Parking
from beampy.errors import ReceiveTimeout
from beampy.testing import harness


def _stopped() -> Parking:
    place = Parking.place()
    place.stop()
    return place


async def test_it_stops_at_its_next_await_and_goes_on_there():
    async def body() -> None:
        place, steps = _stopped(), []

        async def writer() -> None:
            bp.api.self_process().park(place)
            steps.append("wrote")
            await asyncio.sleep(0)
            steps.append("went on")

        pid = bp.spawn(writer)
        await asyncio.sleep(0.01)
        assert steps == ["wrote"]
        place.go()
        assert await harness.ended(pid) in ("normal", "noproc")
        assert steps == ["wrote", "went on"]
        assert not place.parked

    await harness.run(body)


async def test_messages_wait_with_it_in_order():
    async def body() -> None:
        place, got = _stopped(), []

        async def writer() -> None:
            bp.api.self_process().park(place)
            while len(got) < 3:
                got.append(await bp.receive())

        pid = bp.spawn(writer)
        for n in range(3):
            bp.send(pid, n)
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        place.go()
        await harness.ended(pid)
        assert got == [0, 1, 2]

    await harness.run(body)


@pytest.mark.parametrize("pattern", [None, "never"])
async def test_the_timeout_of_a_receive_fires(pattern):
    async def body() -> None:
        place = _stopped()

        async def writer() -> None:
            bp.api.self_process().park(place)
            with pytest.raises(ReceiveTimeout):
                await bp.receive(None if pattern is None else (pattern,), timeout=0.01)

        assert await harness.ended(bp.spawn(writer)) in ("normal", "noproc")
        place.go()

    await harness.run(body)


async def test_a_timeout_around_it_fires():
    async def body() -> None:
        place = _stopped()

        async def writer() -> None:
            bp.api.self_process().park(place)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await bp.receive()

        assert await harness.ended(bp.spawn(writer)) in ("normal", "noproc")
        place.go()

    await harness.run(body)


@pytest.mark.parametrize(("reason", "seen"), [("kill", "killed"), ("shutdown", "shutdown")])
async def test_it_can_be_ended(reason, seen):
    async def body() -> None:
        place = _stopped()

        async def writer() -> None:
            bp.api.self_process().park(place)
            await bp.receive()

        pid, ref = bp.spawn_monitor(writer)
        await asyncio.sleep(0.01)
        bp.exit(pid, reason)
        down = await bp.receive(bp.Down, timeout=harness.DEADLINE)
        assert (down.ref, down.reason) == (ref, seen)
        place.go()

    await harness.run(body)
