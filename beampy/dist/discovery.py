"""Discovery: from the name of a node to the addresses where it may be reached.

Rule: four ways, one interface. `EpmdDiscovery` asks the name service on the node's host, and is that service where
none runs; `StaticDiscovery` has a table; `DnsDiscovery` resolves the host and has a fixed port; `ChainDiscovery` asks
several in order. What is not found is UnknownNode, and its `why` says whom we asked and what they said.

Place: dist, under peers. It knows how to find a node and not how to talk to it: addresses are hints, in the order to
try them after `address.choose`, and who answers there proves itself in the handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from beampy.core.ids import node_name
from beampy.dist import epmd
from beampy.dist.address import ANYWHERE, FAMILY, MAGIC, Address, Place, decode_extra, here, is_loopback, reachable
from beampy.dist.epmd_server import EpmdServer
from beampy.errors import NameInUse, NotConnected, RemoteProtocolError, UnknownNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DNS_DEADLINE = 6.0  # seconds; resolv.conf's `timeout` is 5, so the second try of a lost question still counts
SETTLING = 1.0  # seconds after a take-over in which a name may be missing because its node is not back yet
LISTED = 10  # names that an error lists at most
_LOOK_AGAIN = 0.05  # seconds


class Discovery(Protocol):
    """How a node makes itself known and finds others. Names are full (`b@10.0.0.2`)."""

    def fixed_port(self, name: str) -> int | None:
        """The port that this node has to listen on to be found, None when any will do."""

    async def start(self, name: str, port: int, extra: bytes, hidden: bool) -> None:
        """Make `name`, listening on `port`, known, with `extra` from `encode_extra`. NameInUse, NotConnected."""

    async def lookup(self, node: str) -> list[Address]:
        """Where `node` may be reached, at least one address. UnknownNode when that is nowhere."""
        ...

    async def names(self, host: str) -> dict[str, int]:
        """The nodes known on a host: the part of their names before the @ → port. NotConnected."""
        ...

    async def stop(self) -> None:
        """Take back what `start` did."""


class EpmdDiscovery:
    """The EPMD protocol: a real `epmd` where one runs on this machine, else one inside the nodes.

    `port` (default: ERL_EPMD_PORT, else 4369) is that of the name service, on every host. `embedded=False` never
    serves. `addresses` (default: ERL_EPMD_ADDRESS, else none) are those on which an embedded server answers beside
    loopback; nodes of other machines find us only there. `place` is where this process runs.

    >>> discovery = EpmdDiscovery()
    >>> await discovery.start("a@10.0.0.1", 40211, encode_extra(Address(tls=True)), hidden=False)
    >>> await discovery.lookup("b@10.0.0.2")
    [Address(host='10.0.0.2', port=9100, tls=True, unix=None, boot_id='…', netns=4026531840)]
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        embedded: bool = True,
        addresses: Iterable[str] | None = None,
        place: Place | None = None,
    ) -> None:
        self.port = epmd.default_port() if port is None else port
        self._addresses = epmd.default_addresses() if addresses is None else tuple(addresses)
        self._embedded = embedded
        self._place = here() if place is None else place
        self._own_hosts = {socket.gethostname()}
        self.server: EpmdServer | None = None  # while this node is the name service
        self.registration: epmd.Registration | None = None

    def fixed_port(self, name: str) -> int | None:
        """None: the name service tells the port."""
        return None

    async def start(self, name: str, port: int, extra: bytes, hidden: bool) -> None:
        """Register, and stay registered until `stop`, whoever is the name service."""
        short, _, host = node_name(name).partition("@")
        self._own_hosts.add(host)
        try:
            self.registration = await epmd.register(
                short,
                port,
                extra,
                hidden,
                epmd_port=self.port,
                serve=self._serve if self._embedded else None,
            )
        except BaseException as error:
            await self.stop()
            if isinstance(error, NameInUse):
                raise NameInUse(name, error.why) from None
            if isinstance(error, OSError | RemoteProtocolError):
                raise NotConnected(name, f"it cannot register: {self._why(epmd.LOOPBACK, error)}") from error
            raise

    async def stop(self) -> None:
        """Give the name back; if this node was the name service, another one takes over."""
        registration, self.registration = self.registration, None
        if registration is not None:
            await registration.close()
        server, self.server = self.server, None
        if server is not None:
            await server.stop()

    async def lookup(self, node: str) -> list[Address]:
        """Ask the name service on the node's host. Right after a take-over, missing names are waited for."""
        short, _, host = node_name(node).partition("@")
        deadline = asyncio.get_running_loop().time() + epmd.DEADLINE
        while True:
            try:
                info = await epmd.lookup(self._asked(host), short, self.port)
                if info is not None:
                    return [self._address(node, host, info)]
                there = await epmd.names(self._asked(host), self.port)
                why = f"no node called {short} is registered on {host} ({_listed(there)})"
                cause, settling = None, self._settling(host, there)
            except UnknownNode:
                raise
            except (OSError, RemoteProtocolError) as error:
                why = self._why(host, error)
                cause, settling = error, isinstance(error, ConnectionError) and self._settling(host, {})
            if not settling or asyncio.get_running_loop().time() >= deadline:
                raise UnknownNode(node, why) from cause
            await asyncio.sleep(_LOOK_AGAIN)

    async def names(self, host: str) -> dict[str, int]:
        """Who is registered at the name service of `host`, Erlang's nodes included."""
        try:
            return await epmd.names(self._asked(host), self.port)
        except (OSError, RemoteProtocolError) as error:
            raise NotConnected(host, self._why(host, error)) from error

    async def _serve(self) -> bool:
        """Become the name service, unless somebody is faster."""
        server = EpmdServer(self.port, self._addresses)
        if not await server.start():
            return False
        if self.server is not None:  # it lost the port; cannot be while this process lives, and costs nothing
            await self.server.stop()
        self.server = server
        return True

    def _is_own(self, host: str) -> bool:
        return is_loopback(host) or host in self._own_hosts

    def _asked(self, host: str) -> str:
        """Our own machine's name service is on loopback, and perhaps nowhere else."""
        return epmd.LOOPBACK if self._is_own(host) else host

    def _settling(self, host: str, there: Mapping[str, int]) -> bool:
        """Whether the name service that said this has just changed, so that it may know less than is true.

        One that does not know ourselves has, also before we have heard of it.
        """
        held = self.registration
        if held is None or not self._is_own(host):
            return False
        recent = held.count > 1 and asyncio.get_running_loop().time() - held.since < SETTLING
        return recent or held.info.name not in there

    def _address(self, node: str, host: str, info: epmd.PortInfo) -> Address:
        published = decode_extra(info.extra)
        if published is None:
            version = info.extra.partition(b"\0")[0]
            if version.startswith(FAMILY) and version != MAGIC:
                raise UnknownNode(
                    node, f"{node} speaks another version of the protocol: {version.decode('ascii', 'replace')}"
                )
            raise UnknownNode(node, f"{node} is an Erlang node, not beampy's")
        listens = published.host or host
        if listens in ANYWHERE:
            listens = ("::1" if ":" in listens else epmd.LOOPBACK) if self._is_own(host) else host
        address = replace(published, host=listens, port=info.port)
        if not reachable(address, self._place):
            raise UnknownNode(node, f"{node} listens on {listens} only, of another machine or network namespace")
        return address

    def _why(self, host: str, error: Exception) -> str:
        """What went wrong at the name service of a host."""
        if isinstance(error, socket.gaierror):
            return f"host {host} is unknown: {error.strerror or error}"
        if isinstance(error, RemoteProtocolError):
            return f"what answers on {host}:{self.port} is no name service: {error.why}"
        if isinstance(error, TimeoutError):
            what = f"nothing came within {epmd.DEADLINE:g} s"
        elif isinstance(error, ConnectionRefusedError):
            what = "connection refused"
        elif isinstance(error, OSError) and error.errno:
            what = os.strerror(error.errno).lower()
        else:
            what = str(error)
        return f"the name service on host {host} does not answer ({what})"


