"""The group leader: where what code prints and logs is to appear. Erlang's, as a context variable.

Rule: code that runs for a caller on another node has a `Channel` in the variable `leader`, and what it writes goes
there; code with none writes to its own node's streams. Processes, asyncio tasks and `asyncio.to_thread` copy the
context, so what a called function starts follows the same leader. On the caller's side stands a `Console`, one a
node, which writes what arrives to `sys.stdout`, `sys.stderr` and `logging` as they are at that moment.

Where the caller has a `Screen`, as the code of a notebook's cell has, its Consoles write to that one: one for each
screen and node called, so that what comes late still comes to the right place.

A Console is the holder of a Ref, not a process: it writes in the moment of arrival, so a call's output is there before
its value is.

Bounds: a call may write `RATE` characters a second, with as much at once; what is over that is dropped, until there is
room for a quarter of it again, and counted in one line. Text waits for its newline, or `PARTIAL` seconds, and goes in
pieces of at most `PIECE` characters.

How text and records get into a Channel is otp/output.py's; how reports of progress do is pool/progress.py's.
"""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict
from contextvars import ContextVar
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from beampy.core.bundles import BUNDLE, packed, unpacked, weight
from beampy.core.bundles import Bundle as Bundle
from beampy.core.unread import Unread

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Hashable, Sequence

    from beampy.core.ids import Ref
    from beampy.core.node import LocalNode
    from beampy.core.process import Process

log = logging.getLogger("beampy.node")

STDOUT, STDERR = 1, 2  # as file descriptors are numbered

RATE = 65_536  # characters a second a call may write; more than a person reads, less than a connection notices
PIECE = 16_384  # characters of one message: at 4 bytes each it is below the 64 KiB from which messages are bulk
PARTIAL = 0.05  # seconds a line without its end waits; below what a person sees as a delay
RECORD_COST = 200  # characters a log record counts besides its text: the fields that go with it
BUNDLES = 1 << 20  # bytes of rich displays a call may send a second, with one of any size at once
UPDATE = 1.0  # seconds until the last of many updates is sent
HELD = 16  # displays of a call whose last update waits
CONSOLES = 200  # addresses of screens that a node keeps, each with its cell; the one that was silent longest goes first


class Text(NamedTuple):
    """A piece of what was written to STDOUT or STDERR."""

    stream: int
    text: str


class Record(NamedTuple):
    """A log record: the attributes of `logging.LogRecord`, with the message and the traceback as text."""

    fields: dict[str, Any]


class Report(NamedTuple):
    """How far code has come, and what it measures: all that is new since its last report. A console does not show it.

    `bars`: (label, done, total or None, whether it has ended). `curves`: (name, points), a point is (step, value).
    """

    bars: tuple[tuple[str, int, int | None, bool], ...]
    curves: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]


class Screen(Protocol):
    """Where what comes back to code without a leader appears: a cell of a notebook.

    Each of these may be called on any thread, returns at once and never raises. `source` is the name of the node or
    runner that it comes from, "" where it is not to be named.
    """

    def text(self, stream: int, text: str, source: str, writer: Hashable = None) -> None:
        """A piece of text, as it comes. Pieces of one `writer` make lines, those of two never the same line."""

    def done(self, writer: Hashable) -> None:
        """No more text comes of this writer."""

    def record(self, record: logging.LogRecord, source: str) -> None:
        """A log record."""

    def bundle(
        self, data: dict[str, Any], metadata: dict[str, Any], source: str, display_id: str | None, update: bool
    ) -> None:
        """A rich display."""


