"""Discovery: from names to addresses, and what it says when there are none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from beampy.dist import discovery, epmd
from beampy.dist.address import Address, Place, encode_extra
from beampy.dist.discovery import ChainDiscovery, Discovery, DnsDiscovery, EpmdDiscovery, StaticDiscovery
from beampy.dist.epmd_server import EpmdServer
from beampy.errors import BadName, NameInUse, NotConnected, UnknownNode
from beampy.testing import simnet
from tests.unit.dist.ports import free_port, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE, THERE = Place("boot", 7), Place("other", 7)
EXTRA = encode_extra(Address(tls=False, unix="/run/a", boot_id="boot", netns=7))


class Nodes:
    """Nodes of one machine, or of several on the simulator."""

    def __init__(self) -> None:
        self.port = free_port()
        self.known: dict[str, EpmdDiscovery] = {}

    def __getitem__(self, name: str) -> EpmdDiscovery:
        return self.known[name]

    async def start(self, name: str, port: int = 9100, extra: bytes = EXTRA, **options: Any) -> EpmdDiscovery:
        found = EpmdDiscovery(self.port, **{"addresses": (), "place": HERE} | options)
        await found.start(name, port, extra, False)
        self.known[name] = found
        return found

    async def stop(self, name: str) -> None:
        await self.known.pop(name).stop()

    def serving(self) -> list[str]:
        return [name for name, found in self.known.items() if found.server is not None and found.server.serving]


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    made = Nodes()
    yield made
    for name in list(made.known):
        await made.stop(name)


async def unknown(way: Discovery, node: str) -> str:
    with pytest.raises(UnknownNode) as caught:
        await way.lookup(node)
    assert caught.value.node == node
    return caught.value.why


# --- the name service


async def test_nodes_find_each_other(nodes: Nodes):
    a = await nodes.start("a@localhost", 9100)
    b = await nodes.start("b@localhost", 9200, encode_extra(Address(tls=True, host="127.0.0.1")))
    assert nodes.serving() == ["a@localhost"]
    assert await b.lookup("a@localhost") == [Address("localhost", 9100, False, "/run/a", "boot", 7)]
    assert await a.lookup("b@localhost") == [Address("127.0.0.1", 9200, True)]
    assert await a.names("localhost") == await b.names("127.0.0.1") == {"a": 9100, "b": 9200}


async def test_a_name_that_is_taken(nodes: Nodes):
    await nodes.start("a@localhost")
    with pytest.raises(NameInUse) as caught:
        await nodes.start("a@localhost")
    assert caught.value.node == "a@localhost"


async def test_a_name_is_free_when_its_node_has_stopped(nodes: Nodes):
    await nodes.start("a@localhost")
    await nodes.start("b@localhost")
    await nodes.stop("b@localhost")
    await nodes.start("b@localhost")
    await nodes.stop("a@localhost")
    await nodes.start("a@localhost")
    assert len(nodes.serving()) == 1


async def test_the_serving_node_stops_and_another_serves(nodes: Nodes):
    names = [f"n{i}@localhost" for i in range(5)]
    for name in names:
        await nodes.start(name)
    for _ in names[:-1]:
        (serving,) = nodes.serving()
        await nodes.stop(serving)
        for asking in nodes.known.values():
            for other in nodes.known:
                assert len(await asking.lookup(other)) == 1, "while the names come back"
        assert len(nodes.serving()) == 1


async def test_without_an_embedded_server_somebody_else_has_to_serve(nodes: Nodes):
    with pytest.raises(NotConnected, match=r"on host 127\.0\.0\.1 does not answer \(connection refused\)"):
        await nodes.start("a@localhost", embedded=False)
    server = EpmdServer(nodes.port, ())
    await server.start()
    a = await nodes.start("a@localhost", embedded=False)
    await server.stop()
    await until(lambda: a.registration.trouble)
    await server.start()
    assert await a.lookup("a@localhost")
    await nodes.stop("a@localhost")
    await server.stop()


async def test_a_start_that_is_cancelled_leaves_nothing(monkeypatch: pytest.MonkeyPatch):
    port = free_port()
    silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", port)
    starting = asyncio.create_task(EpmdDiscovery(port, addresses=()).start("a@localhost", 1, b"", False))
    await asyncio.sleep(0.05)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    silent.close()


async def test_stop_without_a_start():
    await EpmdDiscovery(free_port()).stop()


async def test_asking_needs_no_start(nodes: Nodes):
    await nodes.start("a@localhost")
    asking = EpmdDiscovery(nodes.port, place=HERE)
    assert await asking.names("localhost") == {"a": 9100}
    assert (await asking.lookup("a@127.0.0.1"))[0].port == 9100


# --- what it says


async def test_no_such_node(nodes: Nodes):
    a = await nodes.start("a@localhost")
    await nodes.start("c@localhost")
    assert await unknown(a, "b@localhost") == "no node called b is registered on localhost (there are: a, c)"
    await nodes.stop("c@localhost")
    for i in range(12):
        await nodes.start(f"n{i:02}@localhost")
    why = await unknown(a, "b@localhost")
    assert why.endswith("(there are: a, n00, n01, n02, n03, n04, n05, n06, n07, n08 and 3 more)")


async def test_no_name_service():
    asking = EpmdDiscovery(free_port())
    why = "the name service on host localhost does not answer (connection refused)"
    assert await unknown(asking, "b@localhost") == why
    with pytest.raises(NotConnected) as caught:
        await asking.names("localhost")
    assert caught.value.why == why


async def test_an_empty_name_service():
    server = EpmdServer(free_port(), ())
    await server.start()
    why = await unknown(EpmdDiscovery(server.port), "b@localhost")
    assert why == "no node called b is registered on localhost (there are none)"
    await server.stop()


async def speak(data: bytes) -> tuple[Any, int]:
    """A server that says `data` to everybody and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            size = await reader.readexactly(2)
            await reader.readexactly(int.from_bytes(size, "big"))  # closing on unread bytes is a reset
        writer.write(data)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    port = free_port()
    return await asyncio.start_server(handle, "127.0.0.1", port), port