class StaticDiscovery:
    """A table: node → `"host:port"` (`"[v6]:port"`), an Address, or a list of these. ValueError for anything else.

    >>> await StaticDiscovery({"b@10.0.0.2": "10.0.0.2:9100"}).lookup("b@10.0.0.2")
    [Address(host='10.0.0.2', port=9100, tls=None, unix=None, boot_id='', netns=0)]
    """

    def __init__(self, nodes: Mapping[str, str | Address | Iterable[str | Address]]) -> None:
        self._nodes = {node_name(node): _addresses(where) for node, where in nodes.items()}

    def fixed_port(self, name: str) -> int | None:
        """The port of the node's own entry, if it has one."""
        return next((address.port for address in self._nodes.get(name, ()) if address.port), None)

    async def start(self, name: str, port: int, extra: bytes, hidden: bool) -> None:
        """Nothing to do: the others have their tables."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def lookup(self, node: str) -> list[Address]:
        """The table's addresses of a node."""
        found = self._nodes.get(node)
        if not found:
            raise UnknownNode(node, f"it is not among the nodes whose addresses were given ({_listed(self._nodes)})")
        return list(found)

    async def names(self, host: str) -> dict[str, int]:
        """The nodes of the table whose names are on this host."""
        split = {node: node.partition("@") for node in self._nodes}
        return {name: self.fixed_port(node) or 0 for node, (name, _, at) in split.items() if at == host}


