"""Pipe: a connection over two byte pipes, such as a process's stdin and stdout, so that ssh can carry a node.

Rule: a pipe is one more carrier: the handshake and the channel on it are those of a socket, and the carrier's name is
`pipe`. Who started the other side connects, and names it; the other side waits. Since login shells and imports may
write to stdout before a node does, the waiting side begins with a mark, and everything before the mark is skipped.

Place: dist, beside listen.py and dial.py. It knows file descriptors and a protocol to feed. It does not know who
started the process at the other end, nor what becomes of the program when the pipe breaks (runtime).

The node owns the descriptors from here on: it makes them non-blocking, and closes them when the connection ends. They
may be two pipes, two sockets, or one socket twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from collections import deque
from fcntl import fcntl
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from beampy.dist.connection import Connection
from beampy.errors import HandshakeFailed, NotConnected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beampy.dist.peers import Peers

MARK = b"\nbeampy pipe 1\n"  # no line of a shell's greeting; the version is that of this file, not of the handshake
MAX_NOISE = 64 * 1024  # bytes before the mark: a long greeting; what is longer is no greeting
BOOT_TIME = 60.0  # seconds until the mark: a slow ssh login, then an interpreter that imports a lot
LINGER = 5.0  # seconds to write what was queued before a close
LAST_WORDS = 1.0  # seconds to read what they sent when they read no more
PIPE_SIZE = 1024 * 1024  # bytes: what Linux gives everybody (/proc/sys/fs/pipe-max-size); 64 KiB is the default
F_SETPIPE_SZ = 1031  # Linux; the module fcntl has no name for it elsewhere
MAX_PIECES = 1024  # pieces of one writev: Linux' IOV_MAX
HIGH, LOW = 64 * 1024, 16 * 1024  # bytes, as asyncio's; a connection sets its own


class File(Protocol):
    """What stands for a descriptor: a file object, such as a Popen's `stdout`."""

    def fileno(self) -> int:
        """The descriptor."""
        ...

    def close(self) -> object:
        """Close it."""


End: TypeAlias = "int | File"


class Attached(NamedTuple):
    """A pipe that is connected: the other node, and a future that is done when the connection is lost."""

    node: str
    ended: asyncio.Future[None]


async def attach(
    peers: Peers, read_end: End, write_end: End, expected: str | None = None, *, timeout: float = BOOT_TIME
) -> Attached:
    """Connect over a pair of pipes. `expected` is the node at the other end; None waits for whoever proves our cookie.

    `timeout` is how many seconds the other side has to start. Raises NotConnected, which says why, and ValueError for
    descriptors that are no pipes. The ends are closed in any case.

    >>> process = subprocess.Popen(["ssh", "host", "python", "-m", "app"], stdin=PIPE, stdout=PIPE, bufsize=0)
    >>> await attach(peers, process.stdout, process.stdin, "app@host")
    """
    transport = PipeTransport(peers.loop, read_end, write_end)
    try:
        transport.prepare()
        if peers.stopping:
            raise NotConnected(expected or "an unknown node", "this node is stopping")
        rest = b""
        if expected is None:
            transport.write(MARK)
        else:
            rest = await _hear_mark(transport, expected, timeout)
        connection = Connection(peers, expected)
    except BaseException:
        transport.give_up()
        raise
    transport.start(connection)
    if rest:
        connection.take(rest)
    try:
        await connection.ready  # it has a deadline of its own
    except BaseException:
        connection.fail(NotConnected(expected or "an unknown node", "given up"))
        raise
    return Attached(connection.peer.name, transport.ended)


async def _hear_mark(transport: PipeTransport, expected: str, timeout: float) -> bytes:
    """Skip what comes before the mark. What was read after it."""
    heard = bytearray()
    try:
        async with asyncio.timeout(timeout):
            while (at := heard.find(MARK)) < 0:
                if len(heard) > MAX_NOISE:
                    raise HandshakeFailed(expected, f"what its pipe carries is no node{_quoted(heard)}")
                data = await transport.read_some()
                if not data:
                    raise HandshakeFailed(expected, f"its pipe was closed before it spoke{_quoted(heard)}")
                heard += data
    except TimeoutError:
        raise HandshakeFailed(expected, f"no node spoke on its pipe within {timeout:g} s{_quoted(heard)}") from None
    except NotConnected:
        raise
    except OSError as error:
        raise HandshakeFailed(expected, f"its pipe cannot be read ({error.strerror or error})") from error
    return bytes(heard[at + len(MARK) :])


def _quoted(heard: bytearray) -> str:
    text = heard[-200:].decode(errors="replace").strip()
    return f": it said {text!r}" if text else ""


def take_over(read_fd: int, write_fd: int) -> tuple[int, int]:
    """Descriptors for `attach` from those that a process was started with, mostly 0 and 1.

    What is stdin or stdout is duplicated, out of reach of children, and replaced: a read of stdin then finds its end,
    and what is printed goes to stderr. Other descriptors stay as they are.
    """
    if read_fd == 0:
        read_fd = os.dup(0)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, 0)
        os.close(null)
    if write_fd == 1:
        if sys.stdout is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
        write_fd = os.dup(1)
        try:
            os.dup2(2, 1)
        except OSError:  # there is no stderr
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(null, 1)
            os.close(null)
    return read_fd, write_fd


