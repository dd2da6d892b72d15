"""The kit for backends checks something: each fault that a backend can have fails the check that is for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from beampy.errors import NodeDown
from beampy.pool import reaping
from beampy.pool.backend import Description, Machine, Order
from beampy.pool.backends import LocalBackend
from beampy.pool.spec import VARIABLE
from beampy.pool.zygote import environment
from beampy.testing.backends import BackendConformance

pytestmark = [
    pytest.mark.loops("asyncio"),  # the backends are real, and those of tests/cluster run on all
    pytest.mark.skipif(sys.platform != "linux", reason="the faulty ones are made of one that forks"),
]

FAULTS: list[tuple[type[Any], str, tuple[Any, ...]]] = []


def fails(test: str, *arguments: Any) -> Any:
    """The test that this fault is for."""

    def add(fault: type[Any]) -> type[Any]:
        FAULTS.append((fault, test, arguments))
        return fault

    return add


@fails("it_says_what_it_is")
class PaysForMachines(LocalBackend):
    def price(self, machine: Machine | None = None) -> float | None:
        return -1.0


@fails("a_machine_dials_home_with_its_spec")
class CallsItSomethingElse(LocalBackend):
    async def boot(self, order: Order) -> Machine:
        return (await super().boot(order))._replace(name="somebody")


@fails("a_machine_dials_home_with_its_spec")
class LosesTheSpec(LocalBackend):
    boots = 3.0  # its machine never calls home: that is how long the check takes

    async def boot(self, order: Order) -> Machine:
        return await super().boot(order._replace(spec=order.spec[:-8], timeout=30.0))


@fails("the_environment_reaches_the_machine")
class LosesTheEnvironment(LocalBackend):
    async def boot(self, order: Order) -> Machine:
        return await super().boot(order._replace(env={}))


@fails("the_environment_of_one_is_not_that_of_another")
class MixesEnvironments(LocalBackend):
    async def boot(self, order: Order) -> Machine:
        self.all = getattr(self, "all", {}) | dict(order.env)
        return await super().boot(order._replace(env=self.all))


@fails("the_spec_is_no_secret_of_everybodys")
class TellsTheSpec(LocalBackend):
    async def boot(self, order: Order) -> Machine:
        return (await super().boot(order))._replace(detail=order)


@fails("two_at_once")
class GivesOneIdToAll(LocalBackend):
    async def boot(self, order: Order) -> Machine:
        machine = await super().boot(order)
        self._machines["one"] = self._machines[machine.id]
        return machine._replace(id="one")


@fails("a_cancelled_boot_leaves_none_behind", 1)
@fails("a_cancelled_boot_leaves_none_behind", 2)
class BootsOn(LocalBackend):
    """What it has booted on calls home before any other machine does: on a busy one it might be late."""

    home: Any
    cancelled = ""

    async def boot(self, order: Order) -> Machine:
        if self.cancelled:
            await self.home.hello(self.cancelled, BackendConformance.boots)
        try:
            return await asyncio.shield(super().boot(order))
        except asyncio.CancelledError:
            self.cancelled = order.name
            raise


@fails("a_boot_without_time_leaves_none_behind")
class HasAllTheTime(LocalBackend):
    """As with BootsOn the machine is there before others."""

    home: Any

    async def boot(self, order: Order) -> Machine:
        machine = await super().boot(order._replace(timeout=30.0))
        if order.timeout < 1e-3:
            await self.home.hello(order.name, BackendConformance.boots)
            raise TimeoutError
        return machine


@fails("a_bad_order_is_refused", {"timeout": -1.0})
class TakesAnyOrder(LocalBackend):
    async def boot(self, order: Order) -> Machine:
        return await super().boot(order._replace(timeout=30.0))


@fails("a_machine_that_ends_at_once")
class HidesFailures(LocalBackend):
    async def describe(self, machine: Machine) -> Description:
        found = await super().describe(machine)
        return Description(found.state, 0)


@fails("terminate_ends_it")
@fails("terminating_twice_is_once")
@fails("terminate_while_it_boots")
@fails("terminate_ends_what_it_has_started")
class NeverTerminates(LocalBackend):
    async def terminate(self, machine: Machine) -> None:
        pass


@fails("terminate_ends_it")
class TerminatesLater(LocalBackend):
    """Not before it is asked how the machine is."""

    left: Machine | None = None

    async def terminate(self, machine: Machine) -> None:
        self.left = machine

    async def describe(self, machine: Machine) -> Description:
        if self.left is not None:
            os.kill(self.left.detail["os_pid"], signal.SIGKILL)
            self.left = None
        return await super().describe(machine)


@fails("terminate_ends_it")
class TerminatesAll(LocalBackend):
    async def terminate(self, machine: Machine) -> None:
        for runner in list(self._running.values()):
            await runner.maker.kill(runner.os_pid)


@fails("terminating_twice_is_once")
@fails("terminate_a_machine_that_has_ended")
class TerminatesOnce(LocalBackend):
    async def terminate(self, machine: Machine) -> None:
        if (await self.describe(machine)).state == "ended":
            raise ProcessLookupError(machine.id)
        await super().terminate(machine)


@fails("stop_leaves_none")
class NeverStops(LocalBackend):
    stops = 0

    async def stop(self) -> None:
        self.stops += 1
        if self.stops > 2:  # twice by the test, and once after it
            await super().stop()


@fails("nothing_boots_after_stop")
class StartsAgain(LocalBackend):
    async def boot(self, order: Order) -> Machine:
        await self.start()
        return await super().boot(order)


@fails("describe_one_that_runs")
@fails("a_machine_that_is_not_known")
class KnowsNothing(LocalBackend):
    async def describe(self, machine: Machine) -> Description:
        return Description("ended")


@fails("describe_one_that_has_exited")
@fails("describe_one_that_was_killed")
class LooksTooEarly(LocalBackend):
    async def describe(self, machine: Machine) -> Description:
        return Description("running")


@fails("a_machine_that_is_not_known")
class WantsToKnowAll(LocalBackend):
    async def logs(self, machine: Machine, limit: int = 20_000) -> str:
        if machine.id not in self._machines:
            raise KeyError(machine.id)
        return await super().logs(machine, limit)


@fails("logs_have_what_it_wrote")
class LosesLogs(LocalBackend):
    async def logs(self, machine: Machine, limit: int = 20_000) -> str:
        runner = self._machines.get(machine.id)
        return "" if runner is None or runner.ended.is_set() else await super().logs(machine, limit)


@fails("logs_have_what_it_wrote")
class TellsTooMuch(LocalBackend):
    async def logs(self, machine: Machine, limit: int = 20_000) -> str:
        return await super().logs(machine)


@fails("terminate_ends_what_it_has_started")
@fails("the_spec_is_no_secret_of_everybodys")
class Plain:
    """What one writes first: a process that has its spec as an argument, and of which terminate knows the number."""

    name, grace, local = "plain", 0.0, True

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.left: list[reaping.Process] = []

    async def start(self) -> None:
        pass

    async def boot(self, order: Order) -> Machine:
        program = f"import os; os.environ['{VARIABLE}'] = '{order.spec}'; from beampy.pool.runner import run; run()"
        command = [sys.executable, "-c", program]
        process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        self.processes[str(process.pid)] = process
        return Machine(str(process.pid), order.name)

    async def terminate(self, machine: Machine) -> None:
        process = self.processes.pop(machine.id, None)
        if process is not None:
            self.left += reaping.below(process.pid)
            process.kill()
            process.wait()

    async def logs(self, machine: Machine, limit: int = 20_000) -> str:
        return ""

    async def describe(self, machine: Machine) -> Description:
        return Description("running" if machine.id in self.processes else "unknown")

    def price(self, machine: Machine | None = None) -> float | None:
        return None

    async def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.processes.clear()
        reaping.kill(self.left)


def names() -> list[str]:
    return [f"{fault.__name__}-{test}" for fault, test, _ in FAULTS]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "test", "arguments"), FAULTS, ids=names())
async def test_a_fault_fails_its_check(fault: type[Any], test: str, arguments: tuple[Any, ...]) -> None:
    made: list[Any] = []

    class Kit(BackendConformance):
        boots = getattr(fault, "boots", BackendConformance.boots)
        ends = 1.0

        def make(self) -> Any:
            made.append(fault())
            return made[-1]

        @contextlib.asynccontextmanager
        async def running(self) -> Any:
            async with super().running() as (backend, home):
                backend.home = home  # type: ignore[attr-defined]
                yield backend, home

    try:
        with pytest.raises((AssertionError, ProcessLookupError, KeyError, NodeDown, pytest.fail.Exception)):
            await getattr(Kit(), f"test_{test}")(*arguments)
    finally:
        for backend in made:
            await backend.stop()


def test_every_check_has_a_fault() -> None:
    checks = {name.removeprefix("test_") for name in dir(BackendConformance) if name.startswith("test_")}
    proven = {test for _, test, _ in FAULTS}
    # `many_at_once` is `two_at_once`; who makes the ticket wrong is the kit, and the runner refuses to go on.
    assert checks - proven == {"many_at_once", "a_machine_with_a_wrong_ticket_ends"}
