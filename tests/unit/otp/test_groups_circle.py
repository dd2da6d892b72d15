"""What the scopes of several nodes say to each other: what is unknown, unreadable, too much or too late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy.otp import groups
from beampy.testing import harness
from tests.unit.otp.nodes_ground import cluster, idle, join, seen, until

SIM = pytest.mark.loops("sim")


async def test_what_unknown_scopes_say_is_ignored():
    async with cluster("a", "b") as nodes:
        there = await nodes.run("b", bp.self)
        far = bp.Pid("far@localhost", 1, 1)

        async def body() -> None:
            for scope in (there, far, bp.self()):
                bp.send("groups", ("change", scope, ("join", "g", (there,))))
            for scope in (far, bp.self()):
                bp.send("groups", ("discover", scope))
                bp.send("groups", ("sync", scope, 0, True, {"g": (there,)}))
            await groups.leave("g")
            assert groups.members("g") == []
            await harness.nothing()

        await nodes.run("a", body)


async def test_nonsense_from_a_scope_that_is_known(caplog: pytest.LogCaptureFixture):
    async with cluster("a", "b") as nodes:
        pid = await join(nodes, "b", "g")
        await seen(nodes, "a", "g", [pid])
        scope = await nodes.run("b", bp.whereis, "groups")

        async def body() -> None:
            bp.send("groups", ("change", scope, 7))
            bp.send("groups", ("sync", scope, 3, True, {"g": ()}))  # parts whose beginning is missing
            bp.send("groups", "garbage")
            await groups.leave("g")
            assert groups.members("g") == [pid]

        await nodes.run("a", body)
        assert "said what is no change of groups: 7" in caplog.text
        assert "an unexpected message: 'garbage'" in caplog.text


class Room:
    """A group of somebody's own class."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Room) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


def unreadable() -> Any:
    raise ImportError("there is no such class here")


class Secret(Room):
    """A group that no other node can read."""

    def __reduce__(self) -> Any:
        return unreadable, ()


async def test_groups_of_any_class(caplog: pytest.LogCaptureFixture):
    async with cluster("a") as nodes:
        for group in (Room(1), Secret(2), "plain"):
            await join(nodes, "a", group)
        with pytest.raises(bp.errors.EncodeError, match="the group <function"):
            await join(nodes, "a", lambda: None)
        await nodes.up("b")
        await nodes.connect("a", "b")
        await until(lambda: nodes.run("b", lambda: set(groups.which_groups())), {Room(1), "plain"})
        assert "there is no such class here" in caplog.text
        await join(nodes, "a", Secret(3))
        pid = await join(nodes, "a", "more")
        await seen(nodes, "b", "more", [pid])


async def test_more_groups_than_fit_in_one_message():
    many = 2500
    async with cluster("a") as nodes:
        pid = nodes.nodes["a"].spawn(idle)

        async def body() -> None:
            for n in range(many):
                groups.join(n, pid)
            await groups.join("last", pid)

        await nodes.run("a", body)
        await nodes.up("b")
        await nodes.connect("a", "b")
        await until(lambda: nodes.run("b", lambda: len(groups.which_groups())), many + 1)
        await nodes.run("a", bp.exit, pid, "kill")
        await until(lambda: nodes.run("b", groups.which_groups), [])


async def test_one_that_reads_too_slowly_is_told_everything_later(monkeypatch: pytest.MonkeyPatch):
    async with cluster("a", "b") as nodes:
        busy = True
        send = groups.api.send

        def refuse(dest: Any, message: Any) -> None:
            if busy and isinstance(message, tuple) and message[0] in ("change", "discover", "sync"):
                raise bp.errors.PeerBusy("b@h", 1)
            send(dest, message)

        monkeypatch.setattr("beampy.otp.groups_circle.CATCH_UP", 0.05)
        with monkeypatch.context() as patch:
            patch.setattr("beampy.otp.groups_circle.api.send", refuse)
            pid = await join(nodes, "a", "g")
            await asyncio.sleep(harness.QUIET)
            assert await nodes.run("b", groups.members, "g") == []
            busy = False
            await seen(nodes, "b", "g", [pid])
