"""Messages to bytes and back: the bodies of the wire, one pickle (protocol 5) each. CODEC.md has the bytes.

Rule: what comes out is equal to what went in, type for type, or `encode` says which part of the message cannot
travel. A body's `kind` says whether it is *plain* (built-in types, identities and records: read without an import
and without anybody else's code) or *foreign* (it names classes or functions that must be found).

Identities and records are what every call carries, so they must not cost what pickle's way of naming a class
costs (a server's call: 3.8 µs to write, 2.5 µs to read). A body begins with three objects that the reader supplies
and that the writer's memo knows already: what makes a pid, a reference, and anything else of ours. They are two
bytes each from then on, and they know the sender's name, which no body repeats.

Benchmark: benchmarks/codec.py. Not known here: who sends, to whom, how bytes travel, and in which thread it runs.
"""

from __future__ import annotations

import copyreg
import operator
import pickle
import sys
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol, cast

from beampy.core.ids import Pid, Ref
from beampy.core.signals import Crash
from beampy.wire.codec_loads import NeedsImport, loads_any, loads_known, loads_plain
from beampy.wire.codec_paths import MAIN, explained
from beampy.wire.records import CODES, LAST, SHAPES, register_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from beampy.wire.codec_loads import Loads

    Body = tuple[int, list[bytes], list[Any]]  # kind, parts, buffers: memoryviews, and bytes that are large

__all__ = [
    "DEFINED",
    "FOREIGN",
    "MADE",
    "OUT_OF_BAND",
    "PLAIN",
    "Decoder",
    "Encoder",
    "Hook",
    "NeedsImport",
    "asked",
    "register_record",
]

PLAIN = 0
# A kind has seven bits: whether the body is foreign, the number of the record that the message is (else 0), and
# whether the record begins with a reference and a pid of the sender's, as every call does: two numbers, then.
FOREIGN = 1
ADDRESSED = 64
INTEGERS = ("BININT", "BININT1", "BININT2", "LONG1")  # the opcodes that write one
BINBYTES, NEXT_BUFFER = b"B", b"\x97"  # pickle's opcodes: a length and bytes; the next buffer, whatever it is
JOINED = 16 * 1024  # bytes that are copied into one piece with the prologue: cheaper than a piece of its own
PROTOCOL = 5  # out-of-band buffers; Python 3.8 and later read it
OUT_OF_BAND = 16 * 1024  # bytes from which a buffer travels beside the body: a copy of less costs under 1 µs
MOST_PIDS = 4096  # remembered for each sender, at some 200 bytes

# NEXT_BUFFER, MEMOIZE, POP, three times: the reader's objects become entries 0, 1 and 2 of its memo.
PROLOGUE = b"\x97\x940" * 3
# What is made by number: a record by its own, and these.
OTHERS_REF, CRASH, DEFINED = 0, 1, LAST

new_tuple = tuple.__new__


class Hook(Protocol):
    """What lets functions and classes travel that cannot be imported on the other side: a layer above has it.

    One for each peer. `kinds` are further types whose objects `encode` is asked about.
    """

    kinds: frozenset[Any]

    def encode(self, obj: Any) -> Any:
        """How to rebuild `obj`, as `__reduce__` says it; NotImplemented: by its name.

        `(MADE, (DEFINED, fields))` lets the other side's `made(fields)` do it.
        """

    def made(self, fields: Any, now: bool) -> Any:
        """What `fields` stand for. With `now` it may not wait: NeedsImport, and it is asked again in a thread."""

    def loads(self, body: Any, buffers: Iterable[Any]) -> Any:
        """pickle.loads, in a thread."""

    def loads_known(self, body: Any, buffers: Iterable[Any]) -> Any:
        """The same on an event loop: it never imports, and raises NeedsImport."""


def _pid(key: Any) -> None: ...
def _ref(id: int, creation: int) -> None: ...
def _made(code: int, fields: Any) -> None: ...


MADE = _made


