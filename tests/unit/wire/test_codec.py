"""codec: every value comes back as it was, identities and records are short, and nothing of a message is kept."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import functools
import gc
import math
import pathlib
import pickle
import uuid
import weakref
from dataclasses import dataclass, field
from typing import Any, NamedTuple, SupportsIndex

import pytest

from beampy.core.ids import Pid, Ref
from beampy.core.signals import Crash, Down, Exit, NodeDown, NodeUp, Timeout
from beampy.errors import EncodeError, NoProcess
from beampy.wire import records
from beampy.wire.codec import FOREIGN, OUT_OF_BAND, PLAIN, Decoder, Encoder, register_record
from beampy.wire.decoding import ADDRESSED

HERE, CREATION = "a@localhost", 0xDEADBEEF
LARGE = 64 * 1024  # pickle writes what has this size without copying it


class Ask(NamedTuple):
    """As a server's call: who waits for the answer, and the request."""

    ref: Ref
    pid: Pid
    request: Any


class Named(NamedTuple):
    """As the request of a typed method."""

    name: str
    args: tuple[Any, ...]


register_record(28, Ask)
register_record(30, Named)


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


@dataclass
class Order:
    item: str
    count: int = 1
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Slotted:
    value: Any


class Failure(Exception):
    def __init__(self, code: int, why: str) -> None:
        super().__init__(code, why)
        self.code = code
        self.extra: Any = None


class Odd:
    """Reduces as it is told."""

    def __init__(self, reduce: Any) -> None:
        self.reduce = reduce

    def __reduce__(self) -> Any:
        return self.reduce()


class Buffer:
    """What a numpy array does: its memory travels beside the message."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return Buffer, (pickle.PickleBuffer(self.data),)


def give(value: Any) -> Any:
    return value


def raises(error: BaseException) -> Any:
    raise error


class Codec:
    """An encoder and a decoder of one node, and what was exported."""

    def __init__(self) -> None:
        self.exported: list[Ref] = []
        self.encoder = Encoder(HERE, CREATION, self.exported.append)
        self.decoder = Decoder(HERE, CREATION)

    def body(self, message: Any) -> tuple[int, bytes, list[bytearray]]:
        """As the wire carries it."""
        kind, parts, buffers = self.encoder.encode(message)
        assert 0 <= kind <= 127
        assert all(type(part) is bytes for part in parts)
        flat = [view for view in buffers if type(view) is not bytes]
        assert all((view.format, view.ndim, view.contiguous) == ("B", 1, True) for view in flat)
        return kind, b"".join(parts), [view if type(view) is bytes else bytearray(view) for view in buffers]

    def trip(self, message: Any) -> Any:
        body = self.body(message)
        copy = self.decoder.decode_now(*body)
        assert type(copy) is type(message)
        again = self.decoder.decode(body[0], memoryview(body[1]), [bytearray(b) for b in body[2]])
        assert type(again) is type(message)
        return copy


@pytest.fixture
def codec() -> Codec:
    return Codec()


PLAIN_VALUES = [
    None,
    True,
    0,
    -1,
    2**31,
    -(2**63) - 1,
    10**1000,
    1.5,
    -0.0,
    math.inf,
    "",
    "text",
    "\ud800 alone",
    "a\0b",
    b"",
    b"\xff" * 300,
    bytearray(b"ba"),
    (),
    (1, (2, (3,))),
    [],
    [1, [2]],
    {},
    {1: {"a": None}, (1, 2): []},
    set(),
    {1, "a"},
    frozenset({1, frozenset()}),
    Pid("b@localhost", 7, 1),
    Pid(HERE, 7, CREATION),
    Pid(HERE, 7, 1),
    Ref("b@localhost", 2**64 - 1, 1),
    Ref(HERE, 7, CREATION),
    Down(Ref(HERE, 1, CREATION), Pid("b@localhost", 1, 2), ("shutdown", "idle")),
    Exit(Pid(HERE, 1, CREATION), "killed"),
    Timeout(Ref(HERE, 1, CREATION), ["tick"]),
    NodeUp("b@localhost"),
    NodeDown("b@localhost", "noconnection"),
    Ask(Ref(HERE, 1, CREATION), Pid(HERE, 1, CREATION), ("get", 1)),
    Ask(Ref(HERE, 1, CREATION), Pid(HERE, 1, CREATION), Named("add", (1, 2))),
    Ask(Ref(HERE, 1, 1), Pid(HERE, 1, CREATION), Named("add", (1, 2))),
    Ask(Ref(HERE, 1, CREATION), Pid("b@localhost", 1, CREATION), Named("add", (1, 2))),
    Ask(Ref(HERE, 1, CREATION), Pid(HERE, 1, CREATION), Ask(Ref(HERE, 2, CREATION), Pid(HERE, 2, CREATION), 1)),
    Named("add", (Named("x", ()),)),
    Crash("ValueError", "no", "Traceback …"),
]

FOREIGN_VALUES = [
    ...,
    NotImplemented,
    1 + 2j,
    range(3),
    int,
    len,
    dict[str, int],
    give,
    Codec.trip,
    functools.partial(int, base=2),
    datetime.datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=datetime.UTC),
    datetime.timedelta(days=-1),
    decimal.Decimal("1.10"),
    uuid.UUID(int=5),
    pathlib.PurePosixPath("/a/b"),
    collections.deque([1, 2], 5),
    collections.OrderedDict(b=1, a=2),
    Colour.RED,
    Point(1, 2),
    Order("tea", 2, ["hot"]),
    Slotted([1]),
]


def same(a: Any, b: Any) -> bool:
    """Equal, type for type, -0.0 and 0.0 told apart."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return math.copysign(1, a) == math.copysign(1, b) and (a == b or (math.isnan(a) and math.isnan(b)))
    if isinstance(a, (tuple, list, collections.deque)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, (set, frozenset)):
        return a == b and {type(one) for one in a} == {type(one) for one in b}
    if isinstance(a, functools.partial):
        return same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
    return bool(a == b)


