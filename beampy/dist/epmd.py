"""EPMD, the protocol of Erlang's name service: its bytes, and a client.

Rule: byte for byte what the Erlang documentation says ("Distribution Protocol", EPMD), so that a real `epmd` serves
us, `epmd -names` lists us, and Erlang's nodes can use our server. The first half is pure functions from and to bytes;
a decoder gives None while bytes are missing and raises RemoteProtocolError for what can never become a message. The
client asks one question per connection; a registration is the connection that stays open, and is made again for ever
when that breaks.

Place: dist, under discovery. The server for when no epmd runs is epmd_server's; this file knows only `serve`, a
function that may bring one up. It does not know what is in Extra (address's) nor what a node is.

The name here is the part before the `@`. Errors are those of sockets (OSError, with TimeoutError and socket.gaierror
among them), RemoteProtocolError, and NameInUse.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from beampy.errors import NameInUse, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

T = TypeVar("T")

log = logging.getLogger("beampy.epmd")

LOOPBACK = "127.0.0.1"  # where a node registers, as Erlang's do
PORT = 4369  # registered with IANA for epmd
DEADLINE = 2.0  # seconds for one question with its answer; epmd answers in under a millisecond
MAX_REQUEST = 2048  # bytes: a name of MAX_NAME and an Extra of as many, with the lengths around them
MAX_NAME = 255 * 4  # bytes: 255 characters in UTF-8, epmd's MAXSYMLEN
MAX_ANSWER = 4096  # bytes of a PORT2_RESP, as MAX_REQUEST and generous
MAX_NAMES = 1 << 20  # bytes of a NAMES_RESP: 1000 nodes with the longest names
FIRST_RETRY = 0.02  # seconds; the server that takes over needs a few milliseconds
LAST_RETRY = 1.0  # seconds between two tries at most: names are complete a second after a server is there
STALE = 0.25  # seconds in which a name may still be held by the connection of a node that just ended

VISIBLE, HIDDEN = 77, 72
VERSION = 6  # of Erlang's distribution, since OTP 23: what makes epmd answer with 32 bits of creation

_NAMES_REQ, _PORT_PLEASE2_REQ, _ALIVE2_REQ = 110, 122, 120
_ALIVE2_X_RESP, _ALIVE2_RESP, _PORT2_RESP = 118, 121, 119
_KILL_REQ, _STOP_REQ = 107, 115
_NODE = struct.Struct("!HBBHH")  # port, node type, protocol, highest and lowest version
_LENGTH = struct.Struct("!H")
_NAMES_LINE = re.compile(r"name (.+) at port (\d{1,5})\Z")


def default_port() -> int:
    """The port of the name service: ERL_EPMD_PORT, else 4369. ValueError when that is no port."""
    text = os.environ.get("ERL_EPMD_PORT", "")
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"ERL_EPMD_PORT is no port: {text!r}")
    return int(text or PORT)


def default_addresses() -> tuple[str, ...]:
    """The addresses of ERL_EPMD_ADDRESS (comma-separated), on which a server listens beside loopback; else none."""
    return tuple(part.strip() for part in os.environ.get("ERL_EPMD_ADDRESS", "").split(",") if part.strip())


# --- the bytes -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PortInfo:
    """One registered node: its `name`, the TCP `port` it listens on, and the bytes it published (`extra`)."""

    name: str
    port: int
    extra: bytes = b""
    hidden: bool = False
    protocol: int = 0  # TCP over IPv4 or IPv6
    highest: int = VERSION
    lowest: int = VERSION


class Alive(NamedTuple):
    """ALIVE2_REQ: register this node for as long as the connection lives."""

    info: PortInfo


class PortPlease(NamedTuple):
    """PORT_PLEASE2_REQ: where is this node?"""

    name: str


class Names(NamedTuple):
    """NAMES_REQ: who is there?"""


class Refused(NamedTuple):
    """KILL_REQ or STOP_REQ: what an epmd does for its administrator and we for nobody."""

    kill: bool


Request = Alive | PortPlease | Names | Refused


class AliveAnswer(NamedTuple):
    """ALIVE2_RESP or ALIVE2_X_RESP: `result` 0 is yes. The creation is for nodes that do not draw their own."""

    result: int
    creation: int


class PortAnswer(NamedTuple):
    """PORT2_RESP: the node, or None when there is none of that name."""

    info: PortInfo | None


def encode_request(request: Request) -> bytes:
    """A request, with the length before it. ValueError for a name or an Extra that does not fit.

    >>> encode_request(PortPlease("b")).hex(" ")
    '00 02 7a 62'
    """
    match request:
        case Alive(info):
            body = bytes([_ALIVE2_REQ]) + _encode_node(info)
        case PortPlease(name):
            body = bytes([_PORT_PLEASE2_REQ]) + _encode_name(name)
        case Names():
            body = bytes([_NAMES_REQ])
        case Refused(kill):
            body = bytes([_KILL_REQ if kill else _STOP_REQ])
    if len(body) > MAX_REQUEST:
        raise ValueError(f"a request to epmd has at most {MAX_REQUEST} bytes, not {len(body)}")
    return _LENGTH.pack(len(body)) + body


def decode_request(data: bytes | bytearray) -> Request | None:
    """The request that `data` is, all of it; None while bytes are missing."""
    if len(data) < 2:
        return None
    (size,) = _LENGTH.unpack_from(data)
    if not 0 < size <= MAX_REQUEST:
        raise RemoteProtocolError(f"a request of {size} bytes")
    if len(data) > 2 + size:
        raise RemoteProtocolError("more than one request on a connection")
    if len(data) < 2 + size:
        return None
    body = bytes(data[3:])
    kind = data[2]
    if kind == _ALIVE2_REQ:
        info, rest = _decode_node(body)
        if info is None or rest:
            raise RemoteProtocolError("an ALIVE2_REQ of the wrong length")
        return Alive(info)
    if kind == _PORT_PLEASE2_REQ:
        return PortPlease(_decode_name(body))
    if kind == _NAMES_REQ:
        return Names()
    if kind in (_KILL_REQ, _STOP_REQ):
        return Refused(kill=kind == _KILL_REQ)
    raise RemoteProtocolError(f"a request of the unknown kind {kind}")


def encode_alive_answer(result: int, creation: int, highest: int) -> bytes:
    """The answer to a registration, in the form that a node of this highest version reads."""
    if highest >= VERSION:
        return struct.pack("!BBI", _ALIVE2_X_RESP, result, creation)
    return struct.pack("!BBH", _ALIVE2_RESP, result, creation & 0xFFFF)


def decode_alive_answer(data: bytes) -> AliveAnswer | None:
    """The answer to a registration; None while bytes are missing."""
    if not data:
        return None
    if data[0] not in (_ALIVE2_X_RESP, _ALIVE2_RESP):
        raise RemoteProtocolError(f"an answer of kind {data[0]} to a registration")
    shape = "!BBI" if data[0] == _ALIVE2_X_RESP else "!BBH"
    if len(data) < struct.calcsize(shape):
        return None
    _, result, creation = struct.unpack_from(shape, data)
    return AliveAnswer(result, creation)


def encode_port_answer(info: PortInfo | None) -> bytes:
    """The answer to a PORT_PLEASE2_REQ; None says that there is no such node."""
    if info is None:
        return bytes([_PORT2_RESP, 1])
    return bytes([_PORT2_RESP, 0]) + _encode_node(info)


def decode_port_answer(data: bytes) -> PortAnswer | None:
    """The answer to a PORT_PLEASE2_REQ; None while bytes are missing. Bytes after it are passed over."""
    if data and data[0] != _PORT2_RESP:
        raise RemoteProtocolError(f"an answer of kind {data[0]} to the question for a port")
    if len(data) < 2:
        return None
    if data[1] != 0:
        return PortAnswer(None)
    info, _ = _decode_node(data[2:])
    return None if info is None else PortAnswer(info)


def encode_names_answer(port: int, names: dict[str, int]) -> bytes:
    """The answer to a NAMES_REQ of the epmd on `port`: names, with the port of each."""
    lines = "".join(f"name {name} at port {at}\n" for name, at in names.items())
    return struct.pack("!I", port) + lines.encode()


def decode_names_answer(data: bytes) -> dict[str, int] | None:
    """Name → port, from all bytes of an answer to a NAMES_REQ; None when its end is missing.

    Lines that say something else are passed over.
    """
    if data[:2] != b"\0\0"[: len(data)]:  # the first four bytes are the port of the epmd
        raise RemoteProtocolError("no list of names")
    if len(data) < 4 or (len(data) > 4 and not data.endswith(b"\n")):
        return None
    lines = data[4:].decode("utf-8", "replace").split("\n")
    found = filter(None, map(_NAMES_LINE.match, lines))
    return {match[1]: int(match[2]) for match in found}


def _encode_node(info: PortInfo) -> bytes:
    name = _encode_name(info.name)
    kind = HIDDEN if info.hidden else VISIBLE
    fixed = _NODE.pack(info.port, kind, info.protocol, info.highest, info.lowest)
    return b"".join((fixed, _LENGTH.pack(len(name)), name, _LENGTH.pack(len(info.extra)), info.extra))


def _decode_node(data: bytes) -> tuple[PortInfo | None, bytes]:
    """The node that `data` begins with, and what comes after it; None while bytes are missing."""
    at = _NODE.size
    name, at = _field(data, at)
    extra, at = _field(data, at)
    if name is None or extra is None:
        return None, b""
    port, kind, protocol, highest, lowest = _NODE.unpack_from(data)
    if kind not in (VISIBLE, HIDDEN):
        raise RemoteProtocolError(f"a node of the unknown type {kind}")
    info = PortInfo(_decode_name(name), port, extra, kind == HIDDEN, protocol, highest, lowest)
    return info, bytes(data[at:])


def _field(data: bytes, at: int) -> tuple[bytes | None, int]:
    """The bytes behind a 16-bit length at `at`, and where they end."""
    if len(data) < at + 2:
        return None, len(data)
    (size,) = _LENGTH.unpack_from(data, at)
    end = at + 2 + size
    return (bytes(data[at + 2 : end]), end) if len(data) >= end else (None, len(data))


def _encode_name(name: str) -> bytes:
    data = name.encode()
    if not 0 < len(data) <= MAX_NAME or not name.isprintable() or "@" in name:
        raise ValueError(f"not the name of a node at a name service: {name!r}")
    return data


def _decode_name(data: bytes) -> str:
    try:
        name = data.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("a name that is not UTF-8") from None
    # A line break in a name would forge other names in the list.
    if not 0 < len(data) <= MAX_NAME or not name.isprintable():
        raise RemoteProtocolError(f"a name that is none: {name[:50]!r}")
    return name


# --- the client ----------------------------------------------------------------------------------


class _Talk(asyncio.Protocol):
    """The client's end of a connection: what was received, at most `limit` bytes, and whether it is over."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._news = asyncio.Event()
        self._too_long = False
        self.lost = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data[: self._limit + 1 - len(self._data)]
        if len(self._data) > self._limit:
            self._too_long = True
            self.transport.abort()
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self._news.set()

    def ask(self, request: Request) -> None:
        """Send a request; `answer` says so when it could not be sent."""
        if not self.transport.is_closing():  # a closed transport of uvloop raises
            self.transport.write(encode_request(request))

    async def answer(self, decode: Callable[[bytes], T | None], *, whole: bool = False) -> T:
        """What was received, once `decode` has all of it; `whole` waits for the end of the stream first."""
        while True:
            self._news.clear()
            over = self.lost.is_set()
            if self._too_long:
                raise RemoteProtocolError(f"an answer of more than {self._limit} bytes")
            if over or not whole:
                found = decode(bytes(self._data))
                if found is not None:
                    return found
            if over:
                raise ConnectionResetError(errno.ECONNRESET, "it closed the connection without an answer")
            await self._news.wait()


