"""What a kill does to code that cleans up: it is closed to the last frame, wherever it awaits meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

import beampy as bp
from beampy.testing import harness

DEPTHS = pytest.mark.parametrize("depth", [0, 1, 2, 5])

seen: list[str] = []
holding: list[bool] = []  # while there is something in it, `eats` does


async def careful(name: str, depth: int) -> None:
    """Awaits something, `depth` functions deep, and cleans up with awaits at every one of them."""
    try:
        await (careful(f"{name}.", depth - 1) if depth else asyncio.sleep(3600))
    finally:
        seen.append(name)
        await asyncio.sleep(0)
        seen.append("never")


async def through(depth: int) -> None:
    """Its last function has no cleanup of its own."""
    await careful("a", depth)


async def helped(depth: int) -> None:
    """Its cleanup awaits something that cleans up as well."""
    try:
        await careful("a", depth)
    finally:
        await careful("b", depth)


async def eats(depth: int) -> None:
    if depth:
        await eats(depth - 1)
    while holding:
        with contextlib.suppress(BaseException):
            await asyncio.sleep(3600)


async def killed(fn: object, depth: int) -> list[str]:
    async def body() -> list[str]:
        seen.clear()
        pid = bp.spawn(fn, depth)  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        bp.exit(pid, "kill")
        assert await harness.ended(pid) in ("killed", "noproc")
        await asyncio.sleep(0.01)
        gc.collect()  # what is left half closed would say so now
        return list(seen)

    return await harness.run(body)


@DEPTHS
async def test_every_frame_is_closed_once(depth: int, caplog: pytest.LogCaptureFixture):
    names = [f"a{'.' * n}" for n in range(depth, -1, -1)]
    assert await killed(through, depth) == names
    assert caplog.records == []


@DEPTHS
async def test_what_a_cleanup_awaits_is_closed_as_well(depth: int, caplog: pytest.LogCaptureFixture):
    names = [f"{name}{'.' * n}" for name in "ab" for n in range(depth, -1, -1)]
    assert await killed(helped, depth) == names
    assert caplog.records == []


@DEPTHS
async def test_code_that_eats_its_closing_is_a_zombie(depth: int, caplog: pytest.LogCaptureFixture):
    holding.append(True)

    async def body() -> None:
        pid = bp.spawn(eats, depth)
        await asyncio.sleep(0.01)
        bp.exit(pid, "kill")
        await asyncio.sleep(0.01)
        holding.clear()

    await harness.run(body)
    gc.collect()
    (record,) = caplog.records
    assert "It is a zombie" in record.getMessage()


async def test_a_cleanup_that_fails_is_logged_and_the_rest_is_closed(caplog: pytest.LogCaptureFixture):
    async def inner(_: int) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError("in the cleanup")

    async def outer(_: int) -> None:
        try:
            await inner(0)
        finally:
            seen.append("outer")

    assert await killed(outer, 0) == ["outer"]
    assert "in the cleanup" in caplog.text
