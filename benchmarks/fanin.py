"""Fan-in: messages a second from a hundred processes into one.

The same as one-way, with the producers taking turns: what a busy process sees.
"""

from __future__ import annotations

from benchmarks.case import Case, Figure, Figures
from benchmarks.harness import main
from benchmarks.oneway import into_one


async def fanin(n: int) -> Figures:
    return {"fanin": await into_one(100, n)}


CASES = (Case("fanin", fanin, (Figure("fanin", "messages/s"),), size=1_000_000, smoke=1000),)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