async def _connect(host: str, port: int, limit: int) -> _Talk:
    loop = asyncio.get_running_loop()
    try:
        transport, talk = await loop.create_connection(lambda: _Talk(limit), host, port)
    except UnicodeError:  # what getaddrinfo says to an empty label, and to one of more than 63 characters
        raise socket.gaierror(socket.EAI_NONAME, "not a name of DNS") from None
    # A connect to a local port that nobody listens on may draw that very port and meet itself.
    if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
        await _hang_up(talk)
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens on port {port}")
    return talk


async def _hang_up(talk: _Talk) -> None:
    talk.transport.abort()
    await talk.lost.wait()


@asynccontextmanager
async def _asked(host: str, port: int, request: Request, limit: int) -> AsyncIterator[_Talk]:
    """One question, within the deadline; the connection is closed at the end."""
    async with asyncio.timeout(DEADLINE):
        talk = await _connect(host, port, limit)
        try:
            talk.ask(request)
            yield talk
        finally:
            await _hang_up(talk)


async def lookup(host: str, name: str, port: int | None = None) -> PortInfo | None:
    """The node of this name at the name service on `host`, or None. `port` is that of the name service.

    >>> info = await lookup("10.0.0.2", "b")
    """
    async with _asked(host, port or default_port(), PortPlease(name), MAX_ANSWER) as talk:
        return (await talk.answer(decode_port_answer)).info


