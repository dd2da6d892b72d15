"""Mailboxes and receive: taking messages in order, or the first that matches.

A process that has never had a backlog has no mailbox at all: a message for a process that waits is handed over
directly. The first backlog makes a plain `deque`; the first selective receive makes a `Mailbox`, a deque with a
second part, `saved`: messages that were looked at and did not match, still in order and older than the rest.

Rule: while one pattern waits, each message is looked at once. `saved` remembers which pattern its messages did
not match (`failed`), so asking again for an equal pattern looks only at what is new. Predicates are never
remembered: they may answer differently the next time.

Benchmarks: benchmarks/oneway.py, benchmarks/selective.py.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from inspect import CO_COROUTINE
from itertools import chain
from types import FunctionType, UnionType, coroutine
from typing import Any, TypeVar, get_origin, overload

from beampy.core.current import current
from beampy.core.unread import Unread
from beampy.errors import BadPattern, DecodeError, NotInProcess, ReceiveTimeout

T = TypeVar("T")

Matcher = Callable[[Any], bool]


class _Suspend:
    """What a process yields to its scheduler. An asyncio task that yields it is told so by asyncio."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}, which only a process may do>"


RECEIVE = _Suspend("receive()")  # resumed with the next message
SELECT = _Suspend("receive(pattern)")  # resumed when there is a new message, or when woken
MISSING: Any = object()


# patterns


def matcher(pattern: Any) -> Matcher:
    """The function that says whether a message matches `pattern`.

    >>> matcher(("add", int, ...))(("add", 1, "x")), matcher(str)(1)
    (True, False)
    """
    if _is_kind(pattern):
        return lambda message: isinstance(message, pattern)
    if isinstance(pattern, tuple):
        return _tuple_matcher(pattern)
    # The coroutine of an async predicate would be true of everything.
    if callable(pattern) and not getattr(getattr(pattern, "__code__", None), "co_flags", 0) & CO_COROUTINE:
        return pattern  # type: ignore[no-any-return]
    raise BadPattern(pattern)


def _is_kind(pattern: Any) -> bool:
    """Whether a pattern is a type, or a union of types. What isinstance cannot ask, such as list[int], is refused."""
    if isinstance(pattern, UnionType):
        return all(_is_kind(part) for part in pattern.__args__)
    if get_origin(pattern) is not None or type(pattern).__module__ == "typing":
        raise BadPattern(pattern)
    return isinstance(pattern, type)


def _tuple_matcher(pattern: tuple[Any, ...]) -> Matcher:
    size = len(pattern)
    kind: type[tuple[Any, ...]] = pattern.__class__  # a NamedTuple as a pattern matches only its own kind
    parts = [(i, _part_matcher(part)) for i, part in enumerate(pattern) if part is not ...]

    def match(message: Any) -> bool:
        return isinstance(message, kind) and len(message) == size and all(fits(message[i]) for i, fits in parts)

    return match


def _part_matcher(part: Any) -> Matcher:
    if _is_kind(part):
        return lambda value: value is part or isinstance(value, part)
    if isinstance(part, tuple):
        return _tuple_matcher(part)
    if isinstance(part, FunctionType) and part.__name__ == "<lambda>":
        raise BadPattern(part)  # a predicate here would be compared, and match nothing for ever
    return lambda value: value is part or equal(value, part)


def equal(value: Any, part: Any) -> bool:
    """`value == part` as a yes or no."""
    try:
        return bool(value == part)
    except Exception:  # an == of its own, such as an array's: what cannot be compared is not what was asked for
        return False


def _remembered(pattern: Any) -> Any:
    """What stands for the pattern in `Mailbox.failed`: itself when it is structural, else nothing equals it."""
    return pattern if isinstance(pattern, (type, tuple)) else MISSING


def _same(a: Any, b: Any) -> bool:
    """Whether two patterns take the same messages, for certain. An == of whole tuples would not say that.

    (1, Point(2, 3)) equals (1, (2, 3)), and a list that is part of a pattern may change between two receives.
    What can be hashed does neither.
    """
    if a is MISSING or a.__class__ is not b.__class__:
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, type):
        return a is b
    try:
        return bool(hash(a) == hash(b) and a == b)
    except Exception:
        return False


# mailboxes


