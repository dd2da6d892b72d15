"""Two nodes, second terminal: a customer. Kill the first one when it says so, and see what is seen here.

python examples/04_two_nodes/client.py
"""

from __future__ import annotations

import logging
import os
import sys

from shop import SHOP, Stock, helper

import beampy as bp


async def main() -> None:
    try:
        await bp.connect(SHOP)
    except bp.errors.NotConnected as error:
        sys.exit(f"{error}\nstart server.py first, in another terminal")
    print(f"{bp.node()}, OS process {os.getpid()}, is connected with {bp.nodes()}")

    # A server there is called as one here: by its name and its node.
    stock = Stock.client(("stock", SHOP))
    stock.put("plums", 7)
    print("plums left:", await stock.take("plums", 3))
    try:
        await stock.take("pears", 100)
    except ValueError as error:
        print("refused:", error)

    # Its end, and that of its node, will be messages.
    bp.monitor(("stock", SHOP))
    bp.monitor_nodes()

    # A function there, whichever it is.
    print("the shop is OS process", await bp.remote_call(SHOP, os.getpid))

    # A process there, which writes back: pids travel in messages.
    pid, _ = await bp.spawn_monitor(helper, bp.self(), node=SHOP)
    _, count, left, where = await bp.receive(("packed", int, int, int))
    print(f"packed {count} apples in OS process {where}, {left} left")
    bp.send(pid, "thanks")
    down = await bp.receive(bp.Down)
    print("the helper ended:", down.reason)

    print("now kill the shop: Ctrl-C in its terminal, or kill -9", flush=True)
    for _ in range(2):
        match await bp.receive():
            case bp.Down(target=target, reason=reason):
                print(f"{target} is down: {reason}")
            case bp.NodeDown(node, reason):
                print(f"{node} is gone: {reason}")
    try:
        await stock.take("plums", 1)
    except bp.errors.CallFailed as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)  # the node's own lines about the connection
    bp.run(main, name="customer")
