"""tree: how supervisors are written, started and reached."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

import beampy as bp
from beampy.errors import (
    AlreadyStarted,
    BadReturn,
    BadSpec,
    ChildError,
    NoProcess,
    StartFailed,
    StartIgnored,
)
from beampy.otp import debug
from beampy.otp.child import ChildInfo
from beampy.otp.supervised import as_spec, worker
from beampy.otp.supervisor import Supervisor
from beampy.otp.typed import call
from beampy.testing import harness
from tests.unit.otp.children import Counter, idle, lines, pid_of, run, told

# how it is written


async def test_a_subclass_names_its_children() -> None:
    class App(Supervisor):
        strategy = "rest_for_one"
        intensity = 7

        def __init__(self, start: int) -> None:
            self.first = start

        def children(self) -> Any:
            return [(Counter, self.first), Counter.child_spec(20, name="second"), worker(idle)]

    async def test() -> None:
        app = await App.start_link(10, name="app")
        assert bp.whereis("app") == app.pid
        assert [info.id for info in await app.which_children()] == ["idle", "second", "Counter"]
        assert await Counter.client("second").add(1) == 21
        assert await Counter.client(await pid_of(app, "Counter")).add(1) == 11
        state = await debug.get_state("app")
        assert (state["strategy"], state["intensity"], state["period"]) == ("rest_for_one", 7, 5.0)
        assert len(state["children"]) == 3

    await run(test)


async def test_options_at_the_start_go_before_the_class() -> None:
    class App(Supervisor):
        intensity = 7
        period = 1.0

    async def test() -> None:
        app = await App.start_link([Counter], strategy="one_for_all", intensity=2, auto_shutdown="any_significant")
        state = await debug.get_state(app)
        assert (state["strategy"], state["intensity"], state["period"], state["auto_shutdown"]) == (
            *("one_for_all", 2, 1.0, "any_significant"),
        )

    await run(test)


async def test_children_and_init_may_be_async() -> None:
    class App(Supervisor):
        async def init(self) -> None:
            await asyncio.sleep(0)
            self.n = 3

        async def children(self) -> Any:
            return [Counter.child_spec(id=i) for i in range(self.n)]

    async def test() -> None:
        assert (await (await App.start_link()).count_children()).active == 3

    await run(test)


async def test_init_may_ignore_or_stop() -> None:
    class Odd(Supervisor):
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def init(self) -> Any:
            if self.answer == "raise":
                raise bp.Stop("not today")
            return self.answer

    class Childless(Supervisor):
        def children(self) -> Any:
            return None

    async def test() -> None:
        with pytest.raises(StartIgnored):
            await Odd.start_link(bp.IGNORE)
        for answer in (bp.Stop("not today"), "raise"):
            with pytest.raises(StartFailed) as stopped:
                await Odd.start_link(answer)
            assert stopped.value.reason == "not today"
        for start in (Odd.start_link(5), Childless.start_link(), Supervisor.start_link("abc")):
            with pytest.raises(StartFailed) as failed:
                await start
            assert isinstance(failed.value.__cause__, BadReturn)
        await harness.nothing()

    await run(test)


@pytest.mark.parametrize("strict", [False, True])
async def test_a_bad_spec_is_raised_at_the_starter(strict: bool) -> None:
    class Bad(Supervisor):
        strategy: Any = "one_for_some"

    async def test() -> None:
        with pytest.raises(BadSpec, match="'one_for_some' is none of one_for_one, one_for_all, rest_for_one"):
            await Supervisor.start_link([], strategy="one_for_some")
        with pytest.raises(BadSpec, match="one_for_some"):
            await Bad.start_link()
        with pytest.raises(BadSpec, match="two children are called 'Counter'"):
            await Supervisor.start_link([Counter, (Counter, 1)])
        with pytest.raises(BadSpec, match="intensity"):
            await Supervisor.start_link([], intensity=-1)
        with pytest.raises(StartFailed, match=r"its child 'Bad' did not start: beampy\.errors\.BadSpec: strategy"):
            await Supervisor.start_link([Bad])

    await run(test, strict=strict)


# its client


async def test_a_client_travels_and_is_made_from_a_name() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([Counter], name="sup")
        for client in (pickle.loads(pickle.dumps(sup)), Supervisor.client("sup"), sup.options(timeout=1)):
            assert client.pid == sup.pid
            assert (await client.count_children()).active == 1
        assert pickle.loads(pickle.dumps(sup)) == sup

    await run(test)


async def test_errors_say_what_to_do() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([Counter.child_spec(name="c")])
        with pytest.raises(AlreadyStarted, match="child 'c' is already started as <Pid"):
            await sup.start_child(Counter.child_spec(name="c"))
        with pytest.raises(ChildError, match="child 'c': it runs; terminate it first"):
            await sup.delete_child("c")
        await sup.terminate_child("c")
        with pytest.raises(ChildError, match="restart_child starts it, delete_child makes room"):
            await sup.start_child(Counter.child_spec(name="c"))
        for asked in (sup.terminate_child("x"), sup.restart_child("x"), sup.delete_child("x"), sup.get_childspec("x")):
            with pytest.raises(ChildError, match="child 'x': the supervisor has no such child") as error:
                await asked
            assert (error.value.why, error.value.id) == ("not_found", "x")
        with pytest.raises(BadSpec, match="restart"):
            await sup.start_child({"id": "a", "start": idle, "restart": "always"})
        assert pickle.loads(pickle.dumps(ChildError("running", "a"))).why == "running"

    await run(test)


async def test_what_it_does_not_understand_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([Counter])
        odd: Any = sup
        with pytest.raises(NotImplementedError, match="Supervisor knows no request 'hello'"):
            await bp.call(sup, "hello")
        with pytest.raises(TypeError):
            await odd.terminate_child()
        with pytest.raises(AttributeError, match="no method 'chidlren'"):
            await odd.chidlren()
        with pytest.raises(TypeError, match="cannot be replaced"):
            await debug.replace_state(sup, lambda state: {})
        bp.send(sup.pid, "a message")
        bp.cast(sup, "a cast")
        assert (await sup.count_children()).active == 1

    await run(test)
    assert [level for level, _ in lines(caplog)] == ["ERROR", "ERROR"]


async def test_methods_of_ones_own_may_use_the_supervisors() -> None:
    class Pool(Supervisor):
        @call
        async def grow(self, n: int) -> int:
            for _ in range(n):
                await self.start_child(Counter.child_spec(id=object()))
            return (await self.count_children()).active

        @bp.cast
        async def shrink(self) -> None:
            for info in await self.which_children():
                await self.terminate_child(info.id)

    async def test() -> None:
        pool = await Pool.start_link()
        assert await pool.grow(3) == 3
        pool.shrink()
        assert (await pool.count_children()).active == 0

    await run(test)


async def test_suspended_it_restarts_later_and_still_obeys_its_parent() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([worker(told, 1)])
        _, _, pid = await harness.expect(("up", 1, ...))
        await debug.suspend(sup)
        bp.exit(pid, "kill")
        await harness.nothing(("up", ...))
        await debug.resume(sup)
        await harness.expect(("up", 1, ...))
        await debug.suspend(sup)
        bp.exit(sup.pid, "shutdown")
        await harness.expect(("down", 1))
        assert (await harness.expect(bp.Exit)).reason == "shutdown"

    await run(test)


async def test_its_messages_can_be_traced() -> None:
    seen: list[str] = []

    async def test() -> None:
        sup = await Supervisor.start_link([Counter])
        await debug.trace(sup, lambda event, detail: seen.append(event))
        await sup.which_children()
        with pytest.raises(ChildError):
            await sup.delete_child("x")
        await sup.stop()

    await run(test)
    assert seen == ["in", "out", "in", "out", "stop"]


async def test_on_a_strict_node_all_of_it_travels() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link([(Counter, 1)], intensity=10)
        counter = await sup.start_child(Counter.child_spec(5, id="c"))
        assert await counter.add(1) == 6
        bp.exit(counter.pid, "kill")
        assert (await sup.count_children()).active == 2
        assert await sup.get_childspec("Counter") == as_spec((Counter, 1))
        assert ChildInfo("Counter", await pid_of(sup, "Counter"), "worker") in await sup.which_children()
        with pytest.raises(ChildError):
            await sup.restart_child("c")

    await run(test, strict=True)


# threads


@pytest.mark.loops("asyncio")  # the node makes its own loop
def test_a_script_starts_and_asks_a_supervisor() -> None:
    with bp.start() as node:
        sup = Supervisor.start_link([(Counter, 1)], name="sup").result(5)
        # The handle's work is done: what it started is linked with the script's own node, and lives.
        assert node.run(asyncio.sleep, 0.01).result(5) is None
        assert sup.count_children().result(5).active == 1
        counter = sup.start_child(Counter.child_spec(5, id="c")).result(5)
        assert counter.add(1).result(5) == 6
        with pytest.raises(ChildError):
            sup.delete_child("c").result(5)
        with pytest.raises(BadSpec):
            Supervisor.start_link([], strategy="x").result(5)
        sup.stop().result(5)
        with pytest.raises(NoProcess):
            sup.which_children().result(5)
