"""Registry: registering is immediate, and the dead are in no answer."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy.core.ids import Pid
from beampy.errors import AlreadyRegistered, AlreadyStarted, NameTaken, NoProcess, NotLocal, NotRegistered, StartFailed
from beampy.otp import debug
from beampy.otp.registry import Entry, Registered, Registry, Unregistered
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness

if TYPE_CHECKING:
    from beampy.otp.registry_keeper import Keys


async def holder(reg: Registry, tell: bp.Pid, *entries: tuple[Any, Any]) -> None:
    """Registers itself, tells, and waits for its end."""
    for key, value in entries:
        reg.register(key, value)
    bp.send(tell, ("ready", bp.self()))
    async for message in bp.mailbox():
        if message == "stop":
            return
        bp.send(tell, ("got", bp.self(), message))


async def held(reg: Registry, *entries: tuple[Any, Any]) -> bp.Pid:
    pid = bp.spawn(holder, reg, bp.self(), *entries)
    await harness.expect(("ready", pid))
    return pid


async def watched(reg: Registry) -> set[bp.Pid]:
    """Whom the keeper monitors, once it has read its mail."""
    return set((await state_of(reg))["monitors"])


async def state_of(reg: Registry) -> Any:
    return await debug.get_state(reg.pid)


# one process a key


async def test_a_process_is_found_when_register_returns():
    async def body() -> None:
        reg, me = await Registry.start_link(), bp.self()
        assert reg.lookup("k") == []
        assert reg.whereis("k") is None
        reg.register("k", 5)
        assert reg.lookup("k") == [(me, 5)]
        assert reg.lookup("k")[0].value == 5
        assert reg.whereis("k") == me
        assert reg.keys(me) == ["k"]
        assert reg.count() == 1

    await harness.run(body)


async def test_any_hashable_is_a_key_and_nothing_else_is():
    async def body(keys: Keys) -> None:
        reg = await Registry.start_link(keys=keys)
        for key in (1, ("room", 7), None, frozenset({1}), b"x", bp.self()):
            reg.register(key)
            assert reg.lookup(key) == [(bp.self(), None)]
        with pytest.raises(TypeError):
            reg.register(["a list"])  # type: ignore[arg-type]
        assert reg.count() == 6

    await harness.run(body, "unique")
    await harness.run(body, "duplicate")


async def test_a_unique_key_is_held_by_one():
    async def body() -> None:
        reg = await Registry.start_link(name="reg")
        other = await held(reg, ("k", 1))
        with pytest.raises(AlreadyRegistered) as taken:
            reg.register("k", 2)
        assert (taken.value.key, taken.value.pid) == ("k", other)
        assert isinstance(taken.value, NameTaken)
        copy = pickle.loads(pickle.dumps(taken.value))
        assert (copy.key, copy.pid, str(copy)) == ("k", other, str(taken.value))
        assert reg.lookup("k") == [(other, 1)]
        reg.register("mine")
        with pytest.raises(AlreadyRegistered):
            reg.register("mine")

    await harness.run(body)


async def test_unregister_frees_the_key_and_only_one_s_own():
    async def body() -> None:
        reg, me = await Registry.start_link(), bp.self()
        other = await held(reg, ("theirs", 1))
        reg.register("mine")
        reg.unregister("theirs")
        reg.unregister("nobody's")
        reg.unregister("mine")
        assert reg.lookup("theirs") == [(other, 1)]
        assert reg.lookup("mine") == []
        assert reg.keys(me) == []

    await harness.run(body)


async def test_update_value():
    async def body() -> None:
        reg = await Registry.start_link()
        await held(reg, ("theirs", 1))
        reg.register("mine", 1)
        assert reg.update_value("mine", lambda n: n + 1) == (2, 1)
        assert reg.lookup("mine")[0].value == 2
        for key in ("theirs", "nobody's"):
            with pytest.raises(NotRegistered):
                reg.update_value(key, lambda n: n)
        with pytest.raises(ZeroDivisionError):
            reg.update_value("mine", lambda n: n / 0)
        assert reg.lookup("mine")[0].value == 2

    await harness.run(body)


async def test_of_racing_processes_one_gets_the_key():
    async def body() -> None:
        reg, me = await Registry.start_link(), bp.self()

        async def racer(n: int) -> None:
            for _ in range(n % 3):
                await asyncio.sleep(0)
            try:
                reg.register("k", n)
            except AlreadyRegistered as taken:
                bp.send(me, ("lost", n, taken.pid))
            else:
                bp.send(me, ("won", bp.self()))
                await bp.receive(("never",))

        for n in range(50):
            bp.spawn(racer, n)
        _, winner = await harness.expect(("won", Pid))
        for _ in range(49):
            assert (await harness.expect(("lost", int, Pid)))[2] == winner
        assert reg.whereis("k") == winner

    await harness.run(body)


# many processes a key


async def test_duplicate_keys_are_held_by_many_and_by_one_many_times():
    async def body() -> None:
        reg, me = await Registry.start_link(keys="duplicate"), bp.self()
        other = await held(reg, ("k", "theirs"))
        reg.register("k", 1)
        reg.register("k", 2)
        assert reg.lookup("k") == [(other, "theirs"), (me, 1), (me, 2)]
        assert reg.keys(me) == ["k", "k"]
        assert reg.count() == 3
        assert reg.match("k", int) == [(me, 1), (me, 2)]
        assert reg.match("k", lambda value: value in (1, "theirs")) == [(other, "theirs"), (me, 1)]
        reg.unregister("k", lambda value: value == 1)
        assert reg.lookup("k") == [(other, "theirs"), (me, 2)]
        reg.unregister("k")
        assert reg.lookup("k") == [(other, "theirs")]
        for verb in (reg.whereis, lambda key: reg.update_value(key, str)):
            with pytest.raises(ValueError, match="unique"):
                verb("k")

    await harness.run(body)


async def test_select_sees_all_entries():
    async def body() -> None:
        reg, me = await Registry.start_link(keys="duplicate"), bp.self()
        for n in range(3):
            reg.register(("room", n % 2), n)
        assert sorted(reg.select(lambda key, pid, value: value > 0)) == [(("room", 0), me, 2), (("room", 1), me, 1)]
        assert len(reg.select()) == 3

    await harness.run(body)


async def test_send_and_dispatch_reach_all():
    async def body() -> None:
        reg = await Registry.start_link(keys="duplicate")
        pids = [await held(reg, ("news", n)) for n in range(3)]
        assert reg.send("news", "hi") == 3
        assert {(await harness.expect(("got", Pid, "hi")))[1] for _ in pids} == set(pids)
        reg.dispatch("news", lambda entries: [bp.send(pid, value) for pid, value in entries if value])
        assert {(await harness.expect(("got", Pid, int)))[2] for _ in range(2)} == {1, 2}
        assert reg.send("nothing", "hi") == 0
        reg.dispatch("nothing", lambda entries: bp.exit("called for nobody"))
        await harness.nothing()

    await harness.run(body)


async def test_dispatch_while_members_die():
    async def body() -> None:
        reg = await Registry.start_link(keys="duplicate")
        pids = [await held(reg, ("k", n)) for n in range(6)]
        seen = []

        def kill_the_rest(entries: list[Entry]) -> None:
            for pid, value in entries:
                seen.append(value)
                bp.exit(pids[-1 - value], "kill")
                bp.send(pid, "hi")

        reg.dispatch("k", kill_the_rest)
        assert seen == [0, 1, 2, 3, 4, 5]
        assert reg.lookup("k") == []
        assert reg.send("k", "hi") == 0

    await harness.run(body)


# the dead


@pytest.mark.parametrize("keys", ["unique", "duplicate"])
async def test_the_dead_are_in_no_answer_from_the_moment_of_their_death(keys: Keys):
    async def body() -> None:
        reg = await Registry.start_link(keys=keys)
        pid = await held(reg, ("k", 1), ("l", 2))
        assert reg.count() == 2
        bp.exit(pid, "kill")  # nobody else has run since
        assert reg.lookup("k") == reg.match("k", int) == reg.select() == reg.keys(pid) == []
        assert reg.count() == 0
        reg.register("k", "next")
        assert reg.lookup("k") == [(bp.self(), "next")]
        await harness.ended(pid)
        assert await watched(reg) == {bp.self()}
        assert (await state_of(reg))["table"].held.keys() == {bp.self()}

    await harness.run(body)


async def test_a_process_that_is_ending_gives_way():
    async def body() -> None:
        reg, me = await Registry.start_link(), bp.self()

        async def slow_to_end() -> None:
            reg.register("k")
            bp.send(me, "ready")
            try:
                await bp.receive(("never",))
            finally:
                await asyncio.sleep(0)
                with pytest.raises(NoProcess):
                    reg.register("another")
                bp.send(me, "cleaned up")

        pid = bp.spawn(slow_to_end)
        await harness.expect("ready")
        bp.exit(pid, "shutdown")
        assert reg.whereis("k") is None
        reg.register("k")
        await harness.ended(pid)
        await harness.expect("cleaned up")
        assert reg.whereis("k") == me

    await harness.run(body)


async def test_the_keeper_watches_exactly_who_is_registered():
    async def body() -> None:
        reg, me = await Registry.start_link(keys="duplicate"), bp.self()
        pid = await held(reg, ("k", 1))
        reg.register("k")
        assert await watched(reg) == {me, pid}
        for _ in range(3):
            reg.unregister("k")
            reg.register("k")
        assert await watched(reg) == {me, pid}
        reg.unregister("k")
        assert await watched(reg) == {pid}
        bp.send(pid, "stop")
        await harness.ended(pid)
        assert await watched(reg) == set()
        info = bp.process_info(reg.pid)
        assert info is not None
        assert info.monitors == ()

    await harness.run(body)


async def test_many_that_register_and_die_leave_nothing():
    async def body() -> None:
        reg = await Registry.start_link(keys="duplicate")

        async def brief(n: int) -> None:
            reg.register("all", n)
            reg.register(n)
            if n % 2:
                reg.unregister("all")
            if n % 3 == 0:
                await asyncio.sleep(0)

        refs = [bp.spawn_monitor(brief, n)[1] for n in range(200)]
        for ref in refs:
            await harness.expect(lambda m, ref=ref: m.ref == ref)
        assert reg.count() == 0
        state = await state_of(reg)
        assert not state["monitors"]
        assert not state["table"].entries
        assert not state["table"].held

    await harness.run(body)


async def test_the_registry_ends_and_its_processes_go_on():
    async def body() -> None:
        reg = await Registry.start(name="reg")
        pid = await held(reg, ("k", 1))
        named = Registry.client("reg")
        assert named.whereis("k") == pid
        assert named.pid == reg.pid
        await reg.stop()
        assert bp.is_alive(pid)
        for registry in (reg, named):
            for verb in (registry.lookup, registry.register, registry.whereis, registry.unregister):
                with pytest.raises(NoProcess):
                    verb("k")
        with pytest.raises(NotRegistered):
            _ = named.pid
        await Registry.start(name="reg")
        assert named.lookup("k") == []
        named.register("k")
        assert named.whereis("k") == bp.self()

    await harness.run(body)


async def test_a_keeper_that_does_not_come_round_changes_no_answer():
    async def body() -> None:
        reg = await Registry.start_link()
        await debug.suspend(reg.pid)
        pid = await held(reg, ("k", 1), ("l", 1))
        bp.exit(pid, "kill")
        assert reg.whereis("k") is None
        reg.register("k", 2)
        assert reg.select() == [("k", bp.self(), 2)]
        await debug.resume(reg.pid)
        assert await watched(reg) == {bp.self()}
        assert reg.select() == [("k", bp.self(), 2)]
        assert (await state_of(reg))["table"].held.keys() == {bp.self()}

    await harness.run(body)


async def test_a_supervised_registry_comes_back_empty_under_its_name():
    async def body() -> None:
        sup = await Supervisor.start_link([Registry.child_spec(name="reg", keys="duplicate")])
        reg = Registry.client("reg")
        reg.register("k")
        old = reg.pid
        bp.exit(old, "kill")
        while bp.whereis("reg") is None:
            await sup.which_children()
        assert reg.pid != old
        assert reg.lookup("k") == []
        reg.register("k")
        reg.register("k")
        assert reg.count() == 2

    await harness.run(body)


async def test_it_ends_with_its_parent():
    async def body() -> None:
        me = bp.self()

        async def parent() -> None:
            bp.send(me, (await Registry.start_link(name="reg")).pid)
            bp.exit("oops")

        bp.spawn(parent)
        assert await harness.ended(await harness.expect(Pid)) in ("oops", "noproc")

    await harness.run(body)


async def test_a_wrong_start_is_refused():
    async def body() -> None:
        with pytest.raises(ValueError, match="unique"):
            await Registry.start(keys="several")  # type: ignore[arg-type]
        reg = await Registry.start_link(name="reg")
        with pytest.raises(AlreadyStarted) as started:
            await Registry.start_link(name="reg")
        assert started.value.pid == reg.pid

    await harness.run(body)


# listeners


async def test_listeners_hear_of_all_of_it_in_order():
    async def body() -> None:
        bp.register("listener", bp.self())
        reg = await Registry.start_link(name="reg", listeners=["listener", "away"])
        me = bp.self()
        reg.register("mine", 1)
        pid = await held(reg, ("k", 2))
        bp.exit(pid, "kill")
        reg.register("k", 3)  # takes over before the keeper has heard of the death
        reg.unregister("mine")
        for event in (
            Registered("reg", "mine", me, 1),
            Registered("reg", "k", pid, 2),
            Unregistered("reg", "k", pid),
            Registered("reg", "k", me, 3),
            Unregistered("reg", "mine", me),
        ):
            assert await harness.expect(lambda m: isinstance(m, (Registered, Unregistered))) == event
        await harness.nothing()

    await harness.run(body)


async def test_listeners_hear_of_the_dead():
    async def body() -> None:
        reg = await Registry.start_link(keys="duplicate", listeners=[bp.self()])
        pid = await held(reg, ("k", 1), ("k", 2), ("l", 3))
        bp.send(pid, "stop")
        gone = [await harness.expect(Unregistered) for _ in range(3)]
        assert gone == [(reg.pid, "k", pid), (reg.pid, "k", pid), (reg.pid, "l", pid)]

    await harness.run(body)


# via


class Counter(bp.Server):
    def __init__(self) -> None:
        self.n = 0

    @bp.call
    async def add(self, by: int = 1) -> int:
        self.n += by
        return self.n

    @bp.cast
    async def bump(self) -> None:
        self.n += 1


async def test_via_is_a_name_to_start_under_and_to_call():
    async def body() -> None:
        reg = await Registry.start_link(name="reg")
        hits = Registry.client("reg").via(("counter", "hits"), {"unit": "1"})
        counter = await Counter.start_link(name=hits)
        assert reg.lookup(("counter", "hits")) == [(counter.pid, {"unit": "1"})]
        client = Counter.client(hits)
        assert client.pid == counter.pid
        assert await client.add(5) == 5
        client.bump()
        assert await client.add(0) == 6
        with pytest.raises(AlreadyStarted) as started:
            await Counter.start_link(name=hits)
        assert started.value.pid == counter.pid
        await client.stop()
        assert hits.pid is None
        again = await Counter.start_link(name=hits)
        assert hits.pid == again.pid != counter.pid

    await harness.run(body)


async def test_via_is_a_destination():
    async def body() -> None:
        reg = await Registry.start_link()
        dest = reg.via("k")
        reg.register("k")
        bp.send(dest, "hi")
        await harness.expect("hi")
        reg.unregister("k")
        pid = await held(reg, ("k", 1))
        ref = bp.monitor(dest)
        bp.send(pid, "stop")
        assert await harness.expect(bp.Down) == bp.Down(ref, pid, "normal")

    await harness.run(body)


async def test_via_of_nobody_is_like_a_name_of_nobody():
    async def body() -> None:
        reg = await Registry.start()
        nobody = reg.via("nobody")

        async def as_a_name_of_nobody() -> None:
            assert nobody.pid is None
            with pytest.raises(NotRegistered):
                bp.send(nobody, "hi")
            with pytest.raises(NoProcess):
                await bp.call(nobody, "hi")
            bp.cast(nobody, "hi")
            ref = bp.monitor(nobody)
            assert await harness.expect(bp.Down) == bp.Down(ref, nobody, "noproc")

        await as_a_name_of_nobody()
        await reg.stop()
        await as_a_name_of_nobody()
        with pytest.raises(StartFailed):
            await Counter.start(name=nobody)

    await harness.run(body)


async def test_of_racing_starts_under_one_key_one_comes_up():
    async def body() -> None:
        reg, me = await Registry.start_link(), bp.self()

        async def starter() -> None:
            try:
                counter = await Counter.start(name=reg.via("k"))
            except AlreadyStarted as started:
                bp.send(me, ("lost", started.pid))
            else:
                bp.send(me, ("won", counter.pid))

        for _ in range(20):
            bp.spawn(starter)
        _, winner = await harness.expect(("won", Pid))
        assert {(await harness.expect(("lost", Pid)))[1] for _ in range(19)} == {winner}

    await harness.run(body)


# where it works


async def test_two_nodes_of_one_name_do_not_mix():
    async def body(peer: list[Registry]) -> None:
        reg = await Registry.start_link(name="reg")
        reg.register("k", len(peer))
        assert Registry.client("reg").lookup("k") == [(bp.self(), len(peer))]
        if peer:
            with pytest.raises(NoProcess):
                peer[0].lookup("k")
        else:
            await harness.run(body, [reg])
            assert reg.lookup("k") == [(bp.self(), 0)]

    await harness.run(body, [])


async def test_a_registry_of_another_node_is_not_asked_from_here():
    async def body() -> None:
        far = Registry.client(Pid("far@localhost", 1, 7))
        for verb in (far.lookup, far.register, far.whereis):
            with pytest.raises(NotLocal):
                verb("k")

    await harness.run(body)


async def test_its_parts_travel_in_messages():
    async def body() -> None:
        reg = await Registry.start_link(name="reg")
        bp.send(bp.self(), (reg, reg.via("k", 1)))
        copy, via = await harness.expect(tuple)
        assert (copy, via) == (reg, reg.via("k"))
        assert hash(via) == hash(reg.via("k"))
        copy.register("k")
        assert via.pid == bp.self()
        assert via != reg.via("l")
        assert via != "k"
        assert copy != "reg"

    await harness.run(body, strict=True)


async def test_tasks_and_threads_of_a_process_register_it():
    async def body() -> None:
        reg, me = await Registry.start_link(keys="duplicate"), bp.self()

        async def task() -> None:
            reg.register("task")

        await asyncio.create_task(task())
        assert reg.lookup("task") == [(me, None)]

        def thread() -> list[Entry]:
            reg.register("thread", 1)
            reg.send("thread", "hi")
            return reg.lookup("thread")

        assert await asyncio.to_thread(thread) == [(me, 1)]
        await harness.expect("hi")

    await harness.run(body)


async def test_what_it_says_of_itself():
    async def body() -> None:
        reg = await Registry.start_link(name="reg")
        assert "Registry" in repr(reg)
        assert "'k'" in repr(reg.via("k"))
        info = bp.process_info(reg.pid)
        assert info is not None
        assert info.label == "Registry"
        assert "'reg'" in repr((await state_of(reg))["table"])
        bp.send(reg.pid, "what?")  # logged, no more
        assert reg.count() == 0

    await harness.run(body)
