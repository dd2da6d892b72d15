"""node: the tables, what a destination means, routing of signals, and what is left of it all."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.signals import DownSignal, ExitSignal, LinkSignal, UnlinkAckSignal, UnlinkSignal
from beampy.errors import BadDestination, NoProcess, NotInNode, NotRegistered
from beampy.testing import harness

if TYPE_CHECKING:
    from beampy.core.node import LocalNode

LONG = 30.0


def here() -> LocalNode:
    return api.self_process().node


async def idle() -> None:
    await bp.receive(("never",))


async def echo(to: bp.Pid) -> None:
    async for message in bp.mailbox():
        bp.send(to, ("echo", message))


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


class Wire:
    """A way to other nodes that keeps what is given to it."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Any]] = []
        self.signals: list[Any] = []

    def send(self, sender: Any, dest: Any, message: Any) -> None:
        self.sent.append((dest, message))

    def signal(self, signal: Any) -> None:
        self.signals.append(signal)

    def ask(self, asker: Any, to: Any, ref: Any) -> None:
        self.signals.append(("ask", asker, to, ref))


# identities


async def test_refs_and_pids_are_never_used_twice() -> None:
    async def body() -> None:
        node = here()
        assert len({node.new_ref() for _ in range(1000)}) == 1000
        pids = [bp.spawn(idle) for _ in range(100)]
        assert len({pid.serial for pid in pids}) == 100
        assert {(pid.node, pid.creation) for pid in pids} == {(node.name, node.creation)}
        assert node.is_mine(pids[0])
        assert not node.is_mine(bp.Pid(node.name, pids[0].serial, node.creation + 1))
        assert not node.is_mine(bp.Pid("else@where", pids[0].serial, node.creation))

    await harness.run(body)


async def test_a_copy_of_a_pid_leads_to_the_same_process() -> None:
    async def body() -> None:
        pid = bp.spawn(echo, bp.self())
        for same in (pickled(pid), bp.Pid(pid.node, pid.serial, pid.creation), copy.deepcopy(pid)):
            bp.send(same, 1)
            assert await harness.expect(("echo", 1))
            assert bp.is_alive(same)
            assert bp.process_info(same) == bp.process_info(pid)
            assert same == pid

    await harness.run(body)


@pytest.mark.parametrize("used", [True, False])
async def test_a_copy_of_a_pid_is_dead_when_the_process_is(used: bool) -> None:
    async def body() -> None:
        bp.trap_exit()
        pid = bp.spawn(idle)
        other = pickled(pid)
        if used:
            bp.send(other, "while it lives")
            assert bp.is_alive(other)
            bp.demonitor(bp.monitor(other))
        bp.exit(pid, "kill")
        node = here()
        assert node.find(other) is None
        assert not bp.is_alive(other)
        assert bp.process_info(other) is None
        bp.send(other, "into the void")
        ref = bp.monitor(other)
        assert await harness.expect(bp.Down) == bp.Down(ref, pid, "noproc")
        bp.link(other)
        assert await harness.expect(bp.Exit) == bp.Exit(pid, "noproc")
        with pytest.raises(NoProcess):
            await bp.request(other)
        with pytest.raises(NoProcess):
            bp.register("name", other)

    await harness.run(body)


async def test_a_pid_of_an_earlier_life_of_the_node_is_nobodys() -> None:
    async def body() -> None:
        pid = bp.spawn(idle)
        old = bp.Pid(pid.node, pid.serial, pid.creation - 1)
        assert not bp.is_alive(old)
        bp.send(old, "into the void")
        bp.exit(old, "kill")
        ref = bp.monitor(old)
        assert await harness.expect(bp.Down) == bp.Down(ref, old, "noproc")
        assert bp.is_alive(pid)

    await harness.run(body)


# destinations


class Client:
    def __init__(self, pid: Any) -> None:
        self.pid = pid


class Nameless:
    @property
    def pid(self) -> bp.Pid:
        raise NotRegistered("a name of its own kind")


