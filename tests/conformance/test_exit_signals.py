"""The truth table of exit signals: beam.md 4.4-4.6, 3.2. Every way a reason reaches a process."""

from __future__ import annotations

import beampy as bp
from beampy.core.signals import on_exit_signal
from beampy.testing import harness
from tests.conformance.vectors import PROBES, Probe, table


async def other(me: bp.Pid) -> None:
    """The other process. Its "checked" is sent after its signal, so it arrives after it."""
    async for message in bp.mailbox():
        match message:
            case ("do", "exit2", pid, why):
                bp.exit(pid, why)
                bp.send(pid, "checked")
            case ("do", "link_exit1", _, why):
                bp.exit(why)


async def subject(me: bp.Pid, how: str, role: str, trap: bool, why: object, peer: bp.Pid) -> None:
    """The process that a reason reaches: it tells what it sees of it."""
    bp.trap_exit(trap)
    if role == "linked":
        bp.link(peer)
    watch = bp.monitor(peer) if how == "link_exit1" else None
    bp.send(me, "ready")
    if role == "self":
        if how == "exit1":
            bp.exit(why)
        bp.exit(bp.self(), why)
        bp.send(bp.self(), "checked")
    async for message in bp.mailbox():
        match message:
            case bp.Exit(_, seen):
                bp.send(me, ("seen", ("message", seen)))
            case "checked":
                bp.send(me, ("seen", "dropped"))
            case bp.Down(ref) if ref == watch:
                # An EXIT of the same end is in the mailbox before or after it; both have been sent by now.
                exits = [m for m in harness.flush() if isinstance(m, bp.Exit)]
                bp.send(me, ("seen", ("message", exits[0].reason) if exits else "dropped"))


async def outcome(row: Probe) -> object:
    how, role, trap, why = (row.input[key] for key in ("how", "from", "trap", "reason"))
    me = bp.self()
    peer = bp.spawn(other, me)
    pid, ref = bp.spawn_monitor(subject, me, how, role, trap, why, peer)
    await harness.expect("ready")
    if how == "link_exit2":
        bp.exit(peer, why)
        await harness.arrived(peer)
        if bp.is_alive(peer):
            bp.send(pid, "checked")
    else:
        bp.send(peer, ("do", how, pid, why))
    message = await bp.receive(lambda m: isinstance(m, tuple) and (m[0] == "seen" or m[0] == ref))
    if message[0] != "seen":
        return ("died", message.reason)
    bp.exit(pid, "kill")
    return message[1]


@table("exit1")
async def test_exit1(row: Probe):
    return await outcome(row)


@table("exit2")
async def test_exit2(row: Probe):
    return await outcome(row)


@table("link_exit1")
async def test_link_exit1(row: Probe):
    return await outcome(row)


@table("link_exit2")
async def test_link_exit2(row: Probe):
    return await outcome(row)


def test_pure_table() -> None:
    """The pure function says the same as the processes do, row by row."""
    effects = {"dropped": "drop", "died": "die", "message": "message"}
    for row in PROBES.values():
        if row.file != "exit_signals.json" or row.input["how"] == "exit1":
            continue
        why, linked = row.input["reason"], row.input["how"].startswith("link_")
        if row.input["how"] == "link_exit2":
            if why == "normal":
                continue  # the other process drops it: nothing comes through the link
            why = "killed" if why == "kill" else why
        effect, seen = on_exit_signal(
            why, link=linked, trapping=row.input["trap"], from_self=row.input["from"] == "self"
        )
        wanted = (row.value, why) if isinstance(row.value, str) else row.value
        assert (effect, seen) == (effects[wanted[0]], wanted[1]), row.name