class Mailbox(deque[Any]):
    """The deque of new messages, with the older ones that a selective receive has passed over in `saved`."""

    __slots__ = ("failed", "saved")

    def __init__(self, messages: Any = ()) -> None:
        super().__init__(messages)
        self.saved: deque[Any] = deque()
        self.failed: Any = MISSING

    def __bool__(self) -> bool:
        return bool(self.saved) or deque.__len__(self) > 0

    def total(self) -> int:
        """How many messages wait."""
        return len(self.saved) + deque.__len__(self)

    def popleft(self) -> Any:
        return self.saved.popleft() if self.saved else deque.popleft(self)

    def everything(self) -> list[Any]:
        """All messages, oldest first."""
        return list(chain(self.saved, deque.__iter__(self)))

    def take(self, pattern: Any, fits: Matcher) -> Any:
        """Remove and return the oldest message that fits; MISSING when none does."""
        saved = self.saved
        if saved and not _same(pattern, self.failed):
            for i, message in enumerate(saved):
                if fits(message):
                    del saved[i]
                    return self.taken(message)
        self.failed = pattern
        return self.take_new(fits)

    def take_new(self, fits: Matcher) -> Any:
        """The same among the messages not looked at yet; those passed over are saved."""
        pop, save = super().popleft, self.saved.append
        while deque.__len__(self):
            message = pop()
            if message.__class__ is Unread:
                return message  # the caller decodes it, puts it back and goes on
            try:
                if fits(message):
                    return self.taken(message)
            except BaseException:
                self.saved.append(message)  # a predicate that raises has not taken the message
                self.failed = MISSING
                raise
            save(message)
        return MISSING

    def discard(self, fits: Matcher) -> bool:
        """Remove the oldest message that fits, and leave all others as they are: a receive may be waiting for them."""
        for part in (self.saved, self):
            for i, message in enumerate(part):
                if fits(message):
                    del part[i]
                    self.taken(message)
                    return True
        return False

    def taken(self, message: Any) -> Any:
        """Every message that leaves passes here; a mailbox that keeps accounts overrides it."""
        return message


class LimitedMailbox(Mailbox):
    """A mailbox that tells `full` when it holds more than `most` messages or about `size` bytes."""

    __slots__ = ("full", "most", "size", "used")

    def __init__(self, most: int, size: int, full: Callable[[int], None]) -> None:
        super().__init__()
        self.most = most
        self.size = size
        self.full = full
        self.used = 0

    def append(self, message: Any) -> None:
        super().append(message)
        if self.size:
            self.used += weight(message)
        if self.total() > self.most or (self.size and self.used > self.size):
            self.full(self.total())

    def popleft(self) -> Any:
        return self.taken(super().popleft())

    def taken(self, message: Any) -> Any:
        if self.size:
            self.used = max(0, self.used - weight(message)) if self else 0
        return message


class ClosedMailbox(Mailbox):
    """The mailbox of a process that is exiting: it takes nothing and has nothing."""

    __slots__ = ()

    def append(self, message: Any) -> None:
        pass

    def appendleft(self, message: Any) -> None:
        pass


def weight(message: Any) -> int:
    """About how many bytes a local message holds: itself and one level of what it contains.

    An estimate, cheap on purpose; buffers count with their length.
    """
    size = getattr(message, "nbytes", None)
    if isinstance(size, int):
        return size + 64
    total = sys.getsizeof(message, 64)
    if isinstance(message, (tuple, list, set, frozenset, deque)):
        total += sum(_own_size(part) for part in message)
    elif isinstance(message, dict):
        total += sum(_own_size(k) + _own_size(v) for k, v in message.items())
    return total


def _own_size(part: Any) -> int:
    size = getattr(part, "nbytes", None)
    return size if isinstance(size, int) else sys.getsizeof(part, 64)


def messages(box: deque[Any] | None) -> list[Any]:
    """What waits in a mailbox, oldest first."""
    if box is None:
        return []
    return box.everything() if isinstance(box, Mailbox) else list(box)


def length(box: deque[Any] | None) -> int:
    """How many messages wait in a mailbox."""
    if box is None:
        return 0
    return box.total() if isinstance(box, Mailbox) else len(box)


# receive


