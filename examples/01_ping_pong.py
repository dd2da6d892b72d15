"""Two processes and their messages: spawn, send, receive, monitor.

python examples/01_ping_pong.py
"""

from __future__ import annotations

import beampy as bp


async def ponger() -> None:
    """Answers each ping until it is told to stop."""
    async for message in bp.mailbox():
        match message:
            case ("ping", n, sender):
                bp.send(sender, ("pong", n))
            case "stop":
                return


async def main() -> None:
    pid, ref = bp.spawn_monitor(ponger)
    for n in range(3):
        bp.send(pid, ("ping", n, bp.self()))
        print(await bp.receive(("pong", int)))

    bp.send(pid, "stop")
    down = await bp.receive(bp.Down)
    assert down.ref == ref
    print(f"the ponger ended: {down.reason}")


if __name__ == "__main__":
    bp.run(main)