async def test_what_a_message_may_be_sent_to() -> None:
    async def body() -> None:
        pid = bp.spawn(echo, bp.self())
        bp.register("echo", pid)
        for dest in (pid, "echo", ("echo", here().name), Client(pid), Client(Client(pid).pid)):
            bp.send(dest, "x")
            assert await harness.expect(("echo", "x"))
        alias = bp.alias()
        bp.send(alias, "to me")
        assert await harness.expect("to me")

    await harness.run(body)


async def test_who_is_not_there() -> None:
    async def body() -> None:
        node = here()
        for silent in (("nobody", node.name), ("nobody", "else@where"), bp.Pid("else@where", 1, 1),
                       bp.Ref("else@where", 1, 1), node.new_ref(), bp.Ref(node.name, 1, 1)):  # fmt: skip
            bp.send(silent, "into the void")
        for name in ("nobody", Client(None), Nameless()):
            with pytest.raises(NotRegistered):
                bp.send(name, "x")
        for nonsense in (5, None, ("a", "b", "c"), ("a", 1), [1], b"name", Client(5), 1.5):
            with pytest.raises(BadDestination):
                bp.send(nonsense, "x")
        await harness.nothing(timeout=0)

    await harness.run(body)


async def test_resolve_finds_local_processes_only() -> None:
    async def body() -> None:
        node = here()
        pid = bp.spawn(idle, name="idle")
        process = node.find(pid)
        for dest in (pid, "idle", ("idle", node.name), Client(pid), pickled(pid)):
            assert node.resolve(dest) is process
            assert not node.is_remote(dest)
        for dest in ("nobody", ("idle", "else@where"), bp.Pid("else@where", pid.serial, pid.creation), 5, None,
                     Client(None), Nameless(), ("a", "b", "c")):  # fmt: skip
            assert node.resolve(dest) is None
        for dest in (("idle", "else@where"), bp.Pid("else@where", 1, 1), bp.Ref("else@where", 1, 1),
                     Client(bp.Pid("else@where", 1, 1))):  # fmt: skip
            assert node.is_remote(dest)

    await harness.run(body)


# what goes elsewhere


async def test_what_is_not_local_goes_to_the_remote() -> None:
    async def body() -> None:
        node = here()
        wire = node.remote = Wire()
        far, alias = bp.Pid("b@h", 1, 1), bp.Ref("b@h", 2, 1)
        for dest in (far, alias, ("name", "b@h")):
            bp.send(dest, "x")
        bp.send(Client(far), "y")
        assert wire.sent == [(far, "x"), (alias, "x"), (("name", "b@h"), "x"), (far, "y")]
        me = bp.self()
        bp.link(far)
        bp.link(far)
        ref = bp.monitor(far)
        bp.exit(far, "reason")
        bp.unlink(far)
        bp.demonitor(ref)
        assert [type(signal).__name__ for signal in wire.signals] == [
            "LinkSignal", "MonitorSignal", "ExitSignal", "UnlinkSignal", "DemonitorSignal"]  # fmt: skip
        assert all(signal.to == far and signal.sender == me for signal in wire.signals)

    await harness.run(body)


async def test_the_end_of_a_process_is_told_to_other_nodes() -> None:
    async def body() -> None:
        node = here()
        wire = node.remote = Wire()
        far = bp.Pid("b@h", 1, 1)
        pid = bp.spawn(idle)
        node.route_signal(LinkSignal(far, pid))
        process = node.find(pid)
        assert process is not None
        ref = bp.Ref("b@h", 9, 1)
        process.watched(ref, far)
        bp.exit(pid, "kill")
        assert wire.signals == [ExitSignal(pid, far, "killed", True), DownSignal(far, ref, "killed", pid)]

    await harness.run(body)


