"""polars frames between real processes: by every way that memory has, and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pl: Any = pytest.importorskip("polars")
pytest.importorskip("pyarrow")  # and imported: a frame that is not huge does not import it
pytest.importorskip("numpy")

import beampy as bp  # noqa: E402
from beampy.errors import DecodeError  # noqa: E402
from beampy.testing.cluster import Cluster  # noqa: E402
from tests.cluster import frames_app as app  # noqa: E402
from tests.cluster import shared_app  # noqa: E402
from tests.cluster.test_shared_memory import none_lent, other  # noqa: E402
from tests.unit.dist.ports import until  # noqa: E402

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.loops("uvloop"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory files are Linux's"),
]

app.frame(0)  # polars keeps an event loop from here on, which no test leaks

ME = "test@127.0.0.1"
WAYS: dict[str, dict[str, Any]] = {"shared": {}, "unix": {"shared_memory": False}, "tcp": {"unix": False}}


async def node(cluster: Cluster, way: str) -> Any:
    b = await other(cluster, "b") if way == "shared" else await cluster.start("b", **WAYS[way])
    assert await bp.remote_call(b.name, app.ready)
    return b


@pytest.mark.parametrize("way", WAYS)
async def test_frames_come_and_go(way: str) -> None:
    async with Cluster() as cluster, bp.Node(ME):
        b = await node(cluster, way)
        frame = app.frame(1)
        assert await bp.remote_call(b.name, app.is_frame, frame, 1)
        back = await bp.remote_call(b.name, app.frame, 2)
        assert app.is_frame(back, 2)
        assert (await bp.remote_call(b.name, app.column, 3, "text")).equals(app.frame(3)["text"])
        ref = await bp.remote_call(b.name, app.kept, 4)
        assert app.is_frame(await ref.get(), 4)
        there = await bp.put(frame, node=b.name)
        assert await there.apply(app.is_frame, 1)
        assert (shared_app.borrowed() > 0) == (way == "shared")
        here = await bp.put(frame)
        assert await bp.remote_call(b.name, app.is_frame, here, 1)
        del back, here  # what is put here lies in such memory, too
        gc.collect()
        if way == "shared":
            await until(lambda: shared_app.borrowed() == 0)


@pytest.mark.parametrize("way", WAYS)
async def test_who_writes_to_a_frame_writes_to_a_copy(way: str) -> None:
    async with Cluster() as cluster, bp.Node(ME):
        b = await node(cluster, way)
        frame = app.frame(1)
        ref = bp.remote(frame)
        put = await bp.put(frame)
        for argument in (frame, ref, put, put):
            assert await bp.remote_call(b.name, app.changed, argument) == -1
            assert app.is_frame(frame, 1)
            assert app.is_frame(await put.get(), 1)
        assert await bp.remote_call(b.name, app.is_frame, put, 1)


async def test_memory_is_given_back_with_the_last_column():
    async with Cluster() as cluster, bp.Node(ME):
        b = await node(cluster, "shared")
        frame = await bp.remote_call(b.name, app.frame, 1)
        await asyncio.sleep(0)  # what has woken this task has the frame, too, until the task waits again
        assert shared_app.borrowed() > 0
        part = frame["text"].slice(7, 3)
        del frame
        gc.collect()
        b.kill()
        await b.wait()
        assert part.to_list() == [f"this is the row {n}" for n in (8, 9, 10)]
        assert shared_app.borrowed() > 0
        del part
        gc.collect()
        assert shared_app.borrowed() == 0


async def test_what_was_lent_is_used_again():
    async with Cluster() as cluster, bp.Node(ME):
        b = await node(cluster, "shared")
        for seed in range(4):
            assert await bp.remote_call(b.name, app.is_frame, app.frame(seed), seed)
            await none_lent()
        assert await bp.remote_call(b.name, app.changed, app.frame(7)) == -1
        await bp.remote_call(b.name, app.forget)
        await none_lent()


async def test_a_slice_is_a_small_message():
    async with Cluster() as cluster, bp.Node(ME, max_message=1024 * 1024):
        b = await cluster.start("b")
        ref = await bp.remote_call(b.name, app.kept, 1)
        for part in (await ref.do.head(5), await ref.do.tail(5), await ref.do.slice(100_001, 5)):
            assert part.shape == (5, 4)


async def test_a_node_without_pyarrow_says_what_it_needs(tmp_path: Path):
    hidden = tmp_path / "pyarrow.py"
    hidden.write_text("raise ModuleNotFoundError(\"No module named 'pyarrow'\", name='pyarrow')\n")
    async with Cluster() as cluster, bp.Node(ME):
        path = os.pathsep.join([str(tmp_path), *(one or os.getcwd() for one in sys.path)])
        b = await cluster.start("b", env={"PYTHONPATH": path})
        with pytest.raises(
            DecodeError, match=r"no pyarrow to read it: pip install beampy\[frames\]\nraised in .*b@127.0.0.1"
        ):
            await bp.remote_call(b.name, app.is_frame, app.frame(1), 1)
        assert app.is_frame(await bp.remote_call(b.name, app.frame, 2), 2)  # the way that polars has
        assert await bp.remote_call(b.name, app.is_frame, app.frame(3).head(5), 3) is False  # small ones, too
