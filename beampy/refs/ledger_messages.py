"""What two ledgers tell each other: eight messages, as plain data and as bytes.

A transfer is a number that its sender gave, and an object is a number that its owner gave, so most messages are numbers
in rising runs, and are written as runs: a thousand transfers in a row take a few bytes. What is longer than MAX_BYTES
is written as several messages. What has another shape is RemoteProtocolError.

Place: ledger.py makes and takes the messages; who carries the bytes knows nothing of them. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import msgpack

from beampy.errors import RemoteProtocolError
from beampy.refs.identity import ObjectId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_BYTES = 32 << 10  # of one message: what a control frame may carry besides its array
MAX_NUMBERS = 1 << 16  # in one message, however few bytes its runs are: what is read in some milliseconds
MAX_INT = (1 << 63) - 1  # so that the difference of two is an int of msgpack
MAX_CREATION = (1 << 32) - 1
MAX_NODE = 255  # bytes of a node's name, as in the handshake

# Of worst-case sizes in msgpack: an int takes 9 bytes, an array's head 5.
_INT = 9
_SMALL = 2  # a run of small ints
_HEAD = 64
_ROOM = MAX_BYTES - _HEAD
_PER_PIECE = _ROOM // (2 * _INT)  # runs, or pairs
_OWNER = 5 + _INT + 5  # an owner of a statement, besides its name


class Return(NamedTuple):
    """These transfers of yours: I need them no more."""

    transfers: Sequence[int]


class Ask(NamedTuple):
    """To the owner: lend me these objects of your start `creation`; another lent them to me. `ask` is its number."""

    ask: int
    creation: int
    numbers: Sequence[int]


class Lend(NamedTuple):
    """From the owner, to that `ask`: (number of an object, transfer). Each is a registration."""

    ask: int
    pairs: Sequence[tuple[int, int]]


class Renew(NamedTuple):
    """From the owner: (a transfer that had expired, the one that stands for it now)."""

    pairs: Sequence[tuple[int, int]]


class Gone(NamedTuple):
    """From the owner's node: these objects of its start `creation` are there no more, and never will be."""

    creation: int
    numbers: Sequence[int]


class Void(NamedTuple):
    """From a third: these transfers of mine, which you hold, keep nothing alive any more."""

    transfers: Sequence[int]


class Question(NamedTuple):
    """Which of my transfers up to `upto` do you hold? Our connection was lost after the last of them."""

    upto: int


class Statement(NamedTuple):
    """Of your transfers from `first` to `last` I hold exactly these; none of the others will ever come."""

    first: int
    last: int
    entries: Sequence[tuple[int, ObjectId]]


Message: TypeAlias = Return | Ask | Lend | Gone | Void | Question | Statement | Renew

RETURN, ASK, LEND, GONE, VOID, QUESTION, STATEMENT, RENEW = range(1, 9)


# to bytes


def to_bytes(message: Message) -> list[bytes]:
    """The message, as one or more of at most MAX_BYTES, to be sent in this order. All together say what it says.

    >>> [len(data) for data in to_bytes(Return(range(1, 50_001)))]
    [7]
    """
    match message:
        case Return(transfers):
            return [_pack(RETURN, runs) for runs in _runs(transfers)]
        case Ask(ask, creation, numbers):
            return [_pack(ASK, ask, creation, runs) for runs in _runs(numbers)]
        case Gone(creation, numbers):
            return [_pack(GONE, creation, runs) for runs in _runs(numbers)]
        case Void(transfers):
            return [_pack(VOID, runs) for runs in _runs(transfers)]
        case Lend(ask, pairs):
            return [_pack(LEND, ask, flat) for flat in _pairs(pairs)]
        case Renew(pairs):
            return [_pack(RENEW, flat) for flat in _pairs(pairs)]
        case Question(upto):
            return [_pack(QUESTION, upto)]
        case Statement():
            return [_statement(piece) for piece in pieces(message)]
    raise TypeError(f"not a message of a ledger: {type(message).__name__}")


def pieces(statement: Statement, room: int = _ROOM) -> Iterator[Statement]:
    """Statements that take `room` bytes at most, which cover the same range without gaps.

    >>> a = ObjectId("a@h", 5, 1)
    >>> [(part.first, part.last) for part in pieces(Statement(1, 9, [(3, a), (7, a)]), room=1)]
    [(1, 3), (4, 9)]
    """
    first, size = statement.first, 0
    entries: list[tuple[int, ObjectId]] = []
    owners: set[tuple[str, int]] = set()
    for entry in statement.entries:
        id = entry[1]
        owner = (id.node, id.creation)
        more = 3 * _INT
        if owner not in owners:
            more += len(id.node.encode()) + _OWNER
        if entries and (size + more > room or len(entries) == MAX_NUMBERS):
            yield Statement(first, entries[-1][0], entries)
            first, size, entries, owners = entries[-1][0] + 1, 0, [], set()
            more = 3 * _INT + len(id.node.encode()) + _OWNER
        size += more
        entries.append(entry)
        owners.add(owner)
    yield Statement(first, statement.last, entries)


def _pack(*fields: Any) -> bytes:
    return cast("bytes", msgpack.packb(fields))


def _runs(numbers: Iterable[int]) -> Iterator[list[int]]:
    """Rising runs, flat: how far the run begins after the last one's end, and how long it is."""
    flat: list[int] = []
    end = count = size = 0  # where the last run ended; numbers, and at most how many bytes, in `flat`
    for begin, length in _joined(numbers):
        skip = begin - end
        more = _SMALL if skip < 128 and length < 128 else 2 * _INT  # msgpack writes an int below 128 as one byte
        if flat and (size + more > _ROOM or count + length > MAX_NUMBERS):
            yield flat
            flat, skip, count, size = [], begin, 0, 0
            more = 2 * _INT
        flat += (skip, length)
        end = begin + length
        count += length
        size += more
    if flat:
        yield flat


