"""A kernel with a node that has frames, and that nothing is left of a test there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.notebook.kernels import Kernel
from tests.notebook.nodes import Node, free_port

SETUP = """
import gc, time
import polars as pl, beampy as bp
there = bp.frames.on('b@localhost')
KEPT = {'bp', 'pl', 'gc'}

async def objects(node='b@localhost'):
    return [str(row.label) for row in await bp.refs(node)]

async def until(labels, node='b@localhost', seconds=30):
    '''Wait until exactly these are there.'''
    import asyncio
    end = time.monotonic() + seconds
    while sorted(found := await objects(node)) != sorted(labels):
        if time.monotonic() > end:
            return found
        gc.collect()
        await asyncio.sleep(0.01)
    return 'so it is'
"""


@contextmanager
def kernel_with_node(kind: type[Kernel], folder: Path) -> Iterator[Kernel]:
    with kind(folder, ERL_EPMD_PORT=str(free_port())) as kernel, Node(folder, "b", kernel.env):
        kernel.ok(SETUP)
        yield kernel


def nothing_is_left(kernel: Kernel) -> None:
    """The names that a test has given, of one letter or two, are forgotten: then no frame is kept."""
    kernel.ok("for name in [n for n in globals() if n.islower() and len(n) < 3 and n not in KEPT]: del globals()[name]")
    assert kernel.ok("await until([])").value == "'so it is'"