class _Sink:
    """The file of a pickler: what is written becomes a list of parts, and large bytes objects are not copied."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[Any], None]) -> None:
        self.write = write


def _memo() -> Any:
    """The memo a pickler starts every message with. Setting it forgets the message before."""
    pickler = pickle.Pickler(cast("Any", _Sink([].append)), PROTOCOL)
    pickler.memo = {id(maker): (place, maker) for place, maker in enumerate((_pid, _ref, _made))}
    return pickler.memo


MEMO = _memo()


class _Pickler(pickle.Pickler):
    """The C pickler takes attributes only in a subclass."""


class Encoder:
    """Writes the messages of one node, in one thread.

    `node` and `creation` are the node's own; `export(ref)` is called for each reference of it that somebody waits
    for, so that the answer finds it; `hook` gets functions and classes before they are sent by name.

    `encode(message)` is the body: (kind, parts, buffers). `parts` follow each other; all are immutable bytes.
    `buffers` are views (of bytes, in one dimension) of the memory of `message` itself: who keeps one for later copies
    it first, unless it is `readonly`. EncodeError names the part of the message that cannot travel. Nothing of the
    message is remembered.

    >>> encoder = Encoder("a@localhost", 1, export=print)
    >>> kind, parts, buffers = encoder.encode(("get", b"key"))
    >>> Decoder("a@localhost", 1).decode(kind, b"".join(parts), buffers)
    ('get', b'key')
    """

    encode: Callable[[Any], Body]

    def __init__(self, node: str, creation: int, export: Callable[[Ref], None], hook: Hook | None = None) -> None:
        self.node = node
        self.creation = creation
        self.export = export
        self.hook = hook
        self._mirror = Decoder(node, creation, hook)
        self.encode = _writer(self)

    def portable(self, error: BaseException | None) -> tuple[int, bytes, tuple[bytes, ...]] | None:
        """The body of a crash's exception, where one of its own type can be made of it again; else None."""
        if error is None:
            return None
        try:
            kind, parts, views = self.encode(error)
            body, buffers = b"".join(parts), tuple(map(bytes, views))
            copy = self._mirror.decode(kind, body, buffers)
        except Exception:
            return None
        return (kind, body, buffers) if type(copy) is type(error) else None


def _writer(encoder: Encoder) -> Callable[[Any], Body]:
    """One pickler that is used again and again, all that it writes to, and the function that uses it."""
    parts: list[Any] = []
    buffers: list[memoryview] = []
    marks: list[int] = []  # how many parts there were when each buffer was put beside them
    # Every object that is no plain data, in the order of writing: a body with one is foreign, and where something
    # fails, the last one is to blame.
    trail: list[Any] = []
    busy = False
    own, own_creation = encoder.node, encoder.creation
    override = _override(encoder, trail)

    def beside(buffer: pickle.PickleBuffer) -> bool:
        """Whether a buffer stays in the body; it is put beside it otherwise."""
        view = buffer.raw()
        if view.nbytes < OUT_OF_BAND:
            return True
        buffers.append(view)
        marks.append(len(parts))
        return False

    pickler = _Pickler(cast("Any", _Sink(parts.append)), PROTOCOL, buffer_callback=beside)
    pickler.reducer_override = override  # type: ignore[method-assign]
    pickler.memo = MEMO
    dump = pickler.dump

    def encode(message: Any) -> Body:
        nonlocal busy
        if busy:  # by a __reduce__ that sends a message itself
            return _writer(encoder)(message)
        busy = True
        try:
            code = CODES.get(type(message))
            if code is None:
                kind = PLAIN
                dump(message)
            else:
                kind = code << 1
                ref, pid = message[0], message[1] if len(message) > 1 else None
                if (
                    type(ref) is Ref
                    and type(pid) is Pid
                    and ref.creation == pid.creation == own_creation
                    and ref.node == pid.node == own
                ):
                    kind |= ADDRESSED
                    if ref._holder is not None:
                        encoder.export(ref)
                    inner = CODES.get(type(message[-1]))
                    if inner is None:
                        dump((ref.id, pid.serial, *message[2:]))
                    else:  # a method's call: its record's number and fields follow, so there are too many of them
                        dump((ref.id, pid.serial, *message[2:-1], inner, *message[-1]))
                else:
                    dump(message[:])
            if trail:
                kind |= FOREIGN
            if len(parts) == 1:
                body = parts.pop()
                joined = [PROLOGUE + body] if len(body) <= JOINED else [PROLOGUE, body]
                return kind, joined, buffers[:] if buffers else []
            # Large payloads are parts of their own, and a bytearray's is the bytearray itself.
            return kind, *_beside(parts, buffers, marks)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a __reduce__ raises
            raise explained(message, trail, error) from error
        finally:
            pickler.memo = MEMO
            if trail:
                trail.clear()
            if buffers:
                buffers.clear()
                marks.clear()
            if parts:
                parts.clear()
            busy = False

    return encode


