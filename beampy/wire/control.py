"""Control arrays: what two nodes tell each other besides messages, as plain data and back.

An array is `[code, …]` of plain msgpack data; the frame around it says which process sent it, and may carry a body: an
exit reason, a function with its arguments. The codes and their shapes are one table, SHAPES. What has another shape is
RemoteProtocolError; what is longer is read as far as it is known, and an unknown code from IGNORABLE on is no error, so
that releases can differ. A pid of the receiver is its serial and creation, one of the sender its serial alone: the
connection says which node, and which start of it, that is.

Monitors are not here: each remote call has one, so they have frames of their own (frame.py). Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from beampy.core.ids import NODE_NAME, Pid, Ref
from beampy.core.signals import DownSignal, ExitSignal, LinkSignal, UnlinkAckSignal, UnlinkSignal
from beampy.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LINK = 1  # serial and creation of the process to link with
UNLINK = 2  # … and the id
UNLINK_ACK = 3
EXIT = 4  # serial, creation, whether it comes over a link; the body is the reason
DOWN = 5  # serial and creation of the watcher, the id of its ref; the body is the reason
SPAWN = 7  # the id of the sender's ref, options; the body is the function and its arguments
SPAWN_REPLY = 8  # the id of the receiver's ref, the serial of the new process; 0: it failed, and the body says why
NODES = 9  # names of the nodes that the sender is connected with
LOST = 10  # the name and creation of a node that the sender has lost
REFS = 11  # nothing; the body is what remote references have to say to each other
CODE = 12  # nothing; the body is what the definitions in later messages are built of
SHARED_OFFER = 20  # a process, descriptor and inode of a memory file, and the secret in it; SHARED.md has these four
SHARED_ANSWER = 21  # the secret: the sender can read it
SHARED_RELEASE = 22  # numbers of what was lent, and of what was and must not be written to again
SHARED_SYNC = 23  # a number up to which all has arrived, as an answer; or the question whether that is so
IGNORABLE = 128  # from here on: what a release that does not know it may ignore

# A flag of MONITOR frames: the first message to the ref ends the monitor at both ends, without a DEMONITOR.
ONCE = 1

MAX_REFS = 32 * 1024  # bytes of a REFS body: always a small frame, so it never waits behind a message in pieces
MAX_CODE = 64 * 1024  # bytes of a CODE body: the most that a small frame has
MAX_SECRET = 64  # bytes
MAX_RELEASED = 4096  # numbers in one array, of at most 9 bytes each: below what one control array may have
MAX_NODES = 1024  # names in one array; a full mesh of more nodes is none that works


class Spawn(NamedTuple):
    """Start a process; the answer goes under the caller's ref of that id."""

    ref_id: int
    options: dict[str, Any]


class SpawnReply(NamedTuple):
    """The answer to our request of that id: the new process's serial, 0 when there is none."""

    ref_id: int
    serial: int


class Nodes(NamedTuple):
    """The nodes that the peer is connected with: a mesh is transitive."""

    names: list[str]


class Lost(NamedTuple):
    """The peer has lost that start of a node."""

    name: str
    creation: int


class Refs(NamedTuple):
    """Something of remote references': it is in the body."""


class Code(NamedTuple):
    """What definitions are built of: it is in the body."""


class SharedOffer(NamedTuple):
    """A memory file of the peer's, to try whether we can read it."""

    pid: int
    fd: int
    inode: int
    secret: bytes


class SharedAnswer(NamedTuple):
    """The peer has read the secret in ours."""

    secret: bytes


class SharedRelease(NamedTuple):
    """The peer does not use these any more; a fork of it may still use those."""

    numbers: list[int]
    spoiled: list[int]


class SharedSync(NamedTuple):
    """Whether all up to that number has arrived: the peer asks, or says so."""

    number: int
    answer: bool


Received = (
    LinkSignal
    | UnlinkSignal
    | UnlinkAckSignal
    | ExitSignal
    | DownSignal
    | Spawn
    | SpawnReply
    | Nodes
    | Lost
    | Refs
    | Code
    | SharedOffer
    | SharedAnswer
    | SharedRelease
    | SharedSync
)


def to_control(
    signal: LinkSignal | UnlinkSignal | UnlinkAckSignal | ExitSignal | DownSignal,
) -> tuple[int, tuple[Any, ...]]:
    """(sender, args) for `Channel.control`. A reason is not in there: the caller encodes it as the body.

    The sender is the serial of one of our processes, 0 where there is none, and says what the frame waits behind: a
    DOWN comes after the last message of the process that ended.

    >>> to_control(LinkSignal(Pid("a@h", 7, 1), Pid("b@h", 9, 2)))
    (7, (1, 9, 2))
    """
    match signal:
        case LinkSignal(sender, to):
            return sender.serial, (LINK, to.serial, to.creation)
        case UnlinkSignal(sender, to, id):
            return sender.serial, (UNLINK, to.serial, to.creation, id)
        case UnlinkAckSignal(sender, to, id):
            return sender.serial, (UNLINK_ACK, to.serial, to.creation, id)
        case ExitSignal(sender, to, _, link):
            return sender.serial, (EXIT, to.serial, to.creation, bool(link))
        case DownSignal(to, ref, _, ended):
            return (0 if ended is None else ended.serial), (DOWN, to.serial, to.creation, ref.id)
    raise TypeError(f"no control array says {type(signal).__name__}")