class Channel:
    """The way of one call's output to its group leader. Any thread may write; `flush` is the node's own thread's.

    `report`, where there is one, gives a Report to send, or None, each time that others than the channel flush it.
    """

    __slots__ = (
        "_allowance",
        "_at",
        "_bundles",
        "_bundles_at",
        "_dropped",
        "_dropping",
        "_held",
        "_lock",
        "_pending",
        "_process",
        "_said_held",
        "_waits",
        "dest",
        "report",
    )

    def __init__(self, process: Process, dest: Ref) -> None:
        self.dest = dest
        self.report: Callable[[], Report | None] | None = None
        self._process = process  # whose messages they are: so they and its answer keep their order
        self._lock = Lock()
        self._pending: list[Text | Record | Bundle] = []
        self._waits = 0  # 1: `flush` will run in a while; 2: soon
        self._allowance = float(RATE)
        self._at = 0.0
        self._bundles = float(BUNDLES)
        self._bundles_at = 0.0
        self._held: dict[str | None, Bundle] = {}  # updates that wait until there is room
        self._said_held = False  # that some were left out
        self._dropping = False
        self._dropped = 0  # characters, since it was last told

    def write(self, stream: int, text: str) -> None:
        """Take text for STDOUT or STDERR. Of text that is too long its beginning."""
        if text:
            self._take(len(text), Text(stream, text), 2 if "\n" in text else 1)

    def record(self, fields: dict[str, Any]) -> None:
        """Take a log record."""
        self._take(RECORD_COST + len(fields["msg"]), Record(fields), 2)

    def bundle(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        display_id: str | None = None,
        update: bool = False,
    ) -> None:
        """Take a rich display, in order with the text before it. ValueError over `BUNDLE` bytes, TypeError for what is
        no JSON.

        Over `BUNDLES` bytes a second, of updates only the last is sent, when there is time, and for others a line says
        that there was one. Of more than `HELD` displays the oldest of these updates are left out, which a line says
        once.
        """
        data = {kind: packed(kind, form) for kind, form in data.items()}
        size = sum(map(weight, data.values())) + (weight(metadata) if metadata else 0)
        if size > BUNDLE:
            raise ValueError(f"a display of {size:,} bytes is more than the {BUNDLE:,} that one may have")
        with self._lock:
            now = self._process.node.loop.time()
            self._bundles = min(BUNDLES, self._bundles + (now - self._bundles_at) * BUNDLES)
            self._bundles_at = now
            made = Bundle(data, metadata or {}, display_id, update)
            fits = self._bundles > 0
            if fits:
                self._bundles -= max(size, RECORD_COST)
                self._held.pop(display_id, None)
                self._pending.append(made)
                if self._waits == 2:
                    return
                self._waits = 2
            elif update:
                waits = bool(self._held)
                self._held[display_id] = made
                if not waits:
                    self.soon(lambda: self._process.node.loop.call_later(UPDATE, self._send_held))
                if len(self._held) <= HELD:
                    return
                del self._held[next(iter(self._held))]
                if self._said_held:
                    return
                self._said_held = True
        if fits:
            self.soon(self._flush_output)
        elif update:
            self.write(
                STDERR, f"… updates of displays left out: more than {HELD} displays wait for theirs; said once\n"
            )
        else:
            self.write(STDERR, f"… a display of {size:,} bytes left out: too many at once\n")

    @property
    def loop(self) -> AbstractEventLoop:
        """The loop of its node."""
        return self._process.node.loop

    def _take(self, cost: int, item: Text | Record, urgency: int) -> None:
        with self._lock:
            now = self._process.node.loop.time()
            self._allowance = min(RATE, self._allowance + (now - self._at) * RATE)
            self._at = now
            if self._dropping and self._allowance >= RATE / 4:
                self._dropping = False
                self._tell_dropped()
            if not self._dropping and cost <= self._allowance:
                self._allowance -= cost
                self._pending.append(item)
            else:
                if not self._dropping and isinstance(item, Text) and (fits := int(self._allowance)) > 0:
                    self._allowance -= fits
                    cost -= fits
                    self._pending.append(Text(item.stream, item.text[:fits]))
                self._dropping = True
                self._dropped += cost
                urgency = 1  # the count is told when there is time
            if self._waits >= urgency:
                return
            self._waits = urgency
        self.soon(self._later if urgency == 1 else self._flush_output)

    def soon(self, fn: Callable[[], object]) -> None:
        """Call `fn` on the node's own thread. Where the node has stopped, nothing happens."""
        node = self._process.node
        try:
            if get_ident() != node.thread:
                node.loop.call_soon_threadsafe(fn)
            else:
                node.loop.call_soon(fn)
        except RuntimeError:  # the loop is closed, and the node with it: nobody hears
            return

    def _later(self) -> None:
        self._process.node.loop.call_later(PARTIAL, self._flush_output)

    def _tell_dropped(self) -> None:
        if not self._dropped:
            return
        self._pending.append(Text(STDERR, f"… {self._dropped:,} characters dropped\n".replace(",", " ")))
        self._dropped = 0

    def flush(self) -> None:
        """Send all that was taken, and what there is to report."""
        with self._lock:
            self._pending.extend(self._held.values())
            self._held.clear()
        self._flush_output()
        if self.report is not None and (report := self.report()) is not None:
            self._send([report])

    def _flush_output(self) -> None:
        with self._lock:
            self._waits = 0
            self._tell_dropped()
            pending, self._pending = self._pending, []
        if pending:
            self._send(_pieces(pending))

    def _send_held(self) -> None:
        """The last updates of displays that were more than a call may send: as many as it may in this time."""
        sent: list[Bundle] = []
        room = BUNDLES
        with self._lock:
            while self._held and room > 0:
                sent.append(made := self._held.pop(next(iter(self._held))))
                room -= sum(map(weight, made.data.values()))
            if self._held:
                self._process.node.loop.call_later(UPDATE, self._send_held)
        self._send(sent)

    def _send(self, messages: Sequence[Text | Record | Bundle | Report]) -> None:
        node = self._process.node
        try:
            for message in messages:
                node.route_message(self._process, self.dest, message)
        except Exception as error:  # the node of the leader reads too slowly, or this one is closed
            log.debug("output was lost: %s", error)