async def test_signals_to_the_dead_are_answered() -> None:
    async def body() -> None:
        node = here()
        wire = node.remote = Wire()
        far = bp.Pid("b@h", 1, 1)
        dead = bp.spawn(idle)
        bp.exit(dead, "kill")
        node.route_signal(LinkSignal(far, dead))
        node.route_signal(UnlinkSignal(far, dead, 7))
        node.route_signal(UnlinkAckSignal(far, dead, 7))
        node.route_signal(ExitSignal(far, dead, "x", False))
        assert wire.signals == [ExitSignal(dead, far, "noproc", True), UnlinkAckSignal(dead, far, 7)]

    await harness.run(body)


# spawning


async def test_nothing_is_half_spawned_when_spawning_fails() -> None:
    async def body() -> None:
        before = here().statistics()
        bp.register("taken", bp.self())
        with pytest.raises(ValueError, match="taken"):
            bp.spawn(idle, name="taken")
        with pytest.raises(ValueError, match="no process name"):
            bp.spawn(idle, name="")
        with pytest.raises(TypeError):
            bp.spawn(idle, "one argument too many", name="free")
        with pytest.raises(TypeError):
            bp.spawn(print, name="free", monitor=True)
        bp.unregister("taken")
        after = here().statistics()
        for figure in ("processes", "spawned", "names"):
            assert after[figure] == before[figure], figure
        assert bp.whereis("free") is None
        assert not api.self_process().extras().links.monitors

    await harness.run(body)


async def test_a_closed_node_spawns_nothing() -> None:
    nodes = []

    async def body() -> None:
        nodes.append(here())

    await harness.run(body)
    with pytest.raises(NotInNode):
        nodes[0].spawn(idle, (), None)


# names


async def test_names_come_and_go_with_their_processes() -> None:
    async def body() -> None:
        node = here()
        pid = bp.spawn(idle, name="one")
        assert (bp.whereis("one"), bp.registered()) == (pid, ["one"])
        bp.unregister("one")
        bp.register("two", pid)
        bp.exit(pid, "kill")
        assert bp.whereis("two") is None
        assert node.statistics()["names"] == 0
        with pytest.raises(NoProcess):
            bp.register("three", pid)
        with pytest.raises(NotRegistered):
            bp.unregister("two")

    await harness.run(body)


async def test_a_name_that_was_given_to_another_is_not_freed_by_the_first() -> None:
    async def body() -> None:
        first, second = bp.spawn(idle, name="one"), bp.spawn(idle)
        bp.unregister("one")
        bp.register("one", second)
        bp.exit(first, "kill")
        assert bp.whereis("one") == second

    await harness.run(body)


# observing


async def test_the_tracer_sees_what_takes_the_short_way() -> None:
    async def body() -> None:
        node = here()
        events: list[Any] = []
        pid = bp.spawn(echo, bp.self())
        await asyncio.sleep(0)
        node.trace(lambda *event: events.append(event))
        bp.send(pid, 1)
        await harness.expect(("echo", 1))
        bp.exit(pid, "kill")
        node.trace(None)
        bp.send(bp.self(), "unseen")
        me = bp.self()
        assert events == [("send", me, (pid, 1)), ("send", pid, (me, ("echo", 1))), ("exit", pid, None)]

    await harness.run(body)


async def test_statistics_come_back_to_where_they_were() -> None:
    async def body() -> None:
        node = here()
        before = node.statistics()
        pids = [bp.spawn(idle, name=f"n{n}") for n in range(100)]
        timers = [bp.send_after(LONG, pid, "x") for pid in pids]
        pending = [bp.request(pid, LONG) for pid in pids]
        refs = [bp.monitor(pid) for pid in pids]
        during = node.statistics()
        for figure in ("processes", "spawned", "timers", "deadlines", "names"):
            assert during[figure] - before[figure] == 100, figure
        for pid in pids:
            bp.exit(pid, "kill")
        for ref in refs:
            assert (await harness.expect(bp.Down)).ref == ref
        for call in pending:
            assert call.exception() is not None
        await asyncio.sleep(0)
        after = node.statistics()
        for figure in ("processes", "timers", "deadlines", "names", "zombies"):
            assert after[figure] == before[figure], figure
        assert not any(timer in node.timers.pending for timer in timers)

    await harness.run(body)