def nodes(names: Iterable[str]) -> tuple[Any, ...]:
    """The array of `Nodes`; of very many names, the first MAX_NODES.

    >>> nodes(["a@h", "b@h"])
    (9, ['a@h', 'b@h'])
    """
    return NODES, list(names)[:MAX_NODES]


def lost(name: str, creation: int) -> tuple[Any, ...]:
    """The array of `Lost`.

    >>> lost("a@h", 5)
    (10, 'a@h', 5)
    """
    return LOST, name, creation


def from_control(
    sender: int,
    args: list[Any],
    own: Callable[[int, int], Pid],
    theirs: Callable[[int, int | None], Pid],
) -> Received | None:
    """What an array says; `sender` and `args` are what `Handler.control` got.

    `own(serial, creation)` makes a pid of this node, `theirs(serial, None)` one of the peer's present start. The reason
    of an ExitSignal or DownSignal is None: it is in the body. Returns None where the code is unknown and may be
    ignored, and raises RemoteProtocolError for what is not in the table, or has not its shape.

    >>> def here(serial, creation):
    ...     return Pid("b@h", serial, creation)
    >>> def there(serial, creation):
    ...     return Pid("a@h", serial, 1)
    >>> from_control(7, [1, 9, 2], here, there)
    LinkSignal(sender=<Pid a@h 7>, to=<Pid b@h 9>)
    """
    code = args[0]
    shape = SHAPES.get(code)
    if shape is None:
        if code >= IGNORABLE:
            return None
        raise RemoteProtocolError(f"no control array has code {code}")
    if len(args) <= len(shape) or not all(fits(value) for fits, value in zip(shape, args[1:], strict=False)):
        raise RemoteProtocolError(f"a control array of code {code} that has not its shape")
    if not sender and code in FROM_A_PROCESS:
        raise RemoteProtocolError(f"a control array of code {code} from no process")
    if code <= DOWN:
        to = own(args[1], args[2])
        if code == DOWN:
            return DownSignal(to, Ref(to.node, args[3], args[2]), None, theirs(sender, None) if sender else None)
        far = theirs(sender, None)
        if code == LINK:
            return LinkSignal(far, to)
        if code == EXIT:
            return ExitSignal(far, to, None, args[3])
        return (UnlinkSignal if code == UNLINK else UnlinkAckSignal)(far, to, args[3])
    return _RECORDS[code](*args[1 : 1 + len(shape)])


# What a field may be.


def _u64(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 64


def _u32(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 32


def _flag(value: Any) -> bool:
    return type(value) is bool


def _node(value: Any) -> bool:
    return type(value) is str and NODE_NAME.match(value) is not None


def _nodes(value: Any) -> bool:
    return type(value) is list and len(value) <= MAX_NODES and all(map(_node, value))


def _secret(value: Any) -> bool:
    return type(value) is bytes and 0 < len(value) <= MAX_SECRET


def _numbers(value: Any) -> bool:
    return type(value) is list and len(value) <= MAX_RELEASED and all(map(_u64, value))


def _options(value: Any) -> bool:
    return type(value) is dict and all(type(key) is str for key in value)


SHAPES: dict[Any, tuple[Callable[[Any], bool], ...]] = {
    LINK: (_u64, _u32),
    UNLINK: (_u64, _u32, _u64),
    UNLINK_ACK: (_u64, _u32, _u64),
    EXIT: (_u64, _u32, _flag),
    DOWN: (_u64, _u32, _u64),
    SPAWN: (_u64, _options),
    SPAWN_REPLY: (_u64, _u64),
    NODES: (_nodes,),
    LOST: (_node, _u32),
    REFS: (),
    CODE: (),
    SHARED_OFFER: (_u32, _u32, _u64, _secret),
    SHARED_ANSWER: (_secret,),
    SHARED_RELEASE: (_numbers, _numbers),
    SHARED_SYNC: (_u64, _flag),
}
FROM_A_PROCESS = frozenset({LINK, UNLINK, UNLINK_ACK})
_RECORDS: dict[int, Callable[..., Received]] = {
    SPAWN: Spawn,
    SPAWN_REPLY: SpawnReply,
    NODES: Nodes,
    LOST: Lost,
    REFS: Refs,
    CODE: Code,
    SHARED_OFFER: SharedOffer,
    SHARED_ANSWER: SharedAnswer,
    SHARED_RELEASE: SharedRelease,
    SHARED_SYNC: SharedSync,
}
