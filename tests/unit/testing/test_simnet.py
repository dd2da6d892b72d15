"""Hosts, links, partitions, crashes: what the simulated network does to connections."""

from __future__ import annotations

import asyncio
import struct

import pytest

from beampy.testing import simnet
from beampy.testing.simloop import SimLoop, run
from beampy.testing.simnet import host
from beampy.testing.simtransport import SimTransport

pytestmark = pytest.mark.loops("sim")


class End(asyncio.Protocol):
    """One end of a connection: what it received, and how it ended."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.chunks: list[int] = []
        self.arrivals: list[float] = []
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.keep_open = False
        self.on_host = simnet.current_host()
        self.seen_hosts: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, SimTransport)
        self.transport = transport
        self.seen_hosts.add(simnet.current_host())

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.chunks.append(len(data))
        self.arrivals.append(asyncio.get_running_loop().time())
        self.seen_hosts.add(simnet.current_host())

    def eof_received(self) -> bool:
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen_hosts.add(simnet.current_host())
        self.lost.set_result(exc)


class Served:
    """A server on a host, and the ends of the connections that it accepted."""

    def __init__(self) -> None:
        self.ends: list[End] = []

    def accept(self) -> End:
        self.ends.append(End())
        return self.ends[-1]


async def serve(name: str, port: int = 1, address: object = None) -> Served:
    served = Served()
    with host(name):
        loop = asyncio.get_running_loop()
        served.server = await loop.create_server(served.accept, address, port)
    return served


async def connect(source: str, target: str, port: int = 1) -> End:
    with host(source):
        _, end = await asyncio.get_running_loop().create_connection(End, target, port)
    return end


async def joined(a: str = "n1", b: str = "n2") -> tuple[End, End]:
    """A connection from one host to another: both ends; its server is closed."""
    served = await serve(b)
    end = await connect(a, b)
    served.server.close()
    await until(lambda: hasattr(served.ends[0], "transport"))
    return end, served.ends[0]


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def part(*ends: End) -> None:
    for end in ends:
        end.transport.abort()
        await end.lost


# -- hosts ------------------------------------------------------------------------------------


async def test_tasks_and_protocols_run_on_the_host_that_started_them() -> None:
    assert simnet.current_host() == "localhost"
    with host("n9") as name:
        assert simnet.current_host() == name == "n9"
        task = asyncio.create_task(asyncio.to_thread(simnet.current_host))
    assert simnet.current_host() == "localhost"
    assert await task == "n9"
    a, b = await joined()
    a.transport.write(b"ping")
    await until(lambda: b.data)
    b.transport.write(b"pong")
    await until(lambda: a.data)
    await part(a, b)
    assert (a.on_host, a.seen_hosts) == ("n1", {"n1"})
    assert (b.on_host, b.seen_hosts) == ("n2", {"n2"})


async def test_loopback_is_private_to_a_host() -> None:
    served = await serve("n1", address="127.0.0.1")
    for source, target in (("n2", "n1"), ("n2", "127.0.0.1"), ("n1", "n1")):
        with pytest.raises(ConnectionRefusedError):
            await connect(source, target)
    end = await connect("n1", "localhost")
    assert end.transport.get_extra_info("sockname")[0] == "127.0.0.1"
    end.transport.close()
    await end.lost
    served.server.close()
    await served.server.wait_closed()


async def test_a_host_listens_on_its_own_addresses_only() -> None:
    simnet.net().alias("10.0.0.1", "n1")
    with pytest.raises(OSError, match="no address of host 'n2'"):
        await serve("n2", address="n1")
    served = await serve("n1", address=["10.0.0.1", "127.0.0.1"])
    again = await serve("n1", port=2, address="n1")
    for target, port in (("10.0.0.1", 1), ("n1", 1), ("n1", 2)):
        end = await connect("n2", target, port)
        assert end.transport.get_extra_info("peername") == (target, port)
        assert end.transport.get_extra_info("socket", "missing") is None
        end.transport.close()
        await end.lost
    served.server.close()
    again.server.close()
    assert again.server.sockets == ()


async def test_unix_paths_are_private_to_a_host() -> None:
    loop = asyncio.get_running_loop()
    served = Served()
    with host("n1"):
        server = await loop.create_unix_server(served.accept, "/run/x")
        with pytest.raises(OSError, match="in use"):
            await loop.create_unix_server(served.accept, "/run/x")
        transport, end = await loop.create_unix_connection(End, "/run/x")
    assert server.sockets[0].getsockname() == "/run/x"
    assert transport.get_extra_info("peername") == "/run/x"
    with host("n2"), pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(End, "/run/x")
    transport.close()
    await end.lost
    server.close()
    await server.wait_closed()


async def test_what_streams_cannot_do_says_so() -> None:
    loop = asyncio.get_running_loop()
    for option in ({"ssl": True}, {"sock": object()}):
        with pytest.raises(NotImplementedError, match=next(iter(option))):
            await loop.create_connection(End, "n1", 1, **option)
        with pytest.raises(NotImplementedError, match=next(iter(option))):
            await loop.create_server(End, None, 1, **option)


@pytest.mark.loops("asyncio")
async def test_other_loops_have_no_net() -> None:
    with pytest.raises(LookupError):
        simnet.net()


# -- streams ----------------------------------------------------------------------------------


async def _stream_numbers() -> tuple[list[int], str]:
    a, b = await joined()
    sent = b"".join(struct.pack(">I", number) for number in range(2000))
    rng = asyncio.get_running_loop().rng  # type: ignore[attr-defined]
    start = 0
    while start < len(sent):
        size = rng.randrange(1, 50)
        a.transport.write(sent[start : start + size])
        start += size
        if rng.random() < 0.05:
            b.transport.pause_reading()
        if rng.random() < 0.2:
            await asyncio.sleep(rng.random() * 0.005)
            b.transport.resume_reading()
    a.transport.close()
    b.transport.resume_reading()
    await b.lost
    assert b.data == sent
    return b.chunks, asyncio.get_running_loop().fingerprint()  # type: ignore[attr-defined]


def test_a_stream_keeps_its_order_however_it_is_chopped() -> None:
    runs = [run(_stream_numbers, seed=seed) for seed in range(20)]
    assert len({fingerprint for _, fingerprint in runs}) == 20
    assert run(_stream_numbers, seed=7) == runs[7]
    sizes = {size for chunks, _ in runs for size in chunks}
    assert 1 in sizes, "pieces are cut"
    assert max(sizes) > 50, "and glued together"


def test_latency_and_bandwidth() -> None:
    async def main(size: int, link: dict[str, float]) -> float:
        simnet.net().window = 10_000_000
        a, b = await joined()
        simnet.net().set_link("n1", "n2", **link)
        start = asyncio.get_running_loop().time()
        for _ in range(10):
            a.transport.write(bytes(size // 10))
        await until(lambda: len(b.data) == size)
        await part(a, b)
        return b.arrivals[-1] - start

    assert run(main, 10, {"latency": 20.0}) > 10
    assert run(main, 10, {"latency": 0.001}) < 0.1
    assert 10 < run(main, 1_000_000, {"bandwidth": 100_000}) < 11
    assert run(main, 1_000_000, {"latency": 0}) == 0


async def test_a_reader_that_pauses_holds_one_window_at_most() -> None:
    a, b = await joined()
    b.transport.pause_reading()
    a.transport.write(bytes(200_000))
    await asyncio.sleep(60)
    assert a.transport.get_write_buffer_size() == 200_000 - simnet.net().window
    assert not b.data
    b.transport.resume_reading()
    await until(lambda: len(b.data) == 200_000)
    assert a.transport.get_write_buffer_size() == 0
    await part(a, b)


async def test_write_buffer_limits() -> None:
    a, b = await joined()
    for high, low, expected in ((None, None, (16384, 65536)), (400, None, (100, 400))):
        a.transport.set_write_buffer_limits(high, low)
        assert a.transport.get_write_buffer_limits() == expected
    a.transport.set_write_buffer_limits(low=5)
    assert a.transport.get_write_buffer_limits() == (5, 20)
    with pytest.raises(ValueError, match="high"):
        a.transport.set_write_buffer_limits(high=1, low=2)
    await part(a, b)


async def test_writing_to_an_end_that_is_gone_is_a_reset() -> None:
    a, b = await joined()
    a.keep_open = True
    b.transport.close()
    assert await b.lost is None
    a.transport.write(b"hello?")
    assert isinstance(await a.lost, ConnectionResetError)


async def test_closing_on_unread_bytes_is_a_reset() -> None:
    a, b = await joined()
    b.transport.pause_reading()
    a.transport.write(b"never read")
    await asyncio.sleep(1)
    b.transport.close()
    assert await b.lost is None
    assert isinstance(await a.lost, ConnectionResetError)


async def test_protocols_that_raise_are_reported() -> None:
    problems: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: problems.append(context["message"]))

    class Broken(End):
        def pause_writing(self) -> None:
            raise LookupError

        def eof_received(self) -> bool:
            raise LookupError

    class NoBuffer(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray()

    served = await serve("n2")
    with host("n1"):
        transport, broken = await loop.create_connection(Broken, "n2", 1)
    transport.write(bytes(1_000_000))
    await until(lambda: len(served.ends[0].data) == 1_000_000)
    served.ends[0].transport.write_eof()
    assert isinstance(await broken.lost, LookupError)
    await served.ends[0].lost
    with host("n1"):
        transport, _ = await loop.create_connection(NoBuffer, "n2", 1)
    await until(lambda: len(served.ends) == 2 and hasattr(served.ends[1], "transport"))
    served.ends[1].transport.write(b"x")
    await served.ends[1].lost
    assert transport.is_closing()
    served.server.close()
    assert len(problems) == 3


# -- connecting -------------------------------------------------------------------------------


async def test_a_port_that_nobody_serves_is_refused() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect("n1", "n2")
    served = Served()
    with host("n2"):
        server = await asyncio.get_running_loop().create_server(served.accept, None, 1, start_serving=False)
    with pytest.raises(ConnectionRefusedError):
        await connect("n1", "n2")
    await server.start_serving()
    await part(await connect("n1", "n2"))
    server.close()
    server.close()
    with pytest.raises(RuntimeError, match="closed"):
        await server.start_serving()


async def test_a_connect_over_a_cut_link_is_unreachable() -> None:
    served = await serve("n2")
    simnet.net().partition("n1", "n2")
    with pytest.raises(OSError, match="no route from n1 to n2"):
        await connect("n1", "n2")
    simnet.net().heal("n1", "n2")
    simnet.net().partition("n2", "n1", both=False)
    with pytest.raises(OSError, match="no route from n2 to n1"):
        await connect("n1", "n2")
    served.server.close()


async def test_a_connect_to_a_held_host_hangs_until_the_timeout() -> None:
    served = await serve("n2")
    loop = asyncio.get_running_loop()
    simnet.net().hold("n2")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await connect("n1", "n2")
    assert loop.time() >= 30
    with pytest.raises(TimeoutError, match="n1 to n2 timed out"):
        await connect("n1", "n2")
    assert loop.time() >= 30 + 127
    task = asyncio.create_task(connect("n1", "n2"))
    await asyncio.sleep(60)
    assert not task.done()
    simnet.net().release("n2")
    await part(await task)
    served.server.close()


async def test_a_connect_that_is_cancelled_leaves_nothing() -> None:
    served = await serve("n2")
    simnet.net().hold("n2", "n1", both=False)  # the answer does not come back
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await connect("n1", "n2")
    assert await served.ends[0].lost is None
    served.server.close()
    assert simnet.net().leftovers() == []
    assert simnet.net()._pairs == {}


async def test_a_server_that_closes_resets_its_backlog() -> None:
    served = await serve("n2")
    loop = asyncio.get_running_loop()
    accept = served.server._accept
    served.server._accept = lambda transport: (served.server.close(), accept(transport))
    end = await connect("n1", "n2")
    assert isinstance(await end.lost, ConnectionResetError)
    await served.server.wait_closed()
    assert served.ends == []

    problems: list[BaseException] = []
    loop.set_exception_handler(lambda _loop, context: problems.append(context["exception"]))
    with host("n2"):
        server = await loop.create_server(lambda: divmod(1, 0), None, 1)
    end = await connect("n1", "n2")
    assert isinstance(await end.lost, ConnectionResetError)
    assert [type(problem) for problem in problems] == [ZeroDivisionError]
    server.close()


async def test_a_server_closes_its_clients() -> None:
    served = await serve("n2")
    ends = [await connect("n1", "n2") for _ in range(3)]
    ends[0].transport.write(b"x")
    await until(lambda: served.ends[0].data)
    served.server.close_clients()
    assert [await end.lost for end in ends] == [None] * 3
    ends = [await connect("n1", "n2") for _ in range(3)]
    await asyncio.sleep(1)
    served.server.abort_clients()
    assert [await end.lost for end in ends] == [None] * 3
    served.server.close()
    await served.server.wait_closed()
    assert served.server.get_loop() is asyncio.get_running_loop()


# -- partitions and holds ---------------------------------------------------------------------


async def test_what_is_held_arrives_in_order_after_the_release() -> None:
    a, b = await joined()
    simnet.net().hold("n1", "n2")
    for number in range(100):
        a.transport.write(b"%d," % number)
        await asyncio.sleep(0.1)
    a.transport.close()
    await a.lost
    await asyncio.sleep(3600)
    assert not b.data
    simnet.net().release("n1", "n2")
    assert await b.lost is None
    assert b.data == b"".join(b"%d," % number for number in range(100))


async def test_a_silent_connection_survives_a_partition() -> None:
    a, b = await joined()
    simnet.net().partition("n1", "n2")
    await asyncio.sleep(3600)
    simnet.net().heal("n1", "n2")
    a.transport.write(b"still here")
    await until(lambda: b.data == b"still here")
    await part(a, b)


async def test_a_connection_that_lost_bytes_is_reset_when_the_link_is_healed() -> None:
    a, b = await joined()
    simnet.net().partition("n1", "n2")
    a.transport.write(b"lost")
    await asyncio.sleep(3600)
    assert not b.data
    assert not a.lost.done()
    assert not b.lost.done()
    simnet.net().heal()
    assert isinstance(await a.lost, ConnectionResetError)
    assert isinstance(await b.lost, ConnectionResetError)
    assert not b.data
    assert simnet.net()._pairs == {}


async def test_bytes_on_their_way_are_lost_to_a_partition_too() -> None:
    a, b = await joined()
    simnet.net().set_link("n1", "n2", latency=1000)
    a.transport.write(b"on its way")
    simnet.net().partition("n1", "n2")
    await asyncio.sleep(100_000)
    assert not b.data
    await part(a, b)


async def test_a_close_is_not_heard_through_a_partition() -> None:
    a, b = await joined()
    simnet.net().partition("n1", "n2")
    a.transport.close()
    assert await a.lost is None
    await asyncio.sleep(3600)
    assert not b.lost.done()
    simnet.net().heal("n2", "n1")
    assert isinstance(await b.lost, ConnectionResetError)


async def test_a_partition_in_one_direction() -> None:
    a, b = await joined()
    simnet.net().partition("n1", "n2", both=False)
    b.transport.write(b"heard")
    a.transport.write(b"unheard")
    await until(lambda: a.data == b"heard")
    assert not b.data
    await part(a, b)


async def test_a_host_alone() -> None:
    a, b = await joined("n1", "n2")
    c, d = await joined("n2", "n3")
    simnet.net().partition("n1")
    for end in (a, c):
        end.transport.write(b"x")
    await until(lambda: d.data)
    assert not b.data
    simnet.net().heal("n1")
    await a.lost
    await b.lost
    await part(c, d)


# -- crashes ----------------------------------------------------------------------------------


async def test_a_crash_resets_the_peers_and_frees_the_port() -> None:
    served = await serve("n2")
    end = await connect("n1", "n2")
    end.transport.write(b"x")
    await until(lambda: served.ends[0].data)
    simnet.net().crash("n2")
    assert isinstance(await served.ends[0].lost, ConnectionAbortedError)
    assert isinstance(await end.lost, ConnectionResetError)
    await served.server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await connect("n1", "n2")
    again = await serve("n2")
    await part(await connect("n1", "n2"))
    again.server.close()


async def test_a_silent_crash_is_not_heard() -> None:
    a, b = await joined()
    b.transport.write(b"last words")
    simnet.net().crash("n2", silent=True)
    assert isinstance(await b.lost, ConnectionAbortedError)
    await asyncio.sleep(3600)
    assert not a.data
    assert not a.lost.done()
    with pytest.raises(OSError, match="n2 is down"):
        await serve("n2")
    with pytest.raises(OSError, match="n2 is down"):
        await connect("n2", "n1")
    with pytest.raises(TimeoutError):
        await connect("n1", "n2")
    waiting = asyncio.create_task(connect("n1", "n2"))
    await asyncio.sleep(60)
    simnet.net().restart("n2")
    with pytest.raises(ConnectionRefusedError):
        await waiting
    assert not a.lost.done(), "it said nothing, so nobody told it"
    a.transport.write(b"anybody there?")
    assert isinstance(await a.lost, ConnectionResetError)


async def test_who_spoke_to_a_dead_host_is_reset_at_its_restart() -> None:
    a, _ = await joined()
    simnet.net().crash("n2", silent=True)
    a.transport.write(b"unheard")
    await asyncio.sleep(60)
    assert not a.lost.done()
    simnet.net().restart("n2")
    assert isinstance(await a.lost, ConnectionResetError)


async def test_leftovers_are_what_nobody_closed() -> None:
    net = simnet.net()
    served = await serve("n2")
    end = await connect("n1", "n2")
    assert [type(thing).__name__ for thing in net.leftovers()] == ["SimServer", "SimTransport"]
    assert [str(thing) for thing in net.leftovers()][1] == "<SimTransport n1 -> n2 open>"
    served.server.close()
    assert "closed" in repr(served.server)
    end.transport.close()
    assert net.leftovers() == []
    await end.lost


# -- all of it --------------------------------------------------------------------------------


class Heartbeat(asyncio.Protocol):
    """Beats every 15 s, and closes when it heard nothing for 60 s."""

    def __init__(self, log: list[tuple[float, str, str]]) -> None:
        self.log = log

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, SimTransport)
        self.transport = transport
        self.heard = asyncio.get_running_loop().time()
        self.task = asyncio.get_running_loop().create_task(self.beat())

    async def beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.transport.write(b"\0\0\0\4ping")
            await asyncio.sleep(15)
            if loop.time() - self.heard > 60:
                self.note("gave up")
                self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()

    def connection_lost(self, exc: Exception | None) -> None:
        self.note(f"lost {exc!r}")
        self.task.cancel()

    def note(self, what: str) -> None:
        now = asyncio.get_running_loop().time()
        self.log.append((now, f"{self.transport.here}-{self.transport.there}", what))


async def _mesh(hours: int) -> tuple[list[tuple[float, str, str]], str]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    log: list[tuple[float, str, str]] = []
    for number in range(5):
        with host(f"n{number}"):
            await loop.create_server(lambda: Heartbeat(log), None, 4000)
            for other in range(number):
                await loop.create_connection(lambda: Heartbeat(log), f"n{other}", 4000)
    await asyncio.sleep(600)
    loop.net.partition("n0", "n1")
    loop.net.hold("n2", "n3")
    await asyncio.sleep(30)
    loop.net.release("n2", "n3")
    await asyncio.sleep(hours * 3600 - loop.time())
    return log, loop.fingerprint()


@pytest.mark.parametrize("hours", [1, pytest.param(24, marks=pytest.mark.slow)])
def test_a_mesh_of_five_nodes(hours: int) -> None:
    log, fingerprint = run(_mesh, hours, seed=1)
    assert {link for _, link, _ in log} == {"n0-n1", "n1-n0"}, "the hold was too short to notice"
    assert all(600 < moment < 700 for moment, _, _ in log)
    assert sorted(what for _, _, what in log) == ["gave up"] * 2 + ["lost None"] * 2
    assert run(_mesh, hours, seed=1) == (log, fingerprint)
    assert run(_mesh, 1, seed=2)[1] != run(_mesh, 1, seed=3)[1]