@pytest.mark.parametrize("value", PLAIN_VALUES, ids=repr)
def test_plain_values_come_back_and_are_plain(codec: Codec, value: Any) -> None:
    for message in (value, [value], {"k": (value,)}):
        assert same(codec.trip(message), message)
        assert codec.body(message)[0] & FOREIGN == PLAIN


@pytest.mark.parametrize("value", FOREIGN_VALUES, ids=lambda value: type(value).__name__)
def test_values_of_other_types_come_back_and_are_foreign(codec: Codec, value: Any) -> None:
    for message in (value, [value], Ask(Ref(HERE, 1, CREATION), Pid(HERE, 1, CREATION), Named("x", (value,)))):
        assert same(codec.trip(message), message)
        assert codec.body(message)[0] & FOREIGN


def test_not_a_number_comes_back(codec: Codec) -> None:
    assert math.isnan(codec.trip(math.nan))


def test_what_is_shared_stays_shared(codec: Codec) -> None:
    one = [1]
    pid = Pid("b@localhost", 1, 1)
    copy = codec.trip([one, one, {"k": one}, pid, pid])
    assert copy[0] is copy[1] is copy[2]["k"]
    assert copy[3] is copy[4]


def test_cycles(codec: Codec) -> None:
    ring: list[Any] = [1]
    ring.append({"me": ring})
    copy = codec.trip(ring)
    assert copy[1]["me"] is copy
    order = Order("x")
    order.tags.append(order)  # type: ignore[arg-type]
    copy = codec.trip(order)
    assert copy.tags[0] is copy


def test_exceptions_keep_what_pickle_keeps(codec: Codec) -> None:
    error = Failure(3, "no")
    error.extra = [1]
    error.add_note("while testing")
    error.__cause__ = ValueError("lost on the way")
    copy = codec.trip(error)
    assert (copy.args, copy.code, copy.extra, copy.__notes__) == ((3, "no"), 3, [1], ["while testing"])
    assert copy.__cause__ is None
    assert copy.__traceback__ is None
    group = codec.trip(ExceptionGroup("two", [ValueError(1), NoProcess(Pid(HERE, 1, CREATION))]))
    assert [type(each) for each in group.exceptions] == [ValueError, NoProcess]
    assert group.exceptions[1].target == Pid(HERE, 1, CREATION)


# identities


def test_pids_and_refs_are_the_same_after_the_trip(codec: Codec) -> None:
    for one in (Pid(HERE, 5, CREATION), Pid("b@localhost", 5, 1), Ref(HERE, 5, CREATION), Ref("b@localhost", 5, 1)):
        copy = codec.trip(one)
        assert copy is not one
        assert copy == one
        assert hash(copy) == hash(one)
        assert {one: 1}[copy] == 1
        assert copy.node == one.node
    # Whole pids of the node itself, of which a sender has many, do not fill the reader's memory one by one.
    assert codec.trip(Pid(HERE, 5, CREATION)) is codec.trip((Pid(HERE, 5, CREATION),))[0]


def test_names_of_nodes_are_interned(codec: Codec) -> None:
    name = "".join(["far", "@", "localhost"])
    pid, ref, again = codec.trip((Pid(name, 1, 1), Ref(name, 1, 1), Pid(name, 2, 1)))
    assert pid.node is ref.node is again.node
    other = Decoder("".join(["a@", "localhost"]), 1).decode(
        *codec.body((Pid(HERE, 1, CREATION), Ref(HERE, 1, CREATION)))
    )
    assert other[0].node is other[1].node is codec.trip(Pid(HERE, 1, CREATION)).node


