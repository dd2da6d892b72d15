"""The runner's life: it calls home, answers the pool, and ends when it is to."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

import beampy as bp
from beampy.pool import runner
from beampy.pool.messages import Busy, Drain, Drained, Hello, Refused, Stop
from beampy.pool.spec import RunnerSpec
from beampy.pool.terminator import DONE, LOST, NEVER, REFUSED
from tests.unit.pool.runner_ground import Ground, ground, simulated, with_runner


async def test_it_says_hello_with_its_ticket():
    both = Ground()
    await both.parent_up()
    both.make_spec()
    await both.runner_up()
    hello = await both.next(Hello)
    assert hello.ticket == "a ticket"
    assert hello.pid.node == both.spec.name
    assert hello.about["protocol"] == 1
    assert hello.about["beampy"] == bp.__version__
    await both.parent.node.run(tell, both, Stop(1.0))
    assert await both.status() == DONE
    await both.parent.down()


async def tell(both, message):
    both.tell(message)


@with_runner()
async def test_a_job_runs(both):
    assert await both.call(add, 1, 2) == 3
    assert await both.call(add, 1, b=4) == 5


def add(a, b):
    return a + b


async def forever(_=None):
    await asyncio.sleep(1e6)


@with_runner()
async def test_drained_when_nothing_is_there(both):
    both.tell(Drain(7))
    assert await both.next(Drained) == Drained(7)


@with_runner()
async def test_busy_says_what_keeps_it(both):
    call = both.call(forever)
    await both.until(lambda: both.here.jobs)
    both.here.keep("token", "a dataframe")
    both.tell(Drain(1))
    busy = await both.next(Busy)
    assert busy.number == 1
    assert "1 job runs" in busy.why
    assert "forever" in busy.why
    assert "a dataframe" in busy.why
    call.cancel()
    await both.until(lambda: not both.here.jobs)
    both.tell(Drain(2))
    assert (await both.next(Busy)).why == "1 thing is kept (a dataframe)"
    both.here.release("token")
    both.here.release("token")
    both.tell(Drain(3))
    assert await both.next(Drained) == Drained(3)


@with_runner()
async def test_stop_lets_jobs_end(both):
    go = asyncio.Event()
    calls = [both.call(wait_for_go, n) for n in range(3)]
    GO.append(go)
    await both.until(lambda: len(both.here.jobs) == 3)
    both.tell(Stop(1000.0))
    await both.until(lambda: both.ending)
    go.set()
    assert [await call for call in calls] == [0, 1, 2]
    GO.clear()
    assert await both.status() == DONE
    assert both.ending == [1000.0]


GO: list[asyncio.Event] = []


async def wait_for_go(n):
    while not GO:
        await asyncio.sleep(0.001)
    await GO[0].wait()
    return n


@with_runner()
async def test_stop_cancels_what_takes_too_long(both):
    call = both.call(forever)
    await both.until(lambda: both.here.jobs)
    both.tell(Stop(0.2))
    with pytest.raises((bp.errors.CallKilled, bp.errors.NodeDown)):
        await call
    assert await both.status() == DONE


@with_runner()
async def test_leave_cancels_at_once(both):
    call = both.call(forever)
    await both.until(lambda: both.here.jobs)
    both.here.terminator.deliver(runner.Leave())
    with pytest.raises((bp.errors.CallKilled, bp.errors.NodeDown)):
        await call
    assert await both.status() == DONE


async def test_refused():
    both = Ground()
    await both.parent_up()
    both.answer = lambda hello: Refused("your ticket smells")
    both.make_spec()
    await both.runner_up()
    assert await both.status() == REFUSED
    await both.parent.down()


async def test_nobody_there_is_never():
    both = Ground()
    await both.parent_up()
    both.make_spec(failsafe=0.3)
    await both.parent.down()
    await both.runner_up()
    assert await both.status() == NEVER


async def test_wrong_cookie_is_never():
    both = Ground()
    await both.parent_up()
    both.make_spec(failsafe=0.3)
    both.spec = replace(both.spec, cookie="Zz8sT1zFvE5oGx6uPy4iWjAbC93kLmN1")
    if simulated():
        both.options = lambda letter: Ground.options(both, letter) | {"cookie": both.spec.cookie}
    await both.runner_up()
    assert await both.status() == NEVER
    await both.parent.down()


async def test_no_pool_there_is_never():
    both = Ground()
    await both.parent_up()
    both.make_spec(failsafe=0.3, manager="nobody")
    await both.runner_up()
    assert await both.status() == NEVER
    await both.parent.down()


async def test_a_pool_that_does_not_answer_is_never():
    both = Ground()
    await both.parent_up()
    both.answer = lambda hello: None
    both.make_spec(failsafe=0.3)
    await both.runner_up()
    assert await both.status() == NEVER
    await both.parent.down()


@pytest.mark.parametrize(("grace", "status"), [(0.0, LOST), (1000.0, NEVER)])
async def test_a_parent_that_is_lost_before_it_answers(grace, status):
    both = Ground()
    await both.parent_up()
    both.answer = lambda hello: None
    both.make_spec(failsafe=1.0, grace=grace)
    await both.runner_up()
    await both.next(Hello)
    await both.parent.down()
    assert await both.status() == status


async def test_a_pool_that_comes_later_is_found(caplog):
    both = Ground()
    await both.parent_up()
    both.make_spec(failsafe=1000.0)
    await both.parent.node.run(end_of, both.manager)
    await both.runner_up()
    await both.until(lambda: "no pool of ours" in caplog.text)
    await both.manager_up()
    await both.next(Hello)
    await stop(both)


async def end_of(pid):
    ref = bp.monitor(pid)
    bp.exit(pid, "kill")
    await bp.receive(lambda message: isinstance(message, bp.Down) and message.ref == ref)


async def stop(both):
    await both.parent.node.run(tell, both, Stop(1.0))
    assert await both.status() == DONE
    await both.parent.down()


async def test_without_grace_it_ends_with_its_parent():
    both = Ground()
    await both.parent_up()
    both.make_spec()
    await both.runner_up()
    await both.next(Hello)
    await both.parent.down()
    assert await both.status() == LOST
    assert both.ending == [1.0]


async def test_the_end_of_the_manager_counts_as_the_parents():
    both = Ground()
    await both.parent_up()
    both.make_spec()
    await both.runner_up()
    await both.next(Hello)
    await both.parent.node.run(end_of, both.manager)
    assert await both.status() == LOST
    await both.parent.down()


async def test_within_its_grace_it_is_taken_again():
    both = Ground()
    await both.parent_up()
    both.make_spec(grace=1000.0)
    await both.runner_up()
    first = await both.next(Hello)
    assert "again" not in first.about
    await both.parent.node.run(end_of, both.manager)
    await both.manager_up()
    second = await both.next(Hello)
    assert second.about["again"] is True
    assert (second.ticket, second.pid) == (first.ticket, first.pid)
    assert await both.parent.node.run(a_job, both) == 3
    await stop(both)


async def a_job(both):
    return await both.call(add, 1, 2)


async def test_refused_again_it_ends():
    both = Ground()
    await both.parent_up()
    both.make_spec(grace=1000.0)
    await both.runner_up()
    await both.next(Hello)
    both.answer = lambda hello: Refused("you were given up")
    await both.parent.node.run(end_of, both.manager)
    await both.manager_up()
    assert await both.status() == REFUSED
    await both.parent.down()


async def test_after_its_grace_it_ends():
    both = Ground()
    await both.parent_up()
    both.make_spec(grace=0.3, shutdown=7.0)
    await both.runner_up()
    await both.next(Hello)
    await both.parent.down()
    assert await both.status() == LOST
    assert both.ending == [7.0]


@pytest.mark.loops("sim")
async def test_a_split_shorter_than_the_grace():
    async with ground(grace=100.0) as both:
        call = asyncio.ensure_future(both.parent.node.run(a_long_job, both))
        await both.until(lambda: both.here.jobs)
        net = asyncio.get_running_loop().net
        net.partition("a", "b")
        with pytest.raises(bp.errors.NodeDown):
            await call
        await both.until(lambda: not both.here.jobs)
        net.heal()
        assert (await both.next(Hello)).about["again"]
        assert await both.parent.node.run(a_job, both) == 3


async def a_long_job(both):
    return await both.call(forever)


def test_discovery_has_the_parents_addresses():
    spec = RunnerSpec("b@h", "a@h", [{"host": "10.0.0.1", "port": 7, "later": 1}], "m", "c", "t")
    found = asyncio.run(runner.discovery(spec).lookup("a@h"))
    assert [(address.host, address.port) for address in found] == [("10.0.0.1", 7)]


def test_without_addresses_the_name_service_is_asked():
    assert runner.discovery(RunnerSpec("b@h", "a@h", [], "m", "c", "t")) is None


def test_the_specs_node_options_go_first():
    spec = RunnerSpec("b@h", "a@h", [], "m", "c", "t", node={"bind": "0.0.0.0", "mesh": True})
    assert runner.options(spec) == runner.options(replace(spec, node={})) | {"bind": "0.0.0.0", "mesh": True}


def test_the_spec_is_taken_out_of_the_environment(monkeypatch):
    spec = RunnerSpec("b@h", "a@h", [], "m", "c", "t")
    monkeypatch.setenv(runner.VARIABLE, spec.to_text())
    assert runner.told() == spec
    with pytest.raises(ValueError, match="BEAMPY_RUNNER is not set"):
        runner.told()
    monkeypatch.setenv(runner.VARIABLE, "nonsense")
    with pytest.raises(ValueError, match="holds no runner's spec"):
        runner.told()


def test_what_it_says_of_itself():
    async def look():
        async with bp.Node("b@127.0.0.1", cookie="Zz8sT1zFvE5oGx6uPy4iWjAbC93kLmN1", hidden=True) as node:
            return runner.about(node)

    about = asyncio.run(look())
    assert set(about) == {"protocol", "beampy", "python", "os_pid", "cpus", "memory", "addresses"}
    assert about["cpus"] >= 1
    assert about["memory"] > 2**24
    [address] = about["addresses"]
    assert address["port"] > 0