class PipeTransport(asyncio.Transport):
    """What a BufferedProtocol sees of a pair of pipes. It holds what is written, and copies nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, read_end: End, write_end: End) -> None:
        self._ends = (read_end, write_end)
        self._read_fd, self._write_fd = (end if isinstance(end, int) else end.fileno() for end in self._ends)
        super().__init__({"pipe": (self._read_fd, self._write_fd)})
        self._loop = loop
        self.ended: asyncio.Future[None] = loop.create_future()
        self._protocol: Any = None
        self._pending: deque[memoryview] = deque()
        self._size = 0
        self._high, self._low = HIGH, LOW
        self._paused = self._closing = self._over = False
        self._reading = False
        self._broken = False  # they read no more
        self._deadline: asyncio.TimerHandle | None = None

    # its beginning

    def prepare(self) -> None:
        """Make the ends non-blocking, and large. ValueError for what is no pipe."""
        for fd in (self._read_fd, self._write_fd):
            mode = os.fstat(fd).st_mode
            if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
                what = "a terminal" if os.isatty(fd) else "a file"
                raise ValueError(
                    f"file descriptor {fd} is {what}, and neither a pipe nor a socket: no node is behind it"
                )
            os.set_blocking(fd, False)
            with contextlib.suppress(OSError):  # no pipe, not Linux, or more pipes than a user may have of that size
                fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE)

    async def read_some(self) -> bytes:
        """What is there before a protocol is; b"" at the end."""
        while True:
            with contextlib.suppress(BlockingIOError):
                return os.read(self._read_fd, 4096)
            ready = asyncio.Event()
            self._loop.add_reader(self._read_fd, ready.set)
            try:
                await ready.wait()
            finally:
                self._loop.remove_reader(self._read_fd)

    def start(self, protocol: asyncio.BufferedProtocol) -> None:
        """Hand it to its protocol."""
        self._protocol = protocol
        protocol.connection_made(self)
        self.resume_reading()

    def give_up(self) -> None:
        """Close what no protocol has seen."""
        self._end(None)

    # reading

    def _read(self) -> None:
        try:
            count = os.readv(self._read_fd, [self._protocol.get_buffer(-1)])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if count:
            self._protocol.buffer_updated(count)
        else:
            self._protocol.eof_received()
            self._end(None)  # they are gone, or going: nobody reads what we would still write

    def is_reading(self) -> bool:
        """Whether it takes what comes."""
        return self._reading

    def pause_reading(self) -> None:
        """Leave in the pipe what comes."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._read_fd)

    def resume_reading(self) -> None:
        """Take it again."""
        if not (self._reading or self._closing):
            self._reading = True
            self._loop.add_reader(self._read_fd, self._read)

    # writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, now or when there is room. `data` must not change before the buffer is empty."""
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write several pieces in one go."""
        if self._closing or self._broken:
            return
        waited = bool(self._pending)
        for data in list_of_data:
            if data:
                view = memoryview(data).cast("B")
                self._pending.append(view)
                self._size += len(view)
        if waited:
            self._check_high()
            return
        self._drain()
        if self._pending and not self._over:
            self._loop.add_writer(self._write_fd, self._writable)
            self._check_high()

    def _drain(self) -> None:
        pending = self._pending
        while pending:
            batch = list(islice(pending, MAX_PIECES))
            try:
                count = os.writev(self._write_fd, batch)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._cannot_write(error)
                return
            self._size -= count
            while count:
                head = pending[0]
                if count < len(head):
                    pending[0] = head[count:]
                    return  # it is full
                count -= len(head)
                pending.popleft()

    def _writable(self) -> None:
        self._drain()
        if self._over:
            return
        if not self._pending:
            self._loop.remove_writer(self._write_fd)
            if self._closing:
                self._end(None)
                return
        if self._paused and self._size <= self._low:
            self._paused = False
            self._protocol.resume_writing()

    def _check_high(self) -> None:
        if self._size > self._high and not self._paused and self._protocol is not None:
            self._paused = True
            self._protocol.pause_writing()

    def _cannot_write(self, error: OSError) -> None:
        """They read no more. What they wrote before that may be here still, and may say why."""
        self._pending.clear()
        self._size = 0
        if self._closing or not self._reading:
            self._end(error)
            return
        self._broken = True
        self._loop.remove_writer(self._write_fd)
        self._deadline = self._loop.call_later(LAST_WORDS, self._end, error)

    def get_write_buffer_size(self) -> int:
        """Bytes that are not written yet."""
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Where the protocol is asked to go on, and to stop."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """At how many bytes the protocol is asked to stop, and to go on: by default a quarter of that."""
        high = (HIGH if low is None else 4 * low) if high is None else high
        low = high // 4 if low is None else low
        if not 0 <= low <= high:
            raise ValueError(f"high ({high}) must be at least low ({low}), and low at least 0")
        self._high, self._low = high, low

    def can_write_eof(self) -> bool:
        """No: the two ends are closed together."""
        return False

    # its end

    def get_protocol(self) -> Any:
        """Who is fed."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Feed another one."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """Whether it is closed, or will be."""
        return self._closing

    def close(self) -> None:
        """Write what is pending, then close."""
        if self._closing:
            return
        self.pause_reading()
        self._closing = True
        if self._pending:
            self._deadline = self._loop.call_later(LINGER, self._end, None)
        else:
            self._end(None)

    def abort(self) -> None:
        """Close, whatever is pending."""
        self._end(None)

    def _end(self, error: OSError | None) -> None:
        if self._over:
            return
        self.pause_reading()
        self._closing = self._over = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._pending:
            self._loop.remove_writer(self._write_fd)
            self._pending.clear()
            self._size = 0
        if self._protocol is None:
            self._close_ends()
        else:
            self._loop.call_soon(self._say_lost, error)

    def _say_lost(self, error: OSError | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._close_ends()

    def _close_ends(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        for end in dict.fromkeys(self._ends):
            with contextlib.suppress(OSError):
                if isinstance(end, int):
                    os.close(end)
                else:
                    end.close()