def _pieces(pending: list[Text | Record | Bundle]) -> list[Text | Record | Bundle]:
    """The same in fewer messages: text of one stream joined, and cut where it is long."""
    pieces: list[Text | Record | Bundle] = []
    run: list[str] = []
    for item, following in zip(pending, [*pending[1:], None], strict=True):
        if not isinstance(item, Text):
            pieces.append(item)
            continue
        run.append(item.text)
        if not isinstance(following, Text) or following.stream != item.stream:
            text = "".join(run)
            pieces.extend(Text(item.stream, text[at : at + PIECE]) for at in range(0, len(text), PIECE))
            run = []
    return pieces


leader: ContextVar[Channel | None] = ContextVar("beampy_group_leader", default=None)

screen: ContextVar[Screen | None] = ContextVar("beampy_screen", default=None)
latest_screen: Screen | None = None  # for threads that were started without a context; set by whoever has screens


def screen_now() -> Screen | None:
    """The screen of the code that runs; None where its output goes to the streams."""
    return screen.get() or latest_screen


def leader_for(process: Process, node: str) -> Ref | None:
    """What goes along with a call of `process` to `node`: its own leader, else the console of its node.

    None where the function's output appears here anyway.
    """
    channel = leader.get()
    if channel is not None:
        return channel.dest
    if node == process.node.name:
        return None
    shown = screen.get() or latest_screen
    return console(process.node) if shown is None else console(process.node, shown, node)


class Console:
    """The receiving end: writes to a screen, else to what `sys.stdout`, `sys.stderr` and `logging` are here, now."""

    __slots__ = ("heard", "screen", "source")

    def __init__(self, screen: Screen | None = None, source: str = "") -> None:
        self.screen = screen
        self.source = source
        self.heard = False  # since somebody last looked for addresses that are not used any more

    def take_message(self, ref: Ref, message: Any) -> None:
        """Write what came. It never raises: a broken stream is no matter of whoever delivers."""
        token = leader.set(None)  # who delivers may have a leader, and this is the end of the way
        try:
            if message.__class__ is Unread:
                message = message.at_once() if message.plain else message.now()  # a long record is read here too
            if self.screen is not None:
                self.heard = True
                appear(message, self.screen, self.source)
            elif message.__class__ is Text:
                stream = sys.stdout if message.stream == STDOUT else sys.stderr
                stream.write(message.text)
                stream.flush()
            elif message.__class__ is Record:
                record = logging.makeLogRecord(message.fields)
                logger = logging.getLogger(record.name)
                if logger.isEnabledFor(record.levelno):
                    logger.handle(record)
            elif message.__class__ is Bundle and (text := unpacked("text/plain", message.data.get("text/plain"))):
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
        except Exception as error:
            log.debug("output of another node could not be shown: %s", error)
        finally:
            leader.reset(token)


def appear(message: Any, screen: Screen, source: str, writer: Hashable = None) -> None:
    """A Text, a Record or a Bundle appears on a screen; anything else is left out."""
    kind = message.__class__
    if kind is Text:
        if message.stream in (STDOUT, STDERR) and isinstance(message.text, str):
            screen.text(message.stream, message.text, source, writer)
    elif kind is Record:
        screen.record(logging.makeLogRecord(message.fields), source)
    elif kind is Bundle:
        data, metadata, display_id, update = message
        if not (isinstance(data, dict) and isinstance(metadata, dict) and isinstance(display_id, str | None)):
            return
        if all(isinstance(one, str) for one in data):
            screen.bundle(data, metadata, source, display_id, update)


_consoles: WeakKeyDictionary[LocalNode, Ref] = WeakKeyDictionary()
_of_screens: WeakKeyDictionary[LocalNode, OrderedDict[tuple[Screen, str], Ref]] = WeakKeyDictionary()


def console(node: LocalNode, screen: Screen | None = None, source: str = "") -> Ref:
    """The address of a node's console, made on first use. With `screen` the one for what `source` sends there."""
    if screen is None:
        ref = _consoles.get(node)
        if ref is None:
            ref = _consoles[node] = _address(node, Console())
        return ref
    kept = _of_screens.get(node)
    if kept is None:
        kept = _of_screens[node] = OrderedDict()
    key = (screen, source)
    ref = kept.get(key)
    if ref is None:
        if len(kept) >= CONSOLES:
            _forget_one(node, kept)
        ref = kept[key] = _address(node, Console(screen, source))
    else:
        kept.move_to_end(key)
    return ref


def _forget_one(node: LocalNode, kept: OrderedDict[tuple[Screen, str], Ref]) -> None:
    """One address less: the first in line that nobody has written to since it was last in line."""
    while True:
        key, ref = kept.popitem(last=False)
        if not ref._holder.heard:
            ref._holder = None
            node.exported.pop(ref.id, None)
            return
        ref._holder.heard = False
        kept[key] = ref


def _address(node: LocalNode, console: Console) -> Ref:
    ref = node.new_ref()
    ref._holder = console
    node.exported[ref.id] = ref
    return ref
