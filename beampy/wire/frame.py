"""Frames: the units that two connected nodes exchange once they have shaken hands. CHANNEL.md has every byte.

A frame is `u32 length of the rest | u8 op | payload`, big endian. This file knows the ops, their limits and their fixed
headers, and turns the header of a message into the arguments of a handler's method and back. It knows nothing of
streams, of order, or of what a control array means (control.py). Pure.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, cast

import msgpack

from beampy.errors import EncodeError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

# The four that carry a body. With BUFFERS added to the op, a table of sizes stands between header and body.
SEND_PID = 1
SEND_REF = 2
SEND_NAME = 3
CONTROL = 4
MONITOR = 5
DEMONITOR = 6
TICK = 7
CREDIT = 8
BEGIN = 9
DATA = 10
GOODBYE = 11
BUFFERS = 0x40
CARRIERS = (SEND_PID, SEND_REF, SEND_NAME, CONTROL)
KNOWN = frozenset([*range(SEND_PID, GOODBYE + 1), *(op | BUFFERS for op in CARRIERS)])

# A body of more than this travels as a stream: OTP's fragment size, about 10 µs of a loopback write.
MAX_SMALL = 64 * 1024
# One DATA frame carries at most this much: more gained nothing over a unix socket (CHANNEL.md, figures).
MAX_FRAGMENT = 128 * 1024
# The rest of any frame: a control array and a small body, each with its header, or a fragment. Longer is an error.
MAX_REST = MAX_FRAGMENT + 1024
MAX_BUFFERS = 0xFFFF  # u16 in the header; every buffer costs an object on both sides
MAX_ARGS = 0xFFFF  # u16 in the header
MAX_NAME = 0xFF  # u8 in the header; Erlang's atoms have as many characters
MAX_REASON = 1024  # a goodbye is one line for a log
MAX_STREAMS = 16  # messages in pieces at once; enough to be fair, few enough to bound what a peer holds open
DEFAULT_MAX_MESSAGE = 4 * 1024**3
DEFAULT_WINDOW = 8 * 1024**2  # 8 ms at 1 GB/s: what may be under way before a small message at the worst

# length, op, kind or flags, creation, serial or ref id, sender: what SEND_PID, SEND_REF, MONITOR and DEMONITOR share
ADDRESSED = struct.Struct(">IBBIQQ")
NAMED = struct.Struct(">IBBQB")  # length, op, kind, sender, length of the name
CONTROLLED = struct.Struct(">IBBQH")  # length, op, kind, sender, length of the array
MONITORED = struct.Struct(">IBBIQQQ")  # an ADDRESSED and the ref
PREFIX = struct.Struct(">IB")  # length, op
BEGUN = struct.Struct(">IBIHQQ")  # length, op, stream, number of buffers, bytes in band, bytes in all
FRAGMENT = struct.Struct(">IBI")  # length, op, stream
GRANT = struct.Struct(">IBI")  # length, op, bytes
COUNT = struct.Struct(">H")
REF = struct.Struct(">Q")

ADDRESSED_REST = ADDRESSED.size - 4  # what `length` says where nothing follows the header
MONITORED_REST = MONITORED.size - 4
FRAGMENT_REST = FRAGMENT.size - 4
NAMED_REST = NAMED.size - 4

TICK_FRAME = PREFIX.pack(1, TICK)


def addressed(op: int, kind: int, creation: int, id: int, sender: int) -> bytes:
    """The header of a SEND_PID or SEND_REF, its length still 0."""
    return ADDRESSED.pack(0, op, kind, creation, id, sender)


def name_bytes(name: str) -> bytes:
    """A registered name as it travels. EncodeError for what is none."""
    try:
        text = name.encode()
    except UnicodeEncodeError:
        raise EncodeError("a name", "it is not Unicode text") from None
    if not 0 < len(text) <= MAX_NAME:
        raise EncodeError("a name", f"it has {len(text)} bytes of UTF-8, and 1 to {MAX_NAME} are possible")
    return text


def named(name: str, sender: int, kind: int) -> bytes:
    """The header of a SEND_NAME, its length still 0."""
    text = name_bytes(name)
    return NAMED.pack(0, SEND_NAME, kind, sender, len(text)) + text


def controlled(sender: int, args: tuple[Any, ...], kind: int) -> bytes:
    """The header of a CONTROL, its length still 0."""
    try:
        array = cast("bytes", msgpack.packb(args))
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError("a control array", str(error)) from None
    if len(array) > MAX_ARGS:
        raise EncodeError("a control array", f"it has {len(array)} bytes, and {MAX_ARGS} are possible")
    return CONTROLLED.pack(0, CONTROL, kind, sender, len(array)) + array


def table(views: Sequence[memoryview]) -> bytes:
    """The sizes of the buffers of a small frame; they stand between its header and its body."""
    return struct.pack(f">H{len(views)}I", len(views), *(view.nbytes for view in views))


def farewell(reason: str) -> bytes:
    """A whole GOODBYE; a long reason is cut."""
    text = reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore").encode()
    return PREFIX.pack(1 + len(text), GOODBYE) + text


# Reading: `data` is the whole scratch buffer or a frame, [at:stop] the frame's bytes without the u32 length.


def read_header(op: int, data: memoryview, at: int, stop: int) -> tuple[tuple[Any, ...], int]:
    """The leading arguments of the handler's method for `op`, read behind the op byte, and where the header ends."""
    if op in (SEND_PID, SEND_REF):
        kind, creation, id, sender = _unpack(_ADDRESSED, op, data, at, stop)
        return (id, creation, sender, kind), at + _ADDRESSED.size
    if op == SEND_NAME:
        kind, sender, size = _unpack(_NAMED, op, data, at, stop)
        at += _NAMED.size
        if not 0 < size <= stop - at:
            raise RemoteProtocolError("a name that is empty or longer than its frame")
        return (read_text(data[at : at + size]), sender, kind), at + size
    if op == CONTROL:
        kind, sender, size = _unpack(_CONTROLLED, op, data, at, stop)
        at += _CONTROLLED.size
        if size > stop - at:
            raise RemoteProtocolError("a control array longer than its frame")
        return (sender, read_args(data[at : at + size]), kind), at + size
    raise RemoteProtocolError(f"no message has op {op}")