async def test_something_else_on_the_port():
    server, port = await speak(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    asking = EpmdDiscovery(port)
    assert (await unknown(asking, "b@localhost")).startswith(f"what answers on localhost:{port} is no name service: ")
    with pytest.raises(NotConnected, match="it cannot register: what answers on"):
        await asking.start("a@localhost", 1, b"", False)
    server.close()


async def test_a_name_service_that_hangs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(epmd, "DEADLINE", 0.1)
    port = free_port()
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", port)
    why = "the name service on host localhost does not answer (nothing came within 0.1 s)"
    assert await unknown(EpmdDiscovery(port), "b@localhost") == why
    server.close()


@pytest.mark.loops("asyncio", "uvloop")
async def test_an_unknown_host():
    for way in (EpmdDiscovery(free_port()), DnsDiscovery(9100)):
        assert await unknown(way, "b@no..name") == "host no..name is unknown: not a name of DNS"


@pytest.mark.loops("sim")
async def test_a_host_that_cannot_be_reached():
    simnet.net().partition("n1", "n2")
    with simnet.host("n1"):
        why = await unknown(EpmdDiscovery(4369), "b@n2")
    assert why == "the name service on host n2 does not answer (no route to host)"


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (b"", "b@localhost is an Erlang node, not beampy's"),
        (b"\xff\0", "b@localhost is an Erlang node, not beampy's"),
        (b"beampy2\0x", "b@localhost speaks another version of the protocol: beampy2"),
    ],
)
async def test_a_node_that_is_not_ours(nodes: Nodes, extra: bytes, why: str):
    b = await nodes.start("b@localhost", extra=extra)
    assert await unknown(b, "b@localhost") == why


async def test_what_is_no_name():
    for way in (EpmdDiscovery(4369), DnsDiscovery(1)):
        with pytest.raises(BadName):
            await way.lookup("a b@localhost")


# --- several machines


@pytest.fixture
async def machines(nodes: Nodes) -> Nodes:
    """a and c on n1, which answers other machines; b on n2, which does not."""
    anywhere = encode_extra(Address(tls=True, host="0.0.0.0", boot_id="boot", netns=7))
    with simnet.host("n1"):
        await nodes.start("a@n1", 9100, anywhere, addresses=["0.0.0.0"])
        await nodes.start("c@n1", 9300, encode_extra(Address("127.0.0.1", boot_id="boot", netns=7)))
    with simnet.host("n2"):
        await nodes.start("b@n2", 9200, place=THERE)
    return nodes


