"""Code that travels where something stands in its way: values larger than what is kept in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import beampy as bp
from beampy.code import table as table_module
from beampy.otp.rpc import remote_call
from beampy.testing.cluster import Cluster
from tests.unit.code.cells_ground import Notebook, notebook

__all__ = ["notebook"]

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

call = remote_call.options(timeout=30.0)


@pytest.fixture
async def b(tmp_path: Path) -> AsyncIterator[str]:
    """The name of a node that has nothing of ours."""
    async with Cluster() as cluster, bp.Node("test@127.0.0.1"):
        yield (await cluster.start("b", bare=tmp_path)).name


async def test_a_captured_value_that_is_larger_than_all_that_is_kept_in_memory(b: str, notebook: Notebook):
    large = table_module.MEMORY + 1
    notebook.run(f"large = bytearray({large})\ndef size(): return len(large)")
    assert await call(b, notebook["size"]) == large
    assert await call(b, notebook["size"]) == large