async def names(host: str, port: int | None = None) -> dict[str, int]:
    """Every registered name, with its port, at the name service on `host`.

    >>> await names("10.0.0.2")
    {'a': 40211, 'b': 9100}
    """
    async with _asked(host, port or default_port(), Names(), MAX_NAMES) as talk:
        return await talk.answer(decode_names_answer, whole=True)


class Registration:
    """A name that is held at the name service until `close`. Made by `register`.

    When the connection breaks it registers again, first at once and then with growing pauses up to `LAST_RETRY`, for
    ever. `count` says how often it has registered, `since` when it last did (the loop's clock), `trouble` why it is not
    registered now.
    """

    def __init__(
        self, info: PortInfo, host: str, port: int, serve: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        self.info = info
        self.count = 0
        self.since = 0.0
        self.trouble: str | None = None
        self._at = (host, port)
        self._serve = serve
        self._talk: _Talk | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def registered(self) -> bool:
        """Whether the name is held now, as far as this side knows."""
        return self._talk is not None and not self._talk.lost.is_set()

    async def start(self) -> None:
        """Register for the first time."""
        stale_until = asyncio.get_running_loop().time() + STALE
        while True:
            try:
                await self._register()
                break
            except (NameInUse, ConnectionResetError):  # the latter: the name service has just died
                if asyncio.get_running_loop().time() >= stale_until:
                    raise
                await asyncio.sleep(STALE / 5)
        self._keeper = asyncio.create_task(self._keep(), name=f"beampy: {self.info.name} at the name service")

    async def close(self) -> None:
        """Give the name back. It is free when this returns, as soon as the name service has read that."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        if self._talk is not None:
            await _hang_up(self._talk)

    async def _register(self) -> None:
        async with asyncio.timeout(DEADLINE):
            talk = await self._reach()
            try:
                talk.ask(Alive(self.info))
                answer = await talk.answer(decode_alive_answer)
                if answer.result != 0:
                    at = f"{self._at[0]}:{self._at[1]}"
                    raise NameInUse(self.info.name, f"another node has registered it at the name service on {at}")
            except BaseException:
                await _hang_up(talk)
                raise
        self._talk, self.trouble = talk, None
        self.count += 1
        self.since = asyncio.get_running_loop().time()

    async def _reach(self) -> _Talk:
        """Connect to the name service; where there is none, become it, or wait for who does."""
        while True:
            try:
                return await _connect(*self._at, MAX_ANSWER)
            except ConnectionRefusedError:
                if self._serve is None:
                    raise
                if not await self._serve():
                    await asyncio.sleep(FIRST_RETRY)

    async def _keep(self) -> None:
        pause = 0.0
        while True:
            assert self._talk is not None
            await self._talk.lost.wait()
            lasted = asyncio.get_running_loop().time() - self.since
            # A server that takes every name and hangs up at once is not asked in a tight circle.
            pause = 0.0 if lasted >= LAST_RETRY else max(pause, FIRST_RETRY)
            log.info("the name service has lost %s: registering again", self.info.name)
            while not self.registered:
                await asyncio.sleep(pause)
                pause = min(max(2 * pause, FIRST_RETRY), LAST_RETRY)
                try:
                    await self._register()
                except (OSError, RemoteProtocolError) as error:
                    why = str(error) or "it does not answer"
                    level = logging.DEBUG if self.trouble else logging.WARNING  # said once per outage
                    log.log(level, "%s cannot register at the name service: %s", self.info.name, why)
                    self.trouble = why


async def register(
    name: str,
    port: int,
    extra: bytes = b"",
    hidden: bool = False,
    *,
    host: str = LOOPBACK,
    epmd_port: int | None = None,
    serve: Callable[[], Awaitable[bool]] | None = None,
) -> Registration:
    """Register `name`, listening on `port`, and stay registered. NameInUse when another node has the name.

    `serve` is called when nobody listens there: True says that there is a server now, False that somebody else won.

    >>> registration = await register("a", 9100, epmd_port=4369)
    >>> await registration.close()
    """
    registration = Registration(PortInfo(name, port, extra, hidden), host, epmd_port or default_port(), serve)
    await registration.start()
    return registration
