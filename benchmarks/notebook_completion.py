"""Tab and Shift-Tab in a notebook: milliseconds from the request to its answer, through Jupyter's protocol.

In a cell that runs on another node: "names" of what its cells have bound, "attributes" of an object, "hover". In a cell
of the kernel: "arguments" of a function that is given to a pool. As somebody types, which is from what was asked a
moment before for the most part; "asked" is the same as "attributes" right after a cell, when the node is asked each
time. "busy" is "attributes" while a cell computes.

"cold" is the first answer of a new kernel, "useful" from the same moment until the name is among what is suggested;
"hung" the slowest answer while the other node is frozen (SIGSTOP).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main
from benchmarks.notebook_kernel import Notebook

THERE = '''%%on {node}
class Model:
    """A model."""
    def __init__(self, n: int = 3) -> None:
        self.n = n
    def fit(self, rows, *, rate: float = 0.1) -> "Model":
        """Learn from rows."""
        return self
model = Model()
'''
HERE = "def train(rows, *, rate: float = 0.1): return rate\npool = bp.Pool(max=1)"
QUESTIONS = {"names": "%%on {node}\nmod", "attributes": "%%on {node}\nmodel.fi", "arguments": "pool.call(train, ra"}
EXPECTED = {"names": "model", "attributes": "fit", "arguments": "rate="}
WARM = 1.5  # seconds: what is loaded after the first cell has ended is there
HUNG = 8  # answers while the other node is frozen: the first finds it out
FROZEN = ("names", "attributes", "hover")


def percentile(values: list[float], fraction: float) -> float:
    """That percentile."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(fraction * len(ranked)))]


class Asked:
    """The answers of one notebook."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook

    def one(self, kind: str) -> float:
        """The milliseconds of one answer, which must be right."""
        if kind == "hover":
            took, text = self.notebook.inspect(f"%%on {self.notebook.there}\nmodel.fit(")
            expected, found = "Signature: model.fit(", [text]
        else:
            took, found = self.notebook.complete(QUESTIONS[kind].format(node=self.notebook.there))
            expected = EXPECTED[kind]
        if not any(text.startswith(expected) for text in found):
            raise RuntimeError(f"{kind}: {expected!r} is not in {found[:5]}")
        return took

    def cold(self) -> Figures:
        """The first answer."""
        began = time.perf_counter()
        code = QUESTIONS["attributes"].format(node=self.notebook.there)
        first, found = self.notebook.complete(code)
        while EXPECTED["attributes"] not in found:
            _, found = self.notebook.complete(code)
        return {"cold": first, "useful": (time.perf_counter() - began) * 1e3}

    def hung(self) -> float:
        """The slowest answer of a node that is frozen."""
        self.notebook.stop_node()
        try:
            slowest = 0.0
            for turn in range(HUNG):
                kind = FROZEN[turn % len(FROZEN)]
                self.notebook.run("0")  # what was known is not fresh any more
                slowest = max(slowest, self.one(kind))
        finally:
            self.notebook.continue_node()
        return slowest


def measured(n: int) -> Figures:
    """All of it."""
    figures: dict[str, Any] = {}
    with Notebook() as notebook:
        notebook.run(THERE.format(node=notebook.there))
        asked = Asked(notebook)
        figures |= asked.cold()
        notebook.run(HERE)
        time.sleep(WARM)
        for kind in ("names", "attributes", "arguments", "hover"):
            asked.one(kind)
            took = [asked.one(kind) for _ in range(n)]
            figures |= {f"{kind}.p50": percentile(took, 0.5), f"{kind}.p95": percentile(took, 0.95)}
        took = []
        for _ in range(n):
            notebook.run("0")
            took.append(asked.one("attributes"))
        figures |= {"asked.p50": percentile(took, 0.5), "asked.p95": percentile(took, 0.95)}
        cell = notebook.begin("import os\nwhile not os.path.exists('go'): sum(range(1000))")
        took = [asked.one("attributes") for _ in range(n)]
        figures |= {"busy.p50": percentile(took, 0.5), "busy.p95": percentile(took, 0.95)}
        notebook.interrupt(cell)
        figures["hung"] = asked.hung()
    return {f"notebook_completion.{name}": value for name, value in figures.items()}


async def notebook_completion(n: int) -> Figures:
    return await asyncio.to_thread(measured, n)


NAMES = ("names", "attributes", "arguments", "hover", "asked", "busy")
CASES = (
    Case(
        "notebook_completion",
        notebook_completion,
        (
            *(Figure(f"notebook_completion.{name}.{part}", "ms", False) for name in NAMES for part in ("p50", "p95")),
            *(Figure(f"notebook_completion.{name}", "ms", False) for name in ("cold", "useful", "hung")),
        ),
        size=200,
        smoke=3,
        fresh=True,
        runs=3,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