def test_the_sender_is_who_the_decoder_says(codec: Codec) -> None:
    """A body does not repeat the sender's name: the connection knows it."""
    body = codec.body((Pid(HERE, 5, CREATION), Ref(HERE, 6, CREATION)))
    assert HERE.encode() not in body[1]
    pid, _ = Decoder("a@far", 3).decode(*body)
    assert pid == Pid("a@far", 5, 3)


def test_remembered_pids_have_a_bound(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beampy.wire.decoding.MOST_PIDS", 10)
    first = codec.trip(Pid(HERE, 0, CREATION))
    for serial in range(1, 10):
        codec.trip(Pid(HERE, serial, CREATION))
    assert codec.trip(Pid(HERE, 0, CREATION)) is first
    codec.trip(Pid(HERE, 10, CREATION))
    again = codec.trip(Pid(HERE, 0, CREATION))
    assert again == first
    assert again is not first


def test_a_ref_that_somebody_waits_for_is_exported(codec: Codec) -> None:
    mine, idle, old, others = Ref(HERE, 1, CREATION), Ref(HERE, 2, CREATION), Ref(HERE, 3, 9), Ref("b@localhost", 4, 1)
    mine._holder = old._holder = others._holder = object()
    codec.trip([mine, idle, old, others])
    assert codec.exported == [mine]
    codec.exported.clear()
    codec.trip(Ask(mine, Pid(HERE, 1, CREATION), None))
    assert codec.exported == [mine]
    codec.exported.clear()
    codec.trip({"deep": [Ask(mine, Pid("b@localhost", 1, CREATION), None)]})
    assert codec.exported == [mine]


# records


def test_the_bytes_are_those_of_the_specification(codec: Codec) -> None:
    """CODEC.md shows them, and other releases read them."""
    shown = (
        "97 94 30 97 94 30 97 94 30 80 05 95 12 00 00 00 00 00 00 00"
        "8c 04 70 69 6e 67 94 68 00 4b 07 85 94 52 94 86 94 2e"
    )
    message = ("ping", Pid(HERE, 7, CREATION))
    assert codec.body(message) == (0, bytes.fromhex(shown), [])
    # What PROTO and FRAME say is nothing to a reader; entries 1 and 2, and a call within a list.
    start = bytes.fromhex("97 94 30 97 94 30 97 94 30")
    ref = b"\x68\x01K\x05J\xef\xbe\xad\xde\x86R"
    assert codec.decoder.decode(PLAIN, start + ref + b".") == Ref(HERE, 5, 0xDEADBEEF - 2**32)
    named = b"\x68\x02K\x1e\x8c\x03add)\x86\x86R"
    assert codec.decoder.decode(PLAIN, start + named + b".") == Named("add", ())
    assert codec.decoder.decode(28 << 1 | ADDRESSED, start + b"(K\x05K\x07K\x1e\x8c\x03add)t.") == Ask(
        Ref(HERE, 5, CREATION), Pid(HERE, 7, CREATION), Named("add", ())
    )


def test_a_call_is_short(codec: Codec) -> None:
    call = Ask(Ref(HERE, 1, CREATION), Pid(HERE, 1, CREATION), Named("add", (1,)))
    kind, body, _ = codec.body(call)
    assert kind == 28 << 1 | ADDRESSED
    assert len(body) < 45
    assert len(pickle.dumps(call, 5)) > 150


def test_a_record_is_of_its_own_class_only(codec: Codec) -> None:
    class Sub(Point):
        pass

    assert type(codec.trip(Point(1, 2))) is Point
    with pytest.raises(EncodeError, match="Sub"):
        codec.encoder.encode(Sub(1, 2))


def test_numbers_of_records_are_taken_once() -> None:
    register_record(30, Named)
    with pytest.raises(ValueError, match=r"record 30 is .*Named and cannot be .*Point"):
        register_record(30, Point)
    with pytest.raises(ValueError, match=r"Named is record 30"):
        register_record(29, Named)
    with pytest.raises(ValueError, match="no NamedTuple"):
        register_record(29, tuple)
    for number in (0, 1, 31, 32, -1):
        with pytest.raises(ValueError, match="2 to 30"):
            register_record(number, Point)
    assert Point not in records.CODES
    assert records.SHAPES[29] == (tuple, -1)


def test_a_class_that_is_loaded_again_keeps_its_number(codec: Codec) -> None:
    fields = {"__module__": Named.__module__, "__qualname__": "Named"}
    later: Any = type("Named", (collections.namedtuple("Named", ["name", "args"]),), fields)
    try:
        register_record(30, later)
        assert codec.trip(later("x", ())) == ("x", ())
    finally:
        register_record(30, Named)
    assert later not in records.CODES
    assert type(codec.trip(Named("x", ()))) is Named


@pytest.mark.parametrize("kind", [2, 29 << 1, 28 << 1, 28 << 1 | ADDRESSED, 31 << 1, 2 | ADDRESSED, ADDRESSED, 127])
@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3, 4), (1, 2, 99, 4), (1, 2, -5, 1), 5, None, "abcd", [1, 2, 3, 4]])
def test_records_that_do_not_fit_are_refused(codec: Codec, kind: int, value: Any) -> None:
    with pytest.raises(Exception):  # noqa: B017 - any: its receiver makes a DecodeError of it
        codec.decoder.decode_now(kind, codec.body(value)[1])


