"""A notebook's beginning: from the first use to the first result of a pool, in a real kernel.

"first" is from the first use, which brings up the kernel's node, the pool and its first machine, to the value of a call
of a cell's function; all files are in the cache of the operating system. "import" is what `import beampy` takes with
the extension. "memory" is what a kernel has gained after a pool, a map with a live card, a `%%on` cell, Tab and
Shift-Tab. The size is the number of kernels.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path

from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main
from benchmarks.notebook_display import RESIDENT, Kernel

IMPORT = "import time\nbegan = time.perf_counter()\nimport beampy as bp\nprint(time.perf_counter() - began)"
FIRST = """
def area(width, height):
    return width * height
began = time.perf_counter()
pool = bp.Pool(max=2)
assert await pool.call(area, 6, 7) == 42
print(time.perf_counter() - began)
"""
WORK = """
def train(rate):
    for step in bp.track(range(10)):
        bp.log(loss=1 / (1 + rate * step))
runs = pool.map(train, [0.1, 0.2])
runs
"""


def started(kernels: int) -> Figures:
    """The medians over so many kernels."""
    rows = []
    for _ in range(kernels):
        with tempfile.TemporaryDirectory() as folder:
            kernel = Kernel(Path(folder))
            try:
                empty = int(kernel.run(RESIDENT))
                imported, first = float(kernel.run(IMPORT)), float(kernel.run(FIRST))
                kernel.run(WORK)
                kernel.run("await runs; None")
                kernel.run("%%on pool\nsum(range(10))")
                for question in (kernel.client.complete("pool.ca", 7), kernel.client.inspect("pool.call", 9)):
                    while kernel.client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != question:
                        pass
                rows.append((first * 1e3, imported * 1e3, (int(kernel.run(RESIDENT)) - empty) / 1e6))
            finally:
                kernel.close()
    first_ms, import_ms, memory = (statistics.median(column) for column in zip(*rows, strict=True))
    return {"notebook_start.first": first_ms, "notebook_start.import": import_ms, "notebook_start.memory": memory}


async def notebook_start(kernels: int) -> Figures:
    return await asyncio.to_thread(started, kernels)


CASES = (
    Case(
        "notebook_start",
        notebook_start,
        (
            Figure("notebook_start.first", "ms", higher=False),
            Figure("notebook_start.import", "ms", higher=False),
            Figure("notebook_start.memory", "MB", higher=False),
        ),
        size=5,
        smoke=1,
        fresh=True,
        runs=3,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
