"""What the two nodes of this example share: both import this file, so both know these names."""

from __future__ import annotations

import os

import beampy as bp

SHOP = "shop@localhost"  # a node's name: what it is called, and the host where others find it


class Stock(bp.Server):
    """What is on the shelves. It lives on the shop's node; its clients are anywhere."""

    def __init__(self, **shelves: int) -> None:
        self.shelves = shelves

    @bp.call(raises=(KeyError, ValueError))
    async def take(self, what: str, count: int) -> int:
        if count > self.shelves[what]:
            raise ValueError(f"only {self.shelves[what]} {what} left")
        self.shelves[what] -= count
        return self.shelves[what]

    @bp.cast
    def put(self, what: str, count: int) -> None:
        self.shelves[what] = self.shelves.get(what, 0) + count


async def helper(customer: bp.Pid) -> None:
    """A process that a customer starts in the shop: it uses what is there, and writes to where he is."""
    left = await Stock.client("stock").take("apples", 5)
    bp.send(customer, ("packed", 5, left, os.getpid()))
    await bp.receive()  # a word of thanks
