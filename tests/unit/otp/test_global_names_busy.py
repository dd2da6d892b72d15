"""Global names when a connection takes no more for a while: nothing that somebody waits for is lost."""

from __future__ import annotations

from typing import Any

import pytest

import beampy as bp
from beampy.errors import NodeDown, PeerBusy
from beampy.otp import gen, groups_circle
from beampy.otp import global_names as names
from beampy.otp import global_names_keeper as keeper
from beampy.otp import global_names_locks as locks
from tests.unit.otp.nodes_ground import idle
from tests.unit.otp.test_global_names import cluster, everywhere, nothing_left


class Sometimes:
    """A sender that refuses messages of some kinds, the first so many times."""

    def __init__(self, send: Any, kinds: tuple[str, ...], times: int) -> None:
        self.send = send
        self.kinds = kinds
        self.times = times

    def __call__(self, dest: Any, message: Any) -> None:
        kind = message[0] if isinstance(message, tuple) and message else None
        if kind in self.kinds and self.times > 0:
            self.times -= 1
            raise PeerBusy("b@h", 1)
        self.send(dest, message)


class Api:
    """The verbs, with another send."""

    def __init__(self, api: Any, send: Any) -> None:
        self.api = api
        self.send = send

    def __getattr__(self, name: str) -> Any:
        return getattr(self.api, name)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (groups_circle, keeper):
        monkeypatch.setattr(module, "CATCH_UP", 0.05)
    monkeypatch.setattr(locks, "LONGEST_WAIT", 0.05)


async def test_an_acknowledgement_is_said_again(monkeypatch: pytest.MonkeyPatch):
    async with cluster("a", "b") as nodes:
        refuse = Sometimes(groups_circle.api.send, ("known",), 3)
        monkeypatch.setattr(groups_circle, "api", Api(groups_circle.api, refuse))
        pid = nodes.nodes["a"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        assert refuse.times == 0
        assert await nodes.run("b", names.whereis, "n") == pid
        await nothing_left(nodes)


async def test_one_that_cannot_be_told_holds_up_nobody_and_is_told_later(monkeypatch: pytest.MonkeyPatch):
    async with cluster("a", "b") as nodes:
        refuse = Sometimes(groups_circle.api.send, ("change", "sync"), 3)
        monkeypatch.setattr(groups_circle, "api", Api(groups_circle.api, refuse))
        pid = nodes.nodes["a"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        await everywhere(nodes, "n", pid)
        assert refuse.times == 0


async def test_a_greeting_is_said_again(monkeypatch: pytest.MonkeyPatch):
    async with cluster("a") as nodes:
        pid = nodes.nodes["a"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        refuse = Sometimes(groups_circle.api.send, ("discover",), 3)
        monkeypatch.setattr(groups_circle, "api", Api(groups_circle.api, refuse))
        await nodes.up("b")
        await nodes.connect("a", "b")
        await everywhere(nodes, "n", pid)
        assert refuse.times == 0


async def test_a_name_that_is_given_away_while_nodes_meet_is_known_when_register_returns(
    monkeypatch: pytest.MonkeyPatch,
):
    async with cluster("a") as nodes:
        await nodes.up("b")
        refuse = Sometimes(groups_circle.api.send, ("discover",), 3)
        monkeypatch.setattr(groups_circle, "api", Api(groups_circle.api, refuse))
        await nodes.connect("a", "b")
        pid = nodes.nodes["a"].spawn(idle)
        await nodes.run("a", names.register, "n", pid)
        assert await nodes.run("b", names.whereis, "n") == pid


async def test_a_keeper_that_is_never_heard_of_holds_up_nobody(monkeypatch: pytest.MonkeyPatch):
    async with cluster("a") as nodes:
        await nodes.up("b")
        refuse = Sometimes(groups_circle.api.send, ("discover",), 1_000_000)
        with monkeypatch.context() as patch:
            patch.setattr(groups_circle, "api", Api(groups_circle.api, refuse))
            patch.setattr(keeper, "LONGEST_EARLY", 0.05)
            await nodes.connect("a", "b")
            pid = nodes.nodes["a"].spawn(idle)
            await nodes.run("a", names.register, "n", pid)
            assert await nodes.run("b", names.whereis, "n") is None
        await everywhere(nodes, "n", pid)


async def test_a_claim_without_the_lock_is_refused():
    async with cluster("a") as nodes:

        async def body() -> None:
            await names.register("m")
            with pytest.raises(NodeDown):
                await bp.call(locks.NAME, ("claim", "n", bp.self(), None, ()))
            assert names.registered() == ["m"]

        await nodes.run("a", body)


async def test_a_lock_is_given_back_later(monkeypatch: pytest.MonkeyPatch):
    async with cluster("a", "b") as nodes:
        cast, refusals = gen.cast, ["twice", "is enough"]

        def busy(server: Any, request: Any) -> None:
            if refusals and isinstance(server, tuple):
                refusals.pop()
                raise PeerBusy("b@h", 1)
            cast(server, request)

        monkeypatch.setattr(gen, "cast", busy)

        async def body() -> None:
            for _ in range(2):
                async with names.lock("r"):
                    pass
            await nothing_left(nodes)

        await nodes.run("a", body)
        assert refusals == []
