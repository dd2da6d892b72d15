"""What once broke the pool: orders of events, and backends, hooks and users that do not behave. On one loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import beampy as bp
from beampy.otp.rpc_server import Cancel
from beampy.pool import events
from beampy.pool.backend import Description, Machine, Order
from beampy.pool.messages import Drain, Gone, Still, Stop
from beampy.pool.pool import Pool
from beampy.pool.residents import residents
from beampy.pool.terminator import Leave
from beampy.testing import harness
from beampy.testing.pool_backend import Fail, Hangs, LoopBackend, Silent
from tests.unit.pool.ground import SEEN, double, forever, pooled, running, third_time, until


async def size(data: bytes) -> int:
    return len(data)


async def hold(x: int) -> str:
    SEEN.append(x)
    if len(SEEN) == 1:
        await asyncio.Event().wait()
    return "again"


async def child() -> None:
    await bp.receive()


async def _awaited(handle: Any) -> Any:
    return await handle


class Late(LoopBackend):
    """Its machines are known only after a while, also to who does not wait for them any more."""

    async def boot(self, order: Order) -> Machine:
        asked = asyncio.ensure_future(super().boot(order))
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.3, done.set_result, None)
        while not done.done():
            try:
                await asyncio.shield(done)
            except asyncio.CancelledError:
                continue
        return await asked


class Asked(LoopBackend):
    """It takes a while to say how a machine is, once it is up."""

    seconds = 0.2

    async def describe(self, machine: Machine) -> Description:
        if self.all[machine.id].nodes:
            await asyncio.sleep(self.seconds)
        return await super().describe(machine)


# machines


@pooled
async def test_a_machine_that_is_known_too_late_is_deleted():
    backend = Late(plans=[Silent()])
    async with Pool(backend=backend, boot_timeout=0.1, boot_rounds=1) as pool:
        with pytest.raises(bp.errors.BootFailed):
            await pool.call(double, 1)
        await until(lambda: backend.booted == 1 and not backend.machines)


@pooled
async def test_no_machine_is_started_when_the_hook_before_it_took_too_long():
    backend = LoopBackend()
    go_on = asyncio.Event()

    async def hook(meta: Any) -> None:
        await go_on.wait()

    async with Pool(backend=backend, boot_timeout=0.1, boot_rounds=1, on_grow_start=hook) as pool:
        with pytest.raises(bp.errors.BootFailed):
            await pool.call(double, 1)
        go_on.set()
        assert await pool.call(double, 1) == 2
        assert backend.booted == 1  # for this call


@pooled
async def test_a_boot_that_is_given_up_leaves_no_task():
    async with Pool(backend=LoopBackend(plans=[Hangs()]), boot_timeout=0.1, boot_rounds=1) as pool:
        with pytest.raises(bp.errors.BootFailed):
            await pool.call(double, 1)
        await until(lambda: not pool._manager.tasks)


@pooled
async def test_hooks_that_hang_hold_nothing_up():
    async def hook(*args: Any) -> None:
        await asyncio.Event().wait()

    backend = LoopBackend(plans=[Fail()])
    pool = Pool(backend=backend, boot_rounds=1, on_grow_end=hook, on_shrink=hook, boot_timeout=5.0)
    async with pool:
        with pytest.raises(bp.errors.BootFailed):
            await pool.options(timeout=2.0).call(double, 1)
        assert await pool.call(double, 1) == 2
    assert backend.machines == []


@pooled
async def test_a_backend_that_does_not_know_its_prices():
    class Broken(LoopBackend):
        def price(self, machine: Machine | None = None) -> float | None:
            raise RuntimeError("no such price")

    async with Pool(backend=Broken()) as pool:
        assert await pool.options(timeout=2.0).call(double, 1) == 2


@pooled
async def test_a_backend_that_cannot_say_how_a_machine_is_that_boots():
    class Broken(LoopBackend):
        async def describe(self, machine: Machine) -> Description:
            raise RuntimeError("too many requests")

    async with Pool(backend=Broken(delay=0.3), boot_rounds=1) as pool:
        assert await pool.options(timeout=2.0).call(double, 1) == 2


@pooled
async def test_a_backend_that_does_not_stop():
    class Broken(LoopBackend):
        async def stop(self) -> None:
            await super().stop()
            await asyncio.Event().wait()

    pool = Pool(backend=Broken(), shutdown_timeout=0.2)
    from beampy.pool import booting

    before, booting.DELETING = booting.DELETING, 0.2
    try:
        async with asyncio.timeout(5.0):
            async with pool:
                assert await pool.call(double, 1) == 2
    finally:
        booting.DELETING = before


@pooled
async def test_a_pool_that_cannot_start_stops_its_backend():
    stopped = []

    class Counted(LoopBackend):
        async def stop(self) -> None:
            stopped.append(self)
            await super().stop()

    async with Pool("same", backend=LoopBackend()):
        second = Counted()
        with pytest.raises(Exception, match="same"):
            await Pool("same", backend=second).start()
        assert stopped == [second]


# runners that are lost


@pooled
async def test_no_call_goes_to_a_runner_that_is_known_to_be_lost():
    backend = Asked()
    async with Pool(backend=backend, max_concurrency=2) as pool:
        first = pool.call(forever)
        await until(lambda: running(pool))
        backend.kill(backend.machines[0])
        await until(lambda: pool.runners()[0]["state"] == "away")
        assert await pool.call(double, 1) == 2
        with pytest.raises(bp.errors.RunnerLost) as caught:
            await first
        assert caught.value.status == -9


@pooled
async def test_a_runner_that_is_back_before_its_backend_was_heard():
    backend = Asked(grace=5.0)
    async with Pool(backend=backend, max=1, max_concurrency=1) as pool:
        first = pool.submit(forever)
        await until(lambda: running(pool))
        (runner,) = pool._manager.runners.values()
        backend.seconds = 1.0
        backend.cut(backend.machines[0])
        await until(lambda: runner.losses == 1 and runner.state == "up")
        with pytest.raises(bp.errors.RunnerLost):
            await first
        assert await pool.call(double, 1) == 2
        assert backend.booted == 1


@pooled
async def test_each_loss_has_a_grace_of_its_own():
    backend = LoopBackend(grace=0.6)
    async with Pool(backend=backend, max=1) as pool:
        assert await pool.call(double, 1) == 2
        (runner,) = pool._manager.runners.values()
        for losses in range(1, 5):
            backend.cut(backend.machines[0])
            await until(lambda losses=losses: runner.losses == losses and runner.state == "up")
            await asyncio.sleep(0.2)
        assert await pool.call(double, 1) == 2
        assert backend.booted == 1


@pooled
async def test_the_calls_of_a_runner_that_somebody_else_ends_are_lost_and_tried_again():
    backend = LoopBackend()
    async with Pool(backend=backend, max=1) as pool:
        once_more = pool.options(retries=1, backoff=0.0).call(hold, 1)
        lost = pool.call(forever)
        await until(lambda: SEEN)
        (node,) = backend.nodes(backend.machines[0])
        residents(node._local).terminator.deliver(Leave())
        with pytest.raises(bp.errors.RunnerLost, match="told to end by a signal"):
            await lost
        assert await once_more == "again"
        assert backend.booted == 2
        await until(lambda: len(backend.machines) == 1)


@pooled
async def test_an_answer_that_is_here_counts_though_its_runner_is_lost_while_it_is_read():
    backend = LoopBackend()
    async with Pool(backend=backend) as pool:
        call = pool.options(retries=3, backoff=0.0).call(forever)
        await until(lambda: call._sent)
        reading = asyncio.get_running_loop().create_future()
        ref = call.ref

        class Large:
            def now(self) -> Any:
                from beampy.core.unread import NeedsThread

                raise NeedsThread

            def in_thread(self, loop: Any) -> Any:
                return reading

        call._read(Large())
        backend.kill(backend.machines[0])
        await until(lambda: not backend.machines and not pool.runners())
        assert call.ref is ref
        reading.set_result("here")
        assert await call == "here"
        assert pool._manager.calls == {}


@pooled
async def test_a_runner_cannot_free_the_slot_of_a_call_that_somebody_waits_for():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        call = pool.submit(forever)
        await until(lambda: running(pool))
        manager = pool._manager
        manager.handle(Gone((call.job,)))
        assert running(pool) == 1
        call.cancel()
        assert await pool.call(double, 1) == 2


@pooled
async def test_questions_to_runners_that_are_lost_are_forgotten():
    backend = LoopBackend()
    async with Pool(backend=backend) as pool:
        assert await pool.call(double, 1) == 2
        manager = pool._manager
        (runner,) = manager.runners.values()
        manager.asked[77] = runner
        runner.drain = 77
        backend.kill(backend.machines[0])
        await until(lambda: not pool.runners())
        assert manager.asked == {}


class Full:
    """Lets the connections of a node have no room for some messages."""

    def __init__(self, remote: Any, *kinds: type) -> None:
        self.remote = remote
        self.kinds = kinds
        self.refused: list[Any] = []

    def __enter__(self) -> Full:
        self.send = self.remote.send
        self.remote.send = self.refuse
        return self

    def __exit__(self, *_: object) -> None:
        self.remote.send = self.send

    def refuse(self, sender: Any, dest: Any, message: Any) -> None:
        if isinstance(message, self.kinds):
            self.refused.append(message)
            raise bp.errors.PeerBusy("somewhere", 1)
        self.send(sender, dest, message)


@pooled
async def test_a_call_is_cancelled_though_its_connection_is_full():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        call = pool.call(forever)
        await until(lambda: running(pool))
        manager = pool._manager
        with Full(manager.node.remote, Cancel, Still) as full:
            assert call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert len(full.refused) == 2
        assert await pool.call(double, 1) == 2
        assert manager.calls == {}


@pooled
async def test_a_runner_is_ended_though_its_connection_is_full():
    backend = LoopBackend()
    async with Pool(backend=backend, max=1, idle_shutdown_after=0.05) as pool:
        manager = pool._manager
        with Full(manager.node.remote, Drain, Stop) as full:
            assert await pool.call(double, 1) == 2
            await until(lambda: full.refused)
        await until(lambda: not backend.machines)


@pooled
async def test_a_large_message_that_waited_for_a_boot_does_not_hold_up_the_manager():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        manager = pool._manager
        call = pool.submit(size, b"x" * 4_000_000)
        assert call._process is manager.hands
        assert call._process is not manager.process
        assert await call == 4_000_000


@pooled
async def test_a_runner_that_was_asked_and_has_answered_leaves_no_task():
    async with Pool(backend=LoopBackend(), single_use=True) as pool:
        assert await pool.call(double, 1) == 2
        await until(lambda: not pool.runners())
        assert [task for task in pool._manager.tasks if task.get_coro().__name__ == "retire"] == []


# stopping


@pooled
async def test_a_call_between_two_attempts_is_waited_for_and_ends_with_its_pool():
    backend = LoopBackend()
    async with Pool(backend=backend) as pool:
        call = pool.options(retries=3, retry_on=(ConnectionError,), backoff=0.05).submit(third_time)
        await until(lambda: SEEN)
    assert call.done()
    assert call.result() == "there"


@pooled
async def test_a_call_between_two_attempts_ends_with_its_pool():
    pool = Pool(backend=LoopBackend(), shutdown_timeout=0.2)
    await pool.start()
    call = pool.options(retries=3, retry_on=(ConnectionError,), backoff=20.0).submit(third_time)
    await until(lambda: SEEN and call.place is None)
    await pool.stop()
    assert call.done()
    with pytest.raises(bp.errors.PoolClosed):
        await call


@pooled
async def test_a_placed_child_does_not_hold_up_the_end():
    async with Pool(backend=LoopBackend(), shutdown_timeout=20.0) as pool:
        pid = await pool.place_child(child)
        ref = bp.monitor(pid)
        calls = len(pool._manager.calls)
        manager = pool._manager
        ended = asyncio.ensure_future(_awaited(pool.stop()))
        await until(lambda: manager.plan.stopped_at is not None)
        down = await bp.receive()
        await ended
    assert calls == 1
    assert down.ref == ref


@pooled
async def test_two_who_stop_it_both_wait():
    pool = Pool(backend=LoopBackend(deleting=0.2))
    await pool.start()
    assert await pool.call(double, 1) == 2
    backend = pool._backend
    first = asyncio.ensure_future(_awaited(pool.stop()))
    await until(lambda: pool._manager is None)
    await pool.stop()
    assert backend.machines == []
    await first


async def test_a_node_that_stops_while_its_pool_drains_leaves_no_machine():
    backend = LoopBackend()
    SEEN.clear()

    async def body() -> None:
        pool = Pool(backend=backend)
        await pool.start()
        call = pool.options(link=False).submit(forever)
        await until(lambda: running(pool))
        SEEN.append(asyncio.ensure_future(_awaited(pool.stop())))
        await until(lambda: call.manager.stopping)

    await harness.run(body)
    assert backend.machines == []


# users


@pooled
async def test_a_subscriber_that_cancels_what_it_hears_of():
    async with Pool(backend=LoopBackend(), max=1, max_concurrency=1) as pool:
        node = pool._manager.node
        assert await pool.call(double, 1) == 2
        exported = len(node.exported)
        calls: list[Any] = []
        armed = [True]

        def heard(event: Any) -> None:
            if isinstance(event, events.Started) and armed[0]:
                for call in list(pool._manager.calls.values()):
                    call.cancel()

        end = pool.subscribe(heard)
        calls = [pool.submit(forever) for _ in range(3)]
        armed[0] = False
        end()
        assert all(call.cancelled() for call in calls)
        assert await pool.call(double, 2) == 4
        assert len(node.exported) == exported


def test_a_time_that_is_endless_is_none():
    for option in ("timeout", "boot_timeout", "idle_shutdown_after"):
        with pytest.raises(ValueError, match=option):
            Pool(**{option: float("inf")})


def test_a_name_that_is_too_long():
    with pytest.raises(ValueError, match="characters"):
        Pool("x" * 300)


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_thread_that_is_nobodys_calls_with_two_nodes_there():
    async with bp.Node(), bp.Node(), Pool(backend=LoopBackend()) as pool:
        got: list[Any] = []

        def work() -> None:
            try:
                got.append(pool.call(double, 4).result(5.0))
            except BaseException as error:
                got.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        await until(lambda: got)
        thread.join()
        assert got == [8]
