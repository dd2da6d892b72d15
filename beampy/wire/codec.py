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
import pickle
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from beampy.core.ids import Pid, Ref
from beampy.core.signals import Crash
from beampy.errors import EncodeError
from beampy.wire.carrier import MANIFEST, REFERENCES, manifest, section_of
from beampy.wire.codec_buffers import reduce_beside
from beampy.wire.codec_exceptions import reduce_exception
from beampy.wire.codec_loads import NeedsImport
from beampy.wire.codec_paths import MAIN, explained
from beampy.wire.decoding import ADDRESSED, CRASH, DEFINED, FOREIGN, OTHERS_REF, PLAIN, REFERENCE, Decoder, Hook, asked
from beampy.wire.records import CODES, register_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from beampy.wire.carrier import Carrier

    Lent = dict[tuple[Any, ...], Any]  # references by their names
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

BINBYTES, NEXT_BUFFER = b"B", b"\x97"  # pickle's opcodes: a length and bytes; the next buffer, whatever it is
JOINED = 16 * 1024  # bytes that are copied into one piece with the prologue: cheaper than a piece of its own
PROTOCOL = 5  # out-of-band buffers; Python 3.8 and later read it
OUT_OF_BAND = 16 * 1024  # bytes from which a buffer travels beside the body: a copy of less costs under 1 µs

# NEXT_BUFFER, MEMOIZE, POP, three times: the reader's objects become entries 0, 1 and 2 of its memo.
PROLOGUE = b"\x97\x940" * 3


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
    for, so that the answer finds it; `hook` gets functions and classes before they are sent by name; `carrier` knows
    the remote references, which cannot travel without one.

    `encode(message)` is the body: (kind, parts, buffers). `parts` follow each other; all are immutable bytes.
    `buffers` are views (of bytes, in one dimension) of the memory of `message` itself: who keeps one for later copies
    it first, unless it is `readonly`. EncodeError names the part of the message that cannot travel. Nothing of the
    message is remembered, but by the carrier what was lent: `taken_back(kind, parts)` says that it will not be sent.

    >>> encoder = Encoder("a@localhost", 1, export=print)
    >>> kind, parts, buffers = encoder.encode(("get", b"key"))
    >>> Decoder("a@localhost", 1).decode(kind, b"".join(parts), buffers)
    ('get', b'key')
    """

    encode: Callable[[Any], Body]

    def __init__(
        self,
        node: str,
        creation: int,
        export: Callable[[Ref], None],
        hook: Hook | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        self.node = node
        self.creation = creation
        self.export = export
        self.hook = hook
        self.carrier = carrier
        self._mirror = _Mirror()
        self._back = Decoder(node, creation, hook, None if carrier is None else self._mirror)
        self.encode = _writer(self)

    def portable(self, error: BaseException | None, lent: Lent) -> tuple[int, bytes, tuple[bytes, ...]] | None:
        """The body of a crash's exception, where one of its own type can be made of it again; else None.

        It is a part of the message that has the crash: its references come to `lent`, those of that message.
        """
        if error is None:
            return None
        inner: Lent = {}
        try:
            kind, parts, views = _writer(self, inner)(error)
            body, buffers = b"".join(parts), tuple(map(bytes, views))
            self._mirror.known = inner
            copy = self._back.decode(kind, body, buffers)
        except Exception:
            return None
        finally:
            self._mirror.known = {}
        if type(copy) is not type(error):
            return None
        lent.update(inner)
        return kind, body, buffers

    def lend(self, refs: list[Any], kind: int, parts: list[bytes]) -> tuple[int, list[bytes]]:
        """A body that is written, with what says that these references are in it."""
        carrier = cast("Carrier", self.carrier)
        section = carrier.lend(refs)
        try:
            return kind | MANIFEST, [manifest({REFERENCES: section}), *parts]
        except EncodeError:
            carrier.withdraw(section)
            why = f"it has {len(refs)} references, too many for one message: send them in parts"
            raise EncodeError("message", why) from None

    def taken_back(self, kind: int, parts: Sequence[bytes]) -> None:
        """A body that `encode` gave will not be sent."""
        section = section_of(kind, parts, REFERENCES)
        if section is not None and self.carrier is not None:
            self.carrier.withdraw(section)


class _Mirror:
    """Gives a writer's own references back, where it reads what it has just written."""

    def __init__(self) -> None:
        self.known: Lent = {}

    def made(self, fields: Any) -> Any:
        return self.known[fields]


def _writer(encoder: Encoder, within: Lent | None = None) -> Callable[[Any], Body]:
    """One pickler that is used again and again, all that it writes to, and the function that uses it.

    `within` gets the references of a body that is a part of another one.
    """
    parts: list[Any] = []
    buffers: list[memoryview] = []
    marks: list[int] = []  # how many parts there were when each buffer was put beside them
    # Every object that is no plain data, in the order of writing: a body with one is foreign, and where something
    # fails, the last one is to blame.
    trail: list[Any] = []
    lent: Lent = {} if within is None else within
    busy = False
    own, own_creation = encoder.node, encoder.creation
    override = _override(encoder, trail, lent)

    def stays(buffer: pickle.PickleBuffer) -> bool:
        """Whether a buffer stays in the body; it is put beside it otherwise."""
        view = buffer.raw()
        if view.nbytes < OUT_OF_BAND:
            return True
        buffers.append(view)
        marks.append(len(parts))
        return False

    pickler = _Pickler(cast("Any", _Sink(parts.append)), PROTOCOL, buffer_callback=stays)
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
            if lent and within is None:
                refs = [*lent.values()]
                body, beside = _beside(parts, buffers, marks)
            elif len(parts) == 1:
                whole = parts.pop()
                joined = [PROLOGUE + whole] if len(whole) <= JOINED else [PROLOGUE, whole]
                return kind, joined, buffers[:] if buffers else []
            else:  # large payloads are parts of their own, and a bytearray's is the bytearray itself
                return kind, *_beside(parts, buffers, marks)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a __reduce__ raises
            raise explained(message, trail, error) from error
        finally:
            pickler.memo = MEMO
            if trail:
                trail.clear()
            if lent and within is None:
                lent.clear()
            if buffers:
                buffers.clear()
                marks.clear()
            if parts:
                parts.clear()
            busy = False
        return *encoder.lend(refs, kind, body), beside

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


def _override(encoder: Encoder, trail: list[Any], lent: Lent) -> Callable[[Any], Any]:
    """How a pickler writes what is no built-in data: the pickler asks before it looks itself."""
    own, own_creation, hook, carrier = encoder.node, encoder.creation, encoder.hook, encoder.carrier
    kinds: frozenset[Any] = frozenset() if hook is None else hook.kinds
    references: frozenset[type] = frozenset() if carrier is None else carrier.kinds

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
            error = encoder.portable(obj.exception, lent)
            if error is not None:
                trail.append(obj)
            return _made, (CRASH, (obj.type, obj.message, obj.traceback, error))
        if kind in references:
            return reference(obj)
        trail.append(obj)
        if kind is FunctionType or issubclass(kind, type) or kind in kinds:
            return by_name(obj)
        reduced = reduce_beside(obj, kind)
        if reduced is NotImplemented:
            reduced = of_main(obj, kind)
        return reduce_exception(obj, kind) if reduced is NotImplemented else reduced

    def reference(obj: Any) -> Any:
        try:
            name = cast("Carrier", carrier).name(obj)
        except BaseException:
            trail.append(obj)  # to blame
            raise
        lent.setdefault(name, obj)
        return _made, (REFERENCE, name)

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
