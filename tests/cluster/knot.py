"""A program that is registered at the name service, and is it when it is its turn: `knot.py NAME EPMD_PORT`.

It says "ready" when it is registered and "serving" when it has become the name service, and ends with its input.
"""

from __future__ import annotations

import asyncio
import sys

from beampy.dist.address import Address, encode_extra
from beampy.dist.discovery import EpmdDiscovery


def say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def main(name: str, port: int) -> None:
    discovery = EpmdDiscovery(port, addresses=())
    await discovery.start(name, 9100, encode_extra(Address(tls=False)), hidden=False)
    say("ready")
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    said = False
    while not ended.done():
        if not said and discovery.server is not None:
            said = True
            say("serving")
        await asyncio.sleep(0.01)
    await discovery.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
