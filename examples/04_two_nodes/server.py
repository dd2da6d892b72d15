"""Two nodes, first terminal: the shop.

python examples/04_two_nodes/server.py
"""

from __future__ import annotations

import os

from shop import SHOP, Stock

import beampy as bp


async def main() -> None:
    await Stock.start_link(apples=20, pears=3, name="stock")
    bp.monitor_nodes()
    print(f"{bp.node()} is open, OS process {os.getpid()}; now start client.py in another terminal", flush=True)
    while True:
        match await bp.receive():
            case bp.NodeUp(node):
                print(f"{node} has come", flush=True)
            case bp.NodeDown(node, reason):
                print(f"{node} has gone: {reason}", flush=True)


if __name__ == "__main__":
    bp.run(main, name=SHOP)  # all nodes need the same cookie: BEAMPY_COOKIE, or ~/.beampy.cookie, made at first use