# crashes


def test_a_crash_brings_its_exception(codec: Codec) -> None:
    crash = Crash.of(Failure(1, "x"))
    copy = codec.trip(("down", crash))[1]
    assert copy == crash
    assert copy.traceback == crash.traceback
    assert type(copy.exception) is Failure
    assert copy.exception.args == (1, "x")
    assert codec.body(crash)[0] == FOREIGN


def test_a_crash_goes_without_an_exception_that_cannot(codec: Codec) -> None:
    error = Failure(1, "x")
    error.extra = lambda: 0
    for broken in (error, Odd(lambda: raises(SystemExit())), OSError):
        copy = codec.trip(Crash("T", "m", "tb", broken))  # type: ignore[arg-type]
        assert copy.exception is None
        assert (copy.type, copy.message, copy.traceback) == ("T", "m", "tb")
    assert codec.body(Crash("T", "m", "tb", error))[0] == PLAIN


def test_a_crash_arrives_where_its_exception_cannot_be_read(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    down = Down(Ref(HERE, 1, CREATION), "name", Crash.of(Failure(1, "x")))
    body = codec.body(down)
    monkeypatch.delattr(f"{__name__}.Failure")
    for decode in (codec.decoder.decode_now, codec.decoder.decode):
        copy = decode(*body)
        assert copy == down
        assert copy.reason.exception is None


# between messages


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_message_is_kept(codec: Codec, fails: bool) -> None:
    order = Order("x")
    data = Slotted(bytearray(OUT_OF_BAND))
    message: list[Any] = [order, Buffer(data.value), Pid(HERE, 1, CREATION), *((lambda: 0,) if fails else ())]
    gone = weakref.ref(order)
    try:
        codec.encoder.encode(message)
    except EncodeError:
        assert fails
    else:
        assert not fails
    data.value.clear()  # a BufferError if its memory were still held
    del message, order
    gc.collect()
    assert gone() is None


def test_a_failure_leaves_nothing_behind(codec: Codec) -> None:
    good = [Order("x"), Pid(HERE, 1, CREATION), b"y" * LARGE, Buffer(b"z" * LARGE)]
    before = codec.body(good)
    for bad in ([good, lambda: 0], [good, Odd(lambda: raises(SystemExit()))], [Buffer(b"z" * LARGE), Odd(int)]):
        with pytest.raises(EncodeError):
            codec.encoder.encode(bad)
        assert codec.body(good) == before
        assert codec.body(1)[0] == PLAIN


def test_a_reduce_may_encode(codec: Codec) -> None:
    def reduce() -> Any:
        inner = codec.body([Order("inner"), Pid(HERE, 2, CREATION)])
        return give, ((*inner[:2], "inner"),)

    message = [Order("before"), Odd(reduce), Order("after"), Pid(HERE, 1, CREATION)]
    copy = codec.decoder.decode(*codec.body(message))
    assert [copy[0], copy[2], copy[3]] == [message[0], message[2], message[3]]
    kind, inner, _ = copy[1]
    assert codec.decoder.decode(kind, inner) == [Order("inner"), Pid(HERE, 2, CREATION)]


def test_a_reduce_may_fail_to_encode(codec: Codec) -> None:
    def reduce() -> Any:
        with pytest.raises(EncodeError):
            codec.encoder.encode([Order("inner"), lambda: 0])
        return give, (1,)

    assert codec.decoder.decode(*codec.body([Order("a"), Odd(reduce), 5])) == [Order("a"), 1, 5]


def test_keyboard_interrupt_passes(codec: Codec) -> None:
    with pytest.raises(KeyboardInterrupt):
        codec.encoder.encode([Order("a"), Odd(lambda: raises(KeyboardInterrupt()))])
    assert codec.trip([1]) == [1]
    kind, body, _ = codec.body(Odd(lambda: (raises, (KeyboardInterrupt(),))))
    with pytest.raises(KeyboardInterrupt):
        codec.decoder.decode(kind, body)
