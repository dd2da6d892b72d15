"""Bytes to messages: what codec.py writes. CODEC.md has the bytes.

Rule: a plain body is read without an import and without anybody else's code, so an event loop may do it. A foreign one
needs its classes; where they are not here yet, NeedsImport says so, and it is read again in a thread.

The numbers that both sides know are here as well. Not known here: who sent it, how it came, in which thread it runs.
"""

from __future__ import annotations

import operator
import pickle
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from beampy.core.ids import Pid, Ref
from beampy.core.signals import Crash
from beampy.wire.codec_loads import NeedsImport, loads_any, loads_known, loads_plain
from beampy.wire.records import LAST, SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from beampy.wire.codec_loads import Loads

PLAIN = 0
# A kind has eight bits: whether the body is foreign, the number of the record that the message is (else 0), whether
# the record begins with a reference and a pid of the sender's, as every call does: two numbers, then; and whether there
# is a manifest in front of the body (carrier.py), which is off before a decoder sees it.
FOREIGN = 1
ADDRESSED = 64
# What is made by number: a record by its own, and these.
OTHERS_REF, CRASH, DEFINED, REFERENCE = 0, 1, LAST, LAST + 1
INTEGERS = ("BININT", "BININT1", "BININT2", "LONG1")  # the opcodes that write one
MOST_PIDS = 4096  # remembered for each sender, at some 200 bytes

new_tuple = tuple.__new__


class Makes(Protocol):
    """What gives the remote references in a body: a Carrier (carrier.py) is one."""

    def made(self, fields: Any) -> Any:
        """The reference of that name."""


class Hook(Protocol):
    """What lets functions and classes travel that cannot be imported on the other side: a layer above has it.

    One for each peer. `kinds` are further types whose objects `encode` is asked about.
    """

    kinds: frozenset[Any]

    def encode(self, obj: Any) -> Any:
        """How to rebuild `obj`, as `__reduce__` says it; NotImplemented: by its name.

        `(MADE, (DEFINED, fields))` lets the other side's `made(fields)` do it.
        """

    def heard(self, data: bytes) -> None:
        """A CODE frame has arrived, what the other side's `encode` has said. Any Exception for what is not that."""

    def made(self, fields: Any, now: bool) -> Any:
        """What `fields` stand for. With `now` it may not wait: NeedsImport, and it is asked again in a thread."""

    def loads(self, body: Any, buffers: Iterable[Any]) -> Any:
        """pickle.loads, in a thread."""

    def loads_known(self, body: Any, buffers: Iterable[Any]) -> Any:
        """The same on an event loop: it never imports, and raises NeedsImport."""


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

    def __init__(self, node: str, creation: int, hook: Hook | None = None, carrier: Makes | None = None) -> None:
        node = sys.intern(node)
        pids = _Pids(node, creation)
        pid, ref = pids.__getitem__, partial(Ref, node)
        in_time: Loads = loads_any if hook is None else hook.loads
        known: Loads = loads_known if hook is None else hook.loads_known
        # A plain body has no business with an exception's classes, nor with anybody's code.
        plain = (pid, ref, _maker(None, None, carrier))
        make_now = _maker(lambda *body: self.decode_now(*body), hook, carrier, True)
        self.decode_now = _reader(pids, plain, known, (pid, ref, make_now))
        make = _maker(lambda *body: self.decode(*body), hook, carrier)
        self.decode = _reader(pids, plain, in_time, (pid, ref, make))


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


def _maker(
    decode: Callable[..., Any] | None, hook: Hook | None, carrier: Makes | None, now: bool = False
) -> Callable[[int, Any], Any]:
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
        if code == REFERENCE and carrier is not None:
            return carrier.made(fields)
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