def _joined(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(first, length) of each run in `numbers`, each of MAX_NUMBERS at most."""
    rest = iter(sorted(numbers))
    begin = last = next(rest, -1)
    if begin < 0:
        return
    for number in rest:
        if number == last + 1 and number - begin < MAX_NUMBERS:
            last = number
        elif number != last:
            yield begin, last - begin + 1
            begin = last = number
    yield begin, last - begin + 1


def _pairs(pairs: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Flat: how far each of the two is after that of the pair before."""
    flat: list[int] = []
    number = transfer = 0
    for one, other in pairs:
        flat += (one - number, other - transfer)
        number, transfer = one, other
        if len(flat) >= 2 * _PER_PIECE:
            yield flat
            flat, number, transfer = [], 0, 0
    if flat:
        yield flat


def _statement(piece: Statement) -> bytes:
    owners: dict[tuple[str, int], int] = {}
    flat: list[int] = []
    last = 0
    for transfer, (node, creation, number) in piece.entries:
        flat += (transfer - last, owners.setdefault((node, creation), len(owners)), number)
        last = transfer
    return _pack(STATEMENT, piece.first, piece.last, [[*owner] for owner in owners], flat)


# from bytes


def from_bytes(data: bytes | bytearray | memoryview) -> Message:
    """The message that one element of `to_bytes` says. Raises RemoteProtocolError for all else; never reads for long.

    >>> from_bytes(to_bytes(Question(7))[0])
    Question(upto=7)
    """
    if len(data) > MAX_BYTES:
        raise RemoteProtocolError(f"a message of a ledger of {len(data)} bytes; {MAX_BYTES} are allowed")
    try:
        fields = msgpack.unpackb(data, use_list=True, strict_map_key=True)
    except Exception as error:  # msgpack's are of many types
        raise RemoteProtocolError(f"a message of a ledger that is not msgpack: {error}") from None
    if type(fields) is not list or not fields:
        raise RemoteProtocolError("a message of a ledger that is not an array")
    code = fields[0]
    shape = _SHAPES.get(code) if type(code) is int else None
    if shape is None:
        raise RemoteProtocolError(f"no message of a ledger has the code {str(code)[:40]}")
    checks, read = shape
    if len(fields) != len(checks) + 1 or not all(fits(field) for fits, field in zip(checks, fields[1:], strict=True)):
        raise RemoteProtocolError(f"a message of a ledger of code {code} that has not its shape")
    return read(*fields[1:])


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_INT


def _is_creation(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_CREATION


def _is_ints(value: object) -> bool:
    return type(value) is list and set(map(type, value)) <= {int}


def _is_owners(value: object) -> bool:
    return type(value) is list and all(
        type(owner) is list
        and len(owner) == 2
        and type(owner[0]) is str
        and 0 < len(owner[0].encode("utf-8", "replace")) <= MAX_NODE
        and _is_creation(owner[1])
        for owner in value
    )


def _numbers(flat: list[int]) -> list[int]:
    if len(flat) % 2:
        raise RemoteProtocolError("runs of numbers of which one has no length")
    numbers: list[int] = []
    end = 0
    for skip, length in zip(flat[::2], flat[1::2], strict=True):
        begin = end + skip
        end = begin + length
        if skip < 0 or length < 1 or end > MAX_INT or len(numbers) + length > MAX_NUMBERS:
            raise RemoteProtocolError("runs of numbers that fall, or are too many")
        numbers += range(begin, end)
    return numbers


def _read_pairs(flat: list[int]) -> list[tuple[int, int]]:
    if len(flat) % 2:
        raise RemoteProtocolError("something that is lent without a transfer")
    pairs = []
    number = transfer = 0
    for more, further in zip(flat[::2], flat[1::2], strict=True):
        number += more
        transfer += further
        if not (0 <= number <= MAX_INT and 0 < transfer <= MAX_INT):
            raise RemoteProtocolError("something that is lent under a number that cannot be")
        pairs.append((number, transfer))
    return pairs


def _read_statement(first: int, last: int, owners: list[list[Any]], flat: list[int]) -> Statement:
    if len(flat) % 3:
        raise RemoteProtocolError("a statement whose last entry is not whole")
    entries = []
    transfer = 0
    for more, owner, number in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        transfer += more
        if more < 1 or not first <= transfer <= last or not 0 <= owner < len(owners) or not 0 <= number <= MAX_INT:
            raise RemoteProtocolError("a statement with an entry that cannot be")
        entries.append((transfer, ObjectId(owners[owner][0], owners[owner][1], number)))
    return Statement(first, last, entries)


_SHAPES: dict[int, tuple[tuple[Callable[[object], bool], ...], Callable[..., Message]]] = {
    RETURN: ((_is_ints,), lambda runs: Return(_numbers(runs))),
    ASK: ((_is_number, _is_creation, _is_ints), lambda ask, creation, runs: Ask(ask, creation, _numbers(runs))),
    LEND: ((_is_number, _is_ints), lambda ask, flat: Lend(ask, _read_pairs(flat))),
    RENEW: ((_is_ints,), lambda flat: Renew(_read_pairs(flat))),
    GONE: ((_is_creation, _is_ints), lambda creation, runs: Gone(creation, _numbers(runs))),
    VOID: ((_is_ints,), lambda runs: Void(_numbers(runs))),
    QUESTION: ((_is_number,), Question),
    STATEMENT: ((_is_number, _is_number, _is_owners, _is_ints), _read_statement),
}
