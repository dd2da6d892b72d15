"""What every backend of pools has to do, as tests that any backend can be run through.

Rule: each check is one test method, and says in its name what it wants; all of them boot real machines, which dial home
to a small node of the kit. Nothing here knows how a backend works: what a machine does is asked of the machine itself,
by a remote call, and whether it is gone is asked of its backend and seen at its connection.

Place: testing; for pytest with pytest-asyncio. A backend's author writes:

    from beampy.testing.backends import BackendConformance

    class TestMyBackend(BackendConformance):
        def make(self):
            return MyBackend(region="eu")

and sets what his machines need otherwise: see the attributes of BackendConformance. A project whose tests run on the
simulator marks the class with `pytest.mark.loops("asyncio")`: there are no machines in there.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import secrets
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import beampy as bp
from beampy import errors
from beampy.dist.discovery import StaticDiscovery
from beampy.pool.backend import Description, Machine, Order
from beampy.pool.messages import Hello, Refused, Welcome
from beampy.pool.spec import RunnerSpec
from beampy.pool.ticket import BadTicket, Ticket, Tickets, signed
from beampy.testing.backends_machine import OTHERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from beampy.pool.backend import Backend

MANAGER = "beampy.testing.backends"  # the registered name of the kit's process, which runners ask for
MACHINE = "beampy.testing.backends_machine"  # what machines run
LOOK = 0.01  # seconds between two looks at what cannot wake us
_names = itertools.count(1)


class Home:
    """A node where machines dial home, as they do to a pool. Use it as `async with`. `host` is where they find it."""

    def __init__(self, host: str = "127.0.0.1", bind: str = "127.0.0.1") -> None:
        cookie = secrets.token_urlsafe(32)
        self.cookie = cookie
        self.tickets = Tickets("kit", secrets.token_bytes(32))
        self.hellos: dict[str, Hello] = {}  # by the names of nodes
        self.lost: set[str] = set()  # nodes that were connected and are not any more
        self._boots = itertools.count(1)
        self._heard = asyncio.Condition()
        name = f"kit{os.getpid()}-{secrets.token_hex(4)}@{host}"
        self.node = bp.Node(name, cookie=cookie, bind=bind, discovery=StaticDiscovery({}), mesh=False)

    async def __aenter__(self) -> Home:
        await self.node.__aenter__()
        bp.spawn(self._serve, name=MANAGER)
        return self

    async def __aexit__(self, *failed: Any) -> None:
        await self.node.__aexit__(*failed)

    async def _serve(self) -> None:
        async for message in bp.mailbox():
            match message:
                case Hello(ticket, pid, _):
                    try:
                        boot = self.tickets.redeem(ticket, pid.node, now=0.0)
                    except BadTicket as error:
                        bp.send(pid, Refused(str(error)))
                        continue
                    bp.monitor_node(pid.node)
                    bp.send(pid, Welcome(boot))
                    self.hellos[pid.node] = message
                case bp.NodeDown(node, _):
                    self.lost.add(node)
            async with self._heard:
                self._heard.notify_all()

    def order(self, timeout: float, env: Mapping[str, str] | None = None, *, local: bool = True) -> Order:
        """For one more machine."""
        boot = next(self._boots)
        name = f"m{os.getpid()}-{next(_names)}@{self.node.name.partition('@')[2]}"
        peers: Any = self.node._peers
        spec = RunnerSpec(
            name,
            self.node.name,
            [asdict(address) for address in peers.listeners.addresses()],
            MANAGER,
            self.cookie,
            self.tickets.issue(boot, name, expires=math.inf),
            parent_pid=os.getpid() if local else 0,
        )
        return Order(name, spec.to_text(), env or {}, timeout)

    async def hello(self, name: str, timeout: float) -> Hello:
        """Wait for that machine to dial home."""
        await self._until(lambda: name in self.hellos, timeout, f"{name} has not dialled home")
        return self.hellos[name]

    async def gone(self, name: str, timeout: float) -> None:
        """Wait until that machine, which had dialled home, is not connected."""
        await self._until(lambda: name in self.lost, timeout, f"{name} is still connected")

    async def _until(self, condition: Any, timeout: float, otherwise: str) -> None:
        try:
            async with asyncio.timeout(timeout), self._heard:
                await self._heard.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"{otherwise} after {timeout:g} s") from None


class BackendConformance:
    """Inherit from it, and write `make`.

    boots: seconds a machine has to dial home. ends: seconds one that was ended has to be gone. many: how many are
    booted at once. host, bind: the kit's own address for machines, and what it listens on. knows_status: `describe`
    tells the exit status of a machine that ended. keeps_logs: `logs` has what a machine wrote. ends_itself: a machine's
    end is seen without anybody asking for it.
    """

    boots = 30.0
    ends = 10.0
    many = 10
    host = "127.0.0.1"
    bind = "127.0.0.1"
    knows_status = True
    keeps_logs = True
    ends_itself = True

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.asyncio]

    def make(self) -> Backend:
        """A new backend, which was not started."""
        raise NotImplementedError(f"{type(self).__name__} has no make()")

    # ---- what the tests are made of ----

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Backend, Home]]:
        """A backend that was started and will be stopped, and a home."""
        async with Home(self.host, self.bind) as home:
            backend = self.make()
            await backend.start()
            try:
                yield backend, home
            finally:
                await backend.stop()

    def order(self, backend: Backend, home: Home, env: Mapping[str, str] | None = None) -> Order:
        """For one machine."""
        return home.order(self.boots, env, local=backend.local)

    async def up(self, backend: Backend, home: Home, env: Mapping[str, str] | None = None) -> Machine:
        """A machine that has dialled home."""
        order = self.order(backend, home, env)
        machine = await backend.boot(order)
        await home.hello(order.name, self.boots)
        return machine

    async def ended(self, backend: Backend, machine: Machine) -> Description:
        """Wait until its backend says so."""
        try:
            async with asyncio.timeout(self.ends):
                while True:
                    found = await backend.describe(machine)
                    if found.state in ("ended", "unknown"):
                        return found
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise AssertionError(f"{machine.name} has not ended {self.ends:g} s after it should have") from None

    async def ask(self, machine: Machine, fn: str, *args: Any) -> Any:
        """Call a function on the machine."""
        return await bp.remote_call.options(timeout=self.boots)(machine.name, fn, *args)

    async def end(self, machine: Machine, fn: str, *args: Any) -> None:
        """Call a function that ends the machine."""
        with contextlib.suppress(errors.NodeDown, errors.CallTimeout):
            await bp.remote_call.options(timeout=self.ends)(machine.name, fn, *args)

    # ---- what it says of itself ----

    async def test_it_says_what_it_is(self) -> None:
        backend = self.make()
        assert isinstance(backend.name, str)
        assert backend.name
        assert isinstance(backend.local, bool)
        assert backend.grace >= 0
        price = backend.price()
        assert price is None or price >= 0

    # ---- boots ----

    async def test_a_machine_dials_home_with_its_spec(self) -> None:
        async with self.running() as (backend, home):
            order = self.order(backend, home)
            machine = await backend.boot(order)
            assert machine.name == order.name
            assert isinstance(machine.id, str)
            assert machine.id
            hello = await home.hello(order.name, self.boots)
            assert hello.ticket == RunnerSpec.from_text(order.spec).ticket
            price = backend.price(machine)
            assert price is None or price >= 0

    async def test_the_environment_reaches_the_machine(self) -> None:
        async with self.running() as (backend, home):
            machine = await self.up(backend, home, {"BEAMPY_KIT": "é = 'x y'\n"})
            assert await self.ask(machine, "os.getenv", "BEAMPY_KIT") == "é = 'x y'\n"

    async def test_the_environment_of_one_is_not_that_of_another(self) -> None:
        async with self.running() as (backend, home):
            await self.up(backend, home, {"BEAMPY_KIT": "1"})
            second = await self.up(backend, home)
            assert await self.ask(second, "os.getenv", "BEAMPY_KIT") is None

    async def test_the_spec_is_no_secret_of_everybodys(self) -> None:
        async with self.running() as (backend, home):
            order = self.order(backend, home)
            machine = await backend.boot(order)
            await home.hello(order.name, self.boots)
            assert order.spec not in str(await self.ask(machine, f"{MACHINE}:command_line"))
            assert order.spec not in repr(machine)
            assert order.spec not in await backend.logs(machine)

    async def test_two_at_once(self) -> None:
        await self._several(2)

    async def test_many_at_once(self) -> None:
        await self._several(self.many)

    async def _several(self, count: int) -> None:
        async with self.running() as (backend, home):
            orders = [self.order(backend, home) for _ in range(count)]
            machines = await asyncio.gather(*[backend.boot(order) for order in orders])
            assert [machine.name for machine in machines] == [order.name for order in orders]
            assert len({machine.id for machine in machines}) == count, "machines share an id"
            for order in orders:
                await home.hello(order.name, self.boots)
            await asyncio.gather(*[backend.terminate(machine) for machine in machines])
            for machine in machines:
                await home.gone(machine.name, self.ends)

    @pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
    async def test_a_cancelled_boot_leaves_none_behind(self, turns: int) -> None:
        async with self.running() as (backend, home):
            await self.up(backend, home)  # so that what is done once is done
            order = self.order(backend, home)
            task = asyncio.ensure_future(backend.boot(order))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await backend.terminate(await task)
            await self._no_more_of(order.name, backend, home)

    async def test_a_boot_without_time_leaves_none_behind(self) -> None:
        async with self.running() as (backend, home):
            order = self.order(backend, home)._replace(timeout=1e-6)
            with contextlib.suppress(TimeoutError):
                await backend.terminate(await backend.boot(order))
            await self._no_more_of(order.name, backend, home)

    async def _no_more_of(self, name: str, backend: Backend, home: Home) -> None:
        """This machine does not come up, or if it has, is gone."""
        for _ in range(2):
            await self.up(backend, home)  # each takes as long as it would have taken
        if name in home.hellos:
            await home.gone(name, self.ends)

    @pytest.mark.parametrize(
        "wrong",
        [{"name": ""}, {"spec": ""}, {"timeout": 0.0}, {"timeout": -1.0}, {"env": {"A": "\0"}}, {"env": {"A=B": "c"}}],
        ids=str,
    )
    async def test_a_bad_order_is_refused(self, wrong: dict[str, Any]) -> None:
        async with self.running() as (backend, home):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                await backend.boot(self.order(backend, home)._replace(**wrong))
            await self.up(backend, home)

    async def test_a_machine_that_ends_at_once(self) -> None:
        async with self.running() as (backend, home):
            order = self.order(backend, home)._replace(spec="no spec")
            machine = await backend.boot(order)
            found = await self.ended(backend, machine)
            if self.knows_status:
                assert found.status not in (None, 0)
            if self.keeps_logs:
                assert "spec" in await backend.logs(machine)
            await backend.terminate(machine)

    async def test_a_machine_with_a_wrong_ticket_ends(self) -> None:
        async with self.running() as (backend, home):
            order = self.order(backend, home)
            told = RunnerSpec.from_text(order.spec)
            forged = signed(Ticket("kit", 99, order.name, math.inf), b"another key")
            machine = await backend.boot(order._replace(spec=_with(told, ticket=forged)))
            found = await self.ended(backend, machine)
            assert order.name not in home.hellos
            if self.knows_status:
                assert found.status not in (None, 0)

    # ---- ends ----

    async def test_terminate_ends_it(self) -> None:
        async with self.running() as (backend, home):
            machine = await self.up(backend, home)
            other = await self.up(backend, home)
            await backend.terminate(machine)
            with pytest.raises(errors.NodeDown):  # at once: it is gone when that returns
                await self.ask(machine, "operator.add", 1, 2)
            assert (await backend.describe(machine)).state in ("ended", "unknown")
            await home.gone(machine.name, self.ends)
            assert await self.ask(other, "operator.add", 1, 2) == 3, "another machine was ended too"

    async def test_terminate_ends_what_it_has_started(self) -> None:
        async with self.running() as (backend, home):
            machine = await self.up(backend, home)
            line, far = await _line()
            async with line:
                await self.ask(machine, f"{MACHINE}:start_others", *far)
                for _ in range(OTHERS):
                    assert await line.heard(self.boots) == b"+"
                await backend.terminate(machine)
                for _ in range(OTHERS):
                    assert await line.heard(self.ends) == b"", "what it started runs on"

    async def test_terminating_twice_is_once(self) -> None:
        async with self.running() as (backend, home):
            machine = await self.up(backend, home)
            await asyncio.gather(backend.terminate(machine), backend.terminate(machine))
            await backend.terminate(machine)
            await home.gone(machine.name, self.ends)

    async def test_terminate_while_it_boots(self) -> None:
        async with self.running() as (backend, home):
            order = self.order(backend, home)
            machine = await backend.boot(order)
            await backend.terminate(machine)
            await self.ended(backend, machine)
            await self._no_more_of(order.name, backend, home)

    async def test_terminate_a_machine_that_has_ended(self) -> None:
        async with self.running() as (backend, home):
            machine = await self.up(backend, home)
            await self.end(machine, "os._exit", 0)
            await home.gone(machine.name, self.ends)
            await backend.terminate(machine)

    async def test_stop_leaves_none(self) -> None:
        async with self.running() as (backend, home):
            machines = [await self.up(backend, home) for _ in range(2)]
            young = self.order(backend, home)
            await backend.boot(young)
            await backend.stop()
            for machine in machines:
                await home.gone(machine.name, self.ends)
                assert (await backend.describe(machine)).state in ("ended", "unknown")
            await backend.stop()
            async with self.running() as (other, _):
                await self._no_more_of(young.name, other, home)

    async def test_nothing_boots_after_stop(self) -> None:
        async with self.running() as (backend, home):
            await backend.stop()
            with pytest.raises(Exception, match=r"."):
                await backend.boot(self.order(backend, home))

    # ---- what is known ----

    async def test_describe_one_that_runs(self) -> None:
        async with self.running() as (backend, home):
            found = await backend.describe(await self.up(backend, home))
            assert found.state == "running"
            assert found.status is None
            assert not found.oom

    async def test_describe_one_that_has_exited(self) -> None:
        if not self.ends_itself:
            pytest.skip("its machines are ended by the backend only")
        async with self.running() as (backend, home):
            machine = await self.up(backend, home)
            await self.end(machine, "os._exit", 7)
            await home.gone(machine.name, self.ends)
            found = await backend.describe(machine)  # at once: it has a second for that
            assert found.state == "ended"
            assert found.why
            assert not found.oom
            assert not self.knows_status or found.status == 7

    async def test_describe_one_that_was_killed(self) -> None:
        if not self.ends_itself:
            pytest.skip("its machines are ended by the backend only")
        async with self.running() as (backend, home):
            machine = await self.up(backend, home)
            await self.end(machine, "signal.raise_signal", signal.SIGKILL)
            await home.gone(machine.name, self.ends)
            found = await backend.describe(machine)
            assert found.state == "ended"
            assert not self.knows_status or found.status == -signal.SIGKILL

    async def test_a_machine_that_is_not_known(self) -> None:
        async with self.running() as (backend, home):
            nobody = Machine("no such id", "nobody@nowhere")
            assert (await backend.describe(nobody)).state == "unknown"
            assert await backend.logs(nobody) == ""
            await backend.terminate(nobody)
            await self.up(backend, home)

    async def test_logs_have_what_it_wrote(self) -> None:
        if not self.keeps_logs:
            pytest.skip("it keeps no logs")
        async with self.running() as (backend, home):
            machine, other = await self.up(backend, home), await self.up(backend, home)
            await self.ask(machine, f"{MACHINE}:say", "first ä" + 100 * "x" + "last ö")
            await self._says(backend, machine, "last ö")
            assert "first ä" in await backend.logs(machine)
            assert "last ö" not in await backend.logs(other)
            assert len(await backend.logs(machine, 10)) <= 10
            await self.end(machine, f"{MACHINE}:last_words", "farewell")
            await home.gone(machine.name, self.ends)
            await self._says(backend, machine, "farewell")
            await backend.terminate(machine)
            assert "first ä" in await backend.logs(machine)

    async def _says(self, backend: Backend, machine: Machine, text: str) -> None:
        try:
            async with asyncio.timeout(self.ends):
                while text not in await backend.logs(machine):  # noqa: ASYNC110  -- nothing tells us
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise AssertionError(f"{text!r} is not in the logs of {machine.name}") from None


def _with(spec: RunnerSpec, **changes: Any) -> str:
    return RunnerSpec(**(asdict(spec) | changes)).to_text()


class _Line:
    """Where processes that a machine has started show that they run: by a byte, and by their end of a connection."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError):
            self._said.put_nowait(await reader.read(1))
            await reader.read(1)
        self._said.put_nowait(b"")

    async def heard(self, timeout: float) -> bytes:
        """The next byte that somebody sent; b"": the end of one; b"nothing" within so many seconds."""
        try:
            return await asyncio.wait_for(self._said.get(), timeout)
        except TimeoutError:
            return b"nothing"

    async def __aenter__(self) -> _Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await self._server.wait_closed()


async def _line() -> tuple[_Line, tuple[str, int]]:
    line = _Line()
    line._server = await asyncio.start_server(line._accept, "127.0.0.1", 0)
    return line, line._server.sockets[0].getsockname()[:2]