def _beside(parts: list[Any], buffers: list[memoryview], marks: list[int]) -> tuple[list[bytes], list[Any]]:
    """The parts and buffers of a body that has large payloads: what is bytes goes beside it, uncopied, as a buffer.

    A pickler writes a large payload as a part of its own, and its opcode and length as the end of the one before.
    """
    body: list[bytes] = [PROLOGUE]
    beside: list[Any] = []
    taken = 0
    for at, part in enumerate(parts):
        while taken < len(marks) and marks[taken] < at:
            beside.append(buffers[taken])
            taken += 1
        if type(part) is not bytes:  # a bytearray's is the bytearray itself
            body.append(bytes(part))
        elif OUT_OF_BAND <= len(part) < 1 << 32 and body[-1].endswith(BINBYTES + len(part).to_bytes(4, "little")):
            body[-1] = body[-1][:-5] + NEXT_BUFFER
            beside.append(part)
        else:
            body.append(part)
    beside += buffers[taken:]
    if sum(map(len, body)) <= JOINED:
        body = [b"".join(body)]
    return body, beside


def _override(encoder: Encoder, trail: list[Any]) -> Callable[[Any], Any]:
    """How a pickler writes what is no built-in data: the pickler asks before it looks itself."""
    own, own_creation, hook = encoder.node, encoder.creation, encoder.hook
    kinds: frozenset[Any] = frozenset() if hook is None else hook.kinds

    def override(obj: Any) -> Any:
        kind = type(obj)
        if kind is Pid:
            if obj.creation == own_creation and obj.node == own:
                return _pid, (obj.serial,)
            return _pid, ((obj.node, obj.serial, obj.creation),)
        if kind is Ref:
            if obj.creation == own_creation and obj.node == own:
                if obj._holder is not None:
                    encoder.export(obj)
                return _ref, (obj.id, own_creation)
            return _made, (OTHERS_REF, (obj.node, obj.id, obj.creation))
        code = CODES.get(kind)
        if code is not None:
            return _made, (code, obj[:])
        if kind is Crash:
            error = encoder.portable(obj.exception)
            if error is not None:
                trail.append(obj)
            return _made, (CRASH, (obj.type, obj.message, obj.traceback, error))
        trail.append(obj)
        if kind is FunctionType or issubclass(kind, type) or kind in kinds:
            return by_name(obj)
        return of_main(obj, kind)

    def by_name(obj: Any) -> Any:
        if hook is not None:
            found = hook.encode(obj)
            if found is not NotImplemented:
                return found
        if getattr(obj, "__module__", None) == MAIN:
            raise pickle.PicklingError("__main__ is another module on every node")
        return NotImplemented  # pickle looks whether it is found under its name

    def of_main(obj: Any, kind: Any) -> Any:
        """What is neither function nor class may also travel by its name, as a function with a cache does."""
        if (
            getattr(obj, "__module__", None) != MAIN
            or kind in copyreg.dispatch_table
            or (kind.__reduce__ is object.__reduce__ and kind.__reduce_ex__ is object.__reduce_ex__)
        ):
            return NotImplemented
        reduced = obj.__reduce_ex__(PROTOCOL)
        return by_name(obj) if isinstance(reduced, str) else reduced

    return override


