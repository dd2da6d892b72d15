"""What a process had is free when it has ended: not with the next garbage collection, which an idle node never has."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


class Big:
    """What is to be free."""


class Keeper(bp.Server):
    def __init__(self, big: Big) -> None:
        self.big = big

    @bp.call
    async def have(self) -> bool:
        return self.big is not None

    @bp.call
    async def fail(self) -> None:
        raise ValueError("as it was asked to")

    @bp.call
    async def leave(self) -> None:
        bp.exit("shutdown")


async def plain(big: Big) -> Big:
    if await bp.receive() == "fail":
        raise ValueError("as it was asked to")
    return big


async def stopped(big: Big) -> None:
    keeper = await Keeper.start(big)
    assert await keeper.have()
    await keeper.stop()


async def crashed(big: Big) -> None:
    keeper = await Keeper.start(big)
    try:  # pytest.raises would keep the exception, and with it all frames that it came through
        await keeper.fail()
    except ValueError as error:
        assert "asked" in str(error)  # noqa: PT017


async def left(big: Big) -> None:
    keeper = await Keeper.start(big)
    try:
        await keeper.leave()
    except bp.errors.ServerExited as error:
        assert error.reason == "shutdown"  # noqa: PT017


async def killed(big: Big) -> None:
    keeper = await Keeper.start(big)
    assert await keeper.have()
    bp.exit(keeper.pid, "kill")


async def told(big: Big) -> None:
    keeper = await Keeper.start(big)
    assert await keeper.have()
    bp.exit(keeper.pid, "shutdown")


async def plain_done(big: Big) -> None:
    bp.send(bp.spawn(plain, big), "go")


async def plain_crashed(big: Big) -> None:
    bp.send(bp.spawn(plain, big), "fail")


async def called(big: Big) -> None:
    async def function() -> bool:
        return big is not None

    assert await bp.remote_call(bp.self().node, function)


@pytest.fixture
def no_gc() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize(
    "life", [stopped, crashed, left, killed, told, plain_done, plain_crashed, called], ids=lambda life: life.__name__
)
async def test_what_a_process_had_is_free_at_its_end(life: Callable[[Big], Awaitable[Any]]) -> None:
    async with bp.Node():
        big = Big()
        there = weakref.ref(big)
        await life(big)
        del big
        async with asyncio.timeout(5):
            while there() is not None:
                await asyncio.sleep(0.005)