_ADDRESSED = struct.Struct(">BIQQ")
_NAMED = struct.Struct(">BQB")
_CONTROLLED = struct.Struct(">BQH")


def _unpack(form: struct.Struct, op: int, data: memoryview, at: int, stop: int) -> tuple[Any, ...]:
    if stop - at < form.size:
        raise RemoteProtocolError(f"op {op} is too short for its header")
    return form.unpack_from(data, at)


def read_text(data: memoryview) -> str:
    """UTF-8, or RemoteProtocolError."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise RemoteProtocolError("text that is not UTF-8") from None


def read_args(data: memoryview) -> list[Any]:
    """A control array: msgpack without extension types, a list that begins with its code, 0 to 255."""
    try:
        args = msgpack.unpackb(data, ext_hook=_no_extension)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise RemoteProtocolError(f"a control array that is not msgpack ({type(error).__name__})") from None
    if type(args) is not list or not args or type(args[0]) is not int or not 0 <= args[0] <= 255:
        raise RemoteProtocolError("a control array without a code")
    return args


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def read_table(data: memoryview, at: int, stop: int) -> tuple[list[int], int]:
    """The sizes of the buffers in a small frame, which follow its header, and where the table ends."""
    if stop - at < COUNT.size:
        raise RemoteProtocolError("a frame without its table of sizes")
    (count,) = COUNT.unpack_from(data, at)
    at += COUNT.size
    if not count or 4 * count > stop - at:
        raise RemoteProtocolError("a table of sizes that is empty or longer than its frame")
    sizes = list(struct.unpack_from(f">{count}I", data, at))
    at += 4 * count
    if sum(sizes) > stop - at:
        raise RemoteProtocolError("buffers that are longer than their frame")
    return sizes, at