@pytest.mark.loops("sim")
async def test_a_node_is_found_on_its_host(machines: Nodes):
    with simnet.host("n2"):
        assert [str(address) for address in await machines["b@n2"].lookup("a@n1")] == ["n1:9100"]
        assert await machines["b@n2"].names("n1") == {"a": 9100, "c": 9300}
        assert await machines["b@n2"].names("n2") == {"b": 9200}
    with simnet.host("n1"):
        assert [str(address) for address in await machines["c@n1"].lookup("a@n1")] == ["127.0.0.1:9100"]
        assert "does not answer (connection refused)" in await unknown(machines["a@n1"], "b@n2")


@pytest.mark.loops("sim")
async def test_a_node_that_listens_for_its_own_machine_only(machines: Nodes):
    with simnet.host("n1"):
        assert [str(address) for address in await machines["a@n1"].lookup("c@n1")] == ["127.0.0.1:9300"]
    with simnet.host("n2"):
        why = await unknown(machines["b@n2"], "c@n1")
    assert why == "c@n1 listens on 127.0.0.1 only, of another machine or network namespace"


@pytest.mark.loops("sim")
async def test_each_machine_has_its_own_name_service(machines: Nodes):
    assert machines.serving() == ["a@n1", "b@n2"]
    with simnet.host("n2"):
        await machines.start("a@n2", 1, place=THERE)
        assert (await machines["b@n2"].lookup("a@n2"))[0].port == 1
        assert (await machines["b@n2"].lookup("a@n1"))[0].port == 9100


async def test_the_port_of_the_name_service_is_in_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ERL_EPMD_PORT", "4444")
    assert EpmdDiscovery().port == 4444


def test_it_wants_no_port():
    assert EpmdDiscovery(4369).fixed_port("a@localhost") is None


# --- tables


TABLE = {
    "a@10.0.0.1": "10.0.0.1:9100",
    "b@10.0.0.2": ["10.0.0.2:9100", Address("fd00::2", 9200, True)],
    "c": "[::1]:9300",
}


async def test_a_table():
    table = StaticDiscovery(TABLE)
    await table.start("a@10.0.0.1", 9100, b"", False)
    assert await table.lookup("a@10.0.0.1") == [Address("10.0.0.1", 9100)]
    assert await table.lookup("b@10.0.0.2") == [Address("10.0.0.2", 9100), Address("fd00::2", 9200, True)]
    assert await table.lookup("c@localhost") == [Address("::1", 9300)]
    assert await table.names("10.0.0.1") == {"a": 9100}
    assert await table.names("10.0.0.9") == {}
    assert table.fixed_port("b@10.0.0.2") == 9100
    assert table.fixed_port("d@10.0.0.2") is None
    assert await unknown(table, "d@localhost") == (
        "it is not among the nodes whose addresses were given (there are: a@10.0.0.1, b@10.0.0.2, c@localhost)"
    )
    await table.stop()


@pytest.mark.parametrize("where", ["10.0.0.1", ":9100", "h:", "h:0", "h:65536", "h:x", "", "fd00::2", ["h:1", "h"]])
def test_a_table_that_cannot_be_read(where: Any):
    if where == "fd00::2":
        where = "fd00::"
    with pytest.raises(ValueError, match="not an address"):
        StaticDiscovery({"a@h": where})


def test_a_table_with_a_bad_name():
    with pytest.raises(BadName):
        StaticDiscovery({"a b@h": "h:1"})


# --- DNS


Resolve = "Callable[[dict[str, list[str] | Exception]], None]"


