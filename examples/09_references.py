"""References: a large object stays on the machine that made it; what moves is a handle.

python examples/09_references.py
"""

from __future__ import annotations

from typing import Any

import beampy as bp


def load(rows: int) -> list[dict[str, Any]]:
    """Something that takes its time, and much memory. It runs on a runner, and stays there."""
    return [{"id": n, "price": n * 37 % 1000 / 10} for n in range(rows)]


def dearest(orders: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """What one wants to know of it: a few rows."""
    return sorted(orders, key=lambda row: row["price"], reverse=True)[:count]


def without(orders: list[dict[str, Any]], price: float) -> list[dict[str, Any]]:
    """Another large object."""
    return [row for row in orders if row["price"] != price]


async def main() -> None:
    async with bp.Pool(max=2) as pool:
        orders = await pool.keep(load, 300_000)
        print(orders)  # a RemoteRef: no row has come here

        print(await orders.do.__len__(), "orders; the last one:", await orders.do[-1])  # asked where they are
        # A call with a reference runs where the object is, and gets the object itself.
        for row in await pool.call(dearest, orders, 3):
            print("  ", row)

        # What comes out of a call can stay there as well.
        cheaper = await pool.keep(without, orders, 99.9)
        print(await cheaper.do.__len__(), "without the dearest")

        print(await bp.refs(orders.node))  # who has what
        del orders, cheaper  # the last handles: the runner's memory is free, and the runner may end


if __name__ == "__main__":
    bp.run(main)