class DnsDiscovery:
    """The host of a node's name is resolved, every node listens on `port`: containers, headless services, Fly.

    `tls` says whether they want TLS there; None leaves it to who connects.

    >>> discovery = DnsDiscovery(9100)
    >>> await discovery.lookup("app@10.0.0.2")
    [Address(host='10.0.0.2', port=9100, tls=None, unix=None, boot_id='', netns=0)]
    """

    def __init__(self, port: int, *, tls: bool | None = None) -> None:
        if not 0 < port < 65536:
            raise ValueError(f"not a port: {port!r}")
        self.port = port
        self._tls = tls

    def fixed_port(self, name: str) -> int | None:
        """The port of all nodes."""
        return self.port

    async def start(self, name: str, port: int, extra: bytes, hidden: bool) -> None:
        """Nothing to do: who runs the machines tells DNS."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def lookup(self, node: str) -> list[Address]:
        """Every address of the node's host, in the resolver's order."""
        host = node_name(node).partition("@")[2]
        try:
            return await self._resolve(host)
        except OSError as error:
            raise UnknownNode(node, _unknown_host(host, error)) from error

    async def names(self, host: str) -> dict[str, int]:
        """Nobody: DNS knows hosts only."""
        return {}

    async def nodes_of(self, service: str, template: str = "app@{address}") -> dict[str, list[Address]]:
        """The nodes behind a name that stands for many machines; `{address}` is the IP address of each.

        NotConnected when the name cannot be resolved, BadName when the template makes no node's name.
        An IPv6 address stands in a node's name as it is: `app@fdaa::3`.

        >>> await discovery.nodes_of("app.default.svc.cluster.local", "worker@{address}")
        {'worker@10.0.0.2': [Address(host='10.0.0.2', …)], 'worker@10.0.0.3': […]}
        >>> await discovery.nodes_of("my-app.internal")   # every machine of a Fly app
        """
        if "@" not in template:
            raise ValueError(f"not a template for nodes' names, such as app@{{address}}: {template!r}")
        try:
            found = await self._resolve(service)
        except OSError as error:
            raise NotConnected(service, _unknown_host(service, error)) from error
        nodes: dict[str, list[Address]] = {}
        for address in sorted(found, key=str):  # resolvers shuffle
            nodes.setdefault(node_name(template.replace("{address}", address.host)), []).append(address)
        return nodes

    async def _resolve(self, host: str) -> list[Address]:
        async with asyncio.timeout(DNS_DEADLINE):
            loop = asyncio.get_running_loop()
            try:
                found = await loop.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
            except UnicodeError:  # an empty label, or one of more than 63 characters
                raise socket.gaierror(socket.EAI_NONAME, "not a name of DNS") from None
        hosts = dict.fromkeys(str(entry[4][0]) for entry in found)
        return [Address(at, self.port, self._tls) for at in hosts]


class ChainDiscovery:
    """Several ways, in order: the first that knows a node answers; a node is made known in all of them.

    >>> ChainDiscovery(StaticDiscovery({"b@10.0.0.2": "10.0.0.2:9100"}), EpmdDiscovery())
    """

    def __init__(self, *ways: Discovery) -> None:
        if not ways:
            raise ValueError("a chain of nothing finds nobody")
        self._ways = ways

    def fixed_port(self, name: str) -> int | None:
        """The first port that one of them wants."""
        return next((port for way in self._ways if (port := way.fixed_port(name)) is not None), None)

    async def start(self, name: str, port: int, extra: bytes, hidden: bool) -> None:
        """Start all; when one fails, those before it are stopped."""
        async with contextlib.AsyncExitStack() as undo:
            for way in self._ways:
                await way.start(name, port, extra, hidden)
                undo.push_async_callback(way.stop)
            undo.pop_all()

    async def stop(self) -> None:
        """Stop all, also when one of them fails."""
        async with contextlib.AsyncExitStack() as stops:
            for way in self._ways:
                stops.push_async_callback(way.stop)

    async def lookup(self, node: str) -> list[Address]:
        """The first answer; UnknownNode with every reason when there is none."""
        whys = []
        for way in self._ways:
            try:
                return await way.lookup(node)
            except UnknownNode as error:
                whys.append(error.why)
        raise UnknownNode(node, "; ".join(whys))

    async def names(self, host: str) -> dict[str, int]:
        """All that any of them knows; NotConnected when all of them fail."""
        found: dict[str, int] = {}
        failures: list[NotConnected] = []
        for way in reversed(self._ways):  # the first has the last word
            try:
                found |= await way.names(host)
            except NotConnected as error:
                failures.append(error)
        if len(failures) == len(self._ways):
            raise failures[-1]
        return found


def _addresses(where: str | Address | Iterable[str | Address]) -> list[Address]:
    if isinstance(where, Address):
        return [where]
    if isinstance(where, str):
        host, colon, port = where.rpartition(":")
        host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"not an address, such as 10.0.0.2:9100 or [fd00::2]:9100: {where!r}")
        return [Address(host, int(port))]
    return [address for one in where for address in _addresses(one)]


def _listed(names: Iterable[str]) -> str:
    """What there is instead, in few words."""
    known = sorted(names)
    if not known:
        return "there are none"
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f"there are: {', '.join(known[:LISTED])}{more}"


def _unknown_host(host: str, error: OSError) -> str:
    why = "no answer from the resolver" if isinstance(error, TimeoutError) else error.strerror or str(error)
    return f"host {host} is unknown: {why}"