class Decoder:
    """Reads the messages of one sending node, whose name and creation are `node` and `creation`.

    `decode_now(kind, body, buffers)` is for an event loop: it never imports, and raises NeedsImport where a foreign
    body needs a module that is not there. `decode(kind, body, buffers)` is the same for a thread, and imports it.
    `body` is bytes or alike; `buffers` are writable (bytearrays, or views of such) and become part of the message:
    nobody else may keep them. Code of the message's own (__setstate__ …) runs for foreign bodies only.
    Both raise an Exception, of whatever type, for a body that cannot be read.
    """

    decode: Callable[..., Any]
    decode_now: Callable[..., Any]

    def __init__(self, node: str, creation: int, hook: Hook | None = None) -> None:
        node = sys.intern(node)
        pids = _Pids(node, creation)
        pid, ref = pids.__getitem__, partial(Ref, node)
        in_time: Loads = loads_any if hook is None else hook.loads
        known: Loads = loads_known if hook is None else hook.loads_known
        # A plain body has no business with an exception's classes, nor with anybody's code.
        plain = (pid, ref, _maker(None, None))
        self.decode_now = _reader(
            pids, plain, known, (pid, ref, _maker(lambda *body: self.decode_now(*body), hook, True))
        )
        self.decode = _reader(pids, plain, in_time, (pid, ref, _maker(lambda *body: self.decode(*body), hook)))


def _reader(pids: _Pids, plain: tuple[Any, ...], loads_foreign: Loads, foreign: tuple[Any, ...]) -> Callable[..., Any]:
    """A function that reads bodies; `plain` and `foreign` are their first three objects."""
    node, creation = pids.node, pids.creation

    def read(kind: int, body: Any, buffers: Sequence[Any] | None = None) -> Any:
        try:
            if kind & FOREIGN:
                value = loads_foreign(body, (*foreign, *buffers) if buffers else foreign)
            else:
                value = loads_plain(body, (*plain, *buffers) if buffers else plain)
            if kind <= FOREIGN:
                return value
            code = kind >> 1 & LAST
            cls, size = SHAPES[code]
            if kind & ADDRESSED:
                address = Ref(node, value[0], creation), pids[value[1]]
                if len(value) <= size:
                    value = address + value[2:]
                else:
                    make = (foreign if kind & FOREIGN else plain)[2]
                    value = address + value[2 : size - 1] + (make(value[size - 1], value[size:]),)
            if len(value) != size:
                raise _unknown(code, value)
            return new_tuple(cls, value)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # a __setstate__ that raises SystemExit must not end the node
            raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error

    return read


def asked(kind: int, body: Any) -> int | None:
    """The id of the Ref that an addressed record begins with, also where its rest cannot be read; None without one."""
    if not kind & ADDRESSED:
        return None
    try:
        import pickletools

        return next(value for op, value, _ in pickletools.genops(bytes(body)) if op.name in INTEGERS)
    except Exception:  # no pickle at all
        return None


def _maker(decode: Callable[..., Any] | None, hook: Hook | None, now: bool = False) -> Callable[[int, Any], Any]:
    """What the third object of a body does: records, and rarer things of ours, by number."""

    def make(code: int, fields: Any) -> Any:
        cls, size = SHAPES[code]
        if len(fields) == size:
            return new_tuple(cls, fields)
        if code == DEFINED and hook is not None:
            return hook.made(fields, now)
        if code == OTHERS_REF:
            node, id, creation = fields
            return Ref(_name(node), operator.index(id), operator.index(creation))
        if code == CRASH:
            kind, message, traceback, error = fields
            return Crash(kind, message, traceback, _exception(decode, error))
        raise _unknown(code, fields)

    return make


def _unknown(code: int, fields: Any) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f"a record {code} of {len(fields)} fields is not known here")


def _exception(decode: Callable[..., Any] | None, body: Any) -> BaseException | None:
    """A crash's exception, where it can be had: its text is in the crash, which must arrive in any case."""
    if body is None or decode is None:
        return None
    try:
        error = decode(*body)
    except NeedsImport:
        raise
    except Exception:
        return None
    return error if isinstance(error, BaseException) else None


class _Pids(dict[Any, Pid]):
    """The sender's pids by serial, and others by (node, serial, creation), so that the second one costs a look-up."""

    def __init__(self, node: str, creation: int) -> None:
        self.node = sys.intern(node)
        self.creation = creation

    def __missing__(self, key: Any) -> Pid:
        if type(key) is int:
            pid = Pid(self.node, key, self.creation)
        else:
            node, serial, creation = key
            pid = Pid(_name(node), operator.index(serial), operator.index(creation))
        if len(self) >= MOST_PIDS:
            self.clear()
        self[key] = pid
        return pid


def _name(node: Any) -> str:
    if type(node) is not str:
        raise pickle.UnpicklingError(f"a node's name is text, not {type(node).__name__}")
    return sys.intern(node)