@pytest.fixture
async def resolves(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """A resolver with these hosts only."""

    def decorate(hosts: dict[str, list[str] | Exception]) -> None:
        async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
            assert options == {"type": socket.SOCK_STREAM}
            found = hosts.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
            if isinstance(found, asyncio.CancelledError):
                await asyncio.sleep(3600)
            if isinstance(found, Exception):
                raise found
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    return decorate


async def test_every_address_of_a_host_in_order(resolves: Resolve):
    resolves({"b": ["10.0.0.3", "fd00::2", "10.0.0.3", "10.0.0.2"]})
    way = DnsDiscovery(9100, tls=True)
    await way.start("a@a", 9100, b"", False)
    found = await way.lookup("n@b")
    assert [str(address) for address in found] == ["10.0.0.3:9100", "[fd00::2]:9100", "10.0.0.2:9100"]
    assert {address.tls for address in found} == {True}
    assert (way.fixed_port("n@b"), await way.names("b")) == (9100, {})
    assert await unknown(way, "n@c") == "host c is unknown: Name or service not known"
    await way.stop()


async def test_the_nodes_of_a_service(resolves: Resolve):
    resolves({"app.internal": ["fdaa::3", "fdaa::2"]})
    way = DnsDiscovery(9100)
    found = await way.nodes_of("app.internal")
    assert found == {
        "app@fdaa::2": [Address("fdaa::2", 9100)],
        "app@fdaa::3": [Address("fdaa::3", 9100)],
    }
    assert list(found) == sorted(found)
    assert list(await way.nodes_of("app.internal", "w-1@{address}")) == ["w-1@fdaa::2", "w-1@fdaa::3"]
    assert list(await way.nodes_of("app.internal", "all@app.internal")) == ["all@app.internal"]
    with pytest.raises(NotConnected, match="host other is unknown"):
        await way.nodes_of("other")
    with pytest.raises(BadName):
        await way.nodes_of("app.internal", "a b@{address}")
    with pytest.raises(ValueError, match="template"):
        await way.nodes_of("app.internal", "app")


async def test_an_address_resolves_to_itself():
    assert await DnsDiscovery(9100).lookup("app@127.0.0.1") == [Address("127.0.0.1", 9100)]
    assert await DnsDiscovery(9100).lookup("app@::1") == [Address("::1", 9100)]


async def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch):
    async def getaddrinfo(*_: object, **__: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(discovery, "DNS_DEADLINE", 0.05)
    assert await unknown(DnsDiscovery(9100), "n@b") == "host b is unknown: no answer from the resolver"


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_dns_needs_a_port(port: int):
    with pytest.raises(ValueError, match="port"):
        DnsDiscovery(port)


# --- chains


class Way:
    """A way that writes down what it is asked to do."""

    def __init__(self, fail: Exception | None = None) -> None:
        self.fail = fail
        self.done: list[str] = []

    def fixed_port(self, name: str) -> int | None:
        return None

    async def start(self, name: str, port: int, extra: bytes, hidden: bool) -> None:
        if self.fail is not None:
            raise self.fail
        self.done.append("start")

    async def stop(self) -> None:
        self.done.append("stop")
        if self.fail is not None:
            raise self.fail

    async def lookup(self, node: str) -> list[Address]:
        raise UnknownNode(node, "not mine")

    async def names(self, host: str) -> dict[str, int]:
        raise NotConnected(host, "not mine")


async def test_the_first_that_knows():
    chain = ChainDiscovery(Way(), StaticDiscovery(TABLE), StaticDiscovery({"a@10.0.0.1": "h:1", "d": "h:2"}))
    assert await chain.lookup("a@10.0.0.1") == [Address("10.0.0.1", 9100)]
    assert await chain.lookup("d@localhost") == [Address("h", 2)]
    assert chain.fixed_port("d@localhost") == 2
    assert chain.fixed_port("e@localhost") is None
    assert await chain.names("10.0.0.1") == {"a": 9100}
    assert await chain.names("localhost") == {"c": 9300, "d": 2}
    why = await unknown(chain, "e@localhost")
    assert why.startswith("not mine; it is not among")
    assert why.count(";") == 2


async def test_a_chain_in_which_all_fail():
    with pytest.raises(NotConnected, match="not mine"):
        await ChainDiscovery(Way(), Way()).names("h")
    with pytest.raises(ValueError, match="nobody"):
        ChainDiscovery()


async def test_a_chain_starts_all_or_none():
    ways = [Way(), Way()]
    chain = ChainDiscovery(*ways)
    await chain.start("a@h", 1, b"", False)
    await chain.stop()
    assert [way.done for way in ways] == [["start", "stop"]] * 2

    failing = [Way(), Way(NameInUse("a@h", "taken")), Way()]
    with pytest.raises(NameInUse):
        await ChainDiscovery(*failing).start("a@h", 1, b"", False)
    assert [way.done for way in failing] == [["start", "stop"], [], []]


async def test_a_chain_stops_all_whatever_happens():
    ways = [Way(), Way(OSError("no")), Way()]
    with pytest.raises(OSError, match="no"):
        await ChainDiscovery(*ways).stop()
    assert [way.done for way in ways] == [["stop"]] * 3


async def test_another_failure_ends_a_chain():
    class Broken(Way):
        async def lookup(self, node: str) -> list[Address]:
            raise RuntimeError("a bug is no reason to ask the next")

    with pytest.raises(RuntimeError):
        await ChainDiscovery(Broken(), StaticDiscovery(TABLE)).lookup("a@10.0.0.1")