@overload
def receive() -> Awaitable[Any]: ...
@overload
def receive(*, timeout: float | None, default: Any = ...) -> Awaitable[Any]: ...
@overload
def receive(pattern: type[T], *, timeout: float | None = None) -> Awaitable[T]: ...
@overload
def receive(pattern: type[T], *, timeout: float | None = None, default: Any) -> Awaitable[T | Any]: ...
@overload
def receive(pattern: Any, *, timeout: float | None = None, default: Any = ...) -> Awaitable[Any]: ...
@coroutine
def receive(pattern: Any = None, timeout: float | None = None, default: Any = MISSING) -> Generator[Any, Any, Any]:
    """Take the next message of the current process, or the oldest one that matches `pattern`.

    A pattern is a type, a predicate, or a tuple in which `...` stands for anything, a type for its instances and
    everything else for what equals it; a NamedTuple as a pattern matches only its own kind. Messages that do not
    match stay, in order. `timeout` is in seconds; 0 only looks. When it passes, `default` is returned where
    given, else ReceiveTimeout (a TimeoutError) is raised.

    Raises NotInProcess outside of a process's own code: a task may send on behalf of its process, not receive.

    >>> async def main():
    ...     bp.send(bp.self(), ("add", 2))
    ...     return await bp.receive(("add", int))
    >>> bp.run(main)
    ('add', 2)
    """
    # One generator, no keyword-only parameters: this is half of the cost of a message.
    if pattern is None and timeout is None:
        try:
            message = yield RECEIVE
        except RuntimeError as refused:
            # asyncio throws this into a task that yields something it does not know
            message = yield from _foreign(refused).next_message().__await__()
        if message.__class__ is Unread:
            return (yield from _read(message, current.get()))
        return message
    return (yield from _select(pattern, timeout, default))


@coroutine
def next_undecoded() -> Generator[Any, Any, Any]:
    """The next message of the current process, an Unread as it is: for who must not wait for anybody's code."""
    return (yield RECEIVE)


def _foreign(refused: RuntimeError) -> Any:
    """The guest process whose own task this is; an error for every other task."""
    process = current.get(None)
    if process is not None and process.owns_current_task():
        return process
    raise NotInProcess("receive", "this asyncio task") from refused


def _select(pattern: Any, timeout: float | None, default: Any) -> Generator[Any, Any, Any]:
    process = current.get(None)
    if process is None or not process.owns_current_task():
        raise NotInProcess("receive", "this asyncio task" if process else "code outside of a process")
    fits: Matcher = _anything if pattern is None else matcher(pattern)
    key = MISSING if pattern is None else _remembered(pattern)
    box = process.selective_mailbox()
    found = box.popleft() if pattern is None and box else box.take(key, fits)
    if found.__class__ is Unread:
        found = yield from _take_unread(process, found, fits)
    if found is not MISSING:
        return found
    alarm = None
    if timeout is not None:
        alarm = process.alarm(timeout)
    try:
        while alarm is None or not alarm.rang:
            yield from process.wait_for_more()
            # Exiting or a nested receive may have changed the box; what is new is always at its end.
            found = process.selective_mailbox().take_new(fits)
            if found.__class__ is Unread:
                found = yield from _take_unread(process, found, fits)
            if found is not MISSING:
                return found
    finally:
        if alarm is not None:
            alarm.cancel()
    if default is not MISSING:
        return default
    raise ReceiveTimeout(timeout or 0)


def _read(message: Unread, process: Any) -> Generator[Any, Any, Any]:
    """Decode a message that was just taken. A receive that is cancelled meanwhile has taken nothing."""
    try:
        return (yield from message.read())
    except DecodeError:
        raise  # it is gone from the mailbox, and said once
    except BaseException:
        process.selective_mailbox().appendleft(message)
        raise


def _take_unread(process: Any, message: Unread, fits: Matcher) -> Generator[Any, Any, Any]:
    """Decode `message`, which was the next to be looked at, and all that follow until one fits."""
    found: Any = message
    while found.__class__ is Unread:
        value = yield from _read(found, process)
        box = process.selective_mailbox()
        box.appendleft(value)
        found = box.take_new(fits)
    return found


def _anything(_: Any) -> bool:
    return True


class Messages:
    """What `mailbox()` gives: the messages of the process that iterates, one by one."""

    __slots__ = ()

    def __aiter__(self) -> Messages:
        return self

    def __anext__(self) -> Awaitable[Any]:
        return receive()


def mailbox() -> AsyncIterator[Any]:
    """The messages of the current process, as they come, forever.

    >>> async def worker():
    ...     async for message in bp.mailbox():
    ...         match message:
    ...             case "stop": break
    ...             case ("say", text): print(text)
    """
    return Messages()
