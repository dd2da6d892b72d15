"""What type checkers must see of a pool's verbs. Checked, never run: `tests/meta/test_typing.py`. See verbs.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Executor
from typing import Any, assert_type

import beampy as bp
from beampy.pool.mapping import Mapped
from beampy.pool.streams import PoolStream


def area(width: int, height: int = 1) -> int:
    return width * height


async def fetch(url: str, *, depth: int = 0) -> bytes:
    return url.encode() * depth


def rows(path: str) -> Generator[str, None, None]:
    yield path


async def ticks(count: int) -> AsyncGenerator[float, None]:
    yield float(count)


class Cache(bp.Server):
    def __init__(self, size: int) -> None:
        self.size = size


async def calling(pool: bp.Pool) -> None:
    assert_type(pool.call(area, 1), bp.Handle[int])
    assert_type(await pool.call(area, 1, height=2), int)
    assert_type(await pool.call(fetch, "a", depth=1), bytes)
    assert_type(pool.call(area, 1).result(timeout=5), int)
    assert_type(await pool.submit(fetch, "a"), bytes)
    assert_type(await pool.cast(area, 1), None)
    assert_type(await pool.call("os:getpid"), Any)
    assert_type(await pool.options(timeout=1, retries=2).call(area, 1), int)
    pool.call(area, "1")  # type: ignore[call-overload]  # pyright: ignore
    pool.call(fetch)  # type: ignore[call-overload]  # pyright: ignore


async def keeping(pool: bp.Pool) -> None:
    assert_type(pool.keep(area, 1), bp.Handle[bp.RemoteRef[int]])
    assert_type(await pool.keep(fetch, "a", depth=1), bp.RemoteRef[bytes])
    pool.keep(area, "1")  # type: ignore[call-overload]  # pyright: ignore
    assert_type(await pool.call(area, 1, keep=True), bp.RemoteRef[int])
    assert_type(await pool.submit(fetch, "a", keep=True), bp.RemoteRef[bytes])
    assert_type(pool.map(area, [1, 2], keep=True), Mapped[bp.RemoteRef[int]])
    assert_type(await pool.scatter(area, [1, 2], keep=True), list[bp.RemoteRef[int]])
    ref = await pool.put("a")
    assert_type(ref, bp.RemoteRef[str])
    assert_type(await pool.put(ref), bp.RemoteRef[str])
    assert_type(await ref.get(), str)
    assert_type(await pool.call(area, await pool.keep(area, 1)), int)
    assert_type(await pool.call(fetch, ref, depth=1), bytes)
    assert_type(await pool.submit(area, 1, await pool.put(2)), int)
    assert_type(await pool.keep(fetch, ref), bp.RemoteRef[bytes])


async def streams(pool: bp.Pool) -> None:
    assert_type(pool.call(rows, "a"), PoolStream[str])
    assert_type(pool.call(ticks, 3), PoolStream[float])
    async for tick in pool.call(ticks, 3):
        assert_type(tick, float)
    for row in pool.call(rows, "a"):
        assert_type(row, str)


async def many(pool: bp.Pool) -> None:
    assert_type(await pool.scatter(sum, [1, 2]), list[int])
    async for found in pool.map(area, [1, 2], ordered=False):
        assert_type(found, int)
    with pool.executor() as executor:
        assert_type(executor, Executor)
        assert_type(executor.submit(area, 1).result(), int)


async def entered() -> None:
    async with bp.Pool(max=2) as pool:
        assert_type(pool, bp.Pool)
    with bp.Pool(isolation="process") as other:
        assert_type(other, bp.Pool)
    bp.Pool(isolation="cloud")  # type: ignore[arg-type]  # pyright: ignore


async def placing(pool: bp.Pool) -> None:
    assert_type(await pool.place_child(Cache, size=1), bp.Pid)


def remote(pool: bp.Pool) -> None:
    @pool.remote
    def volume(a: int, b: int, c: int = 1) -> float:
        return float(a * b * c)

    assert_type(volume(1, 2), bp.Handle[float])
    assert_type(volume.options(retries=1)(1, b=2), bp.Handle[float])
    volume(1)  # type: ignore[call-arg]  # pyright: ignore

    @pool.remote
    async def load(url: str) -> bytes:
        return url.encode()

    assert_type(load("a"), bp.Handle[bytes])

    @pool.remote
    def letters(text: str) -> Generator[str, None, None]:
        yield from text

    assert_type(letters("a"), PoolStream[str])
