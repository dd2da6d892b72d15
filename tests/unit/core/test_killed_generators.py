"""A killed process in the middle of an async generator: it ends, whatever the generator's cleanup does."""

from __future__ import annotations

import asyncio
import logging

import pytest

import beampy as bp
from beampy import api
from beampy.testing import harness


async def quiet():
    yield 1
    await bp.receive()


async def raising():
    try:
        yield 1
        await bp.receive()
    finally:
        raise ValueError("in cleanup")


async def awaiting():
    try:
        yield 1
        await bp.receive()
    finally:
        await asyncio.sleep(10)


@pytest.mark.parametrize("generator", [quiet, raising, awaiting])
async def test_its_cleanup_does_not_make_it_a_zombie(generator, caplog):
    async def reader() -> None:
        async for item in generator():
            bp.send("test", item)

    async def body() -> None:
        bp.register("test", bp.self())
        pid, ref = bp.spawn_monitor(reader)
        await harness.expect(1)
        await asyncio.sleep(0.001)
        bp.exit(pid, "kill")
        await harness.expect(lambda m: isinstance(m, bp.Down) and (m.ref, m.reason) == (ref, "killed"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert api.self_process().node.zombies == []

    with caplog.at_level(logging.ERROR):
        await harness.run(body)
    assert "It is a zombie" not in caplog.text
