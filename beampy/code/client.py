"""Client: an origin's `Source` over a connection that blocks, and the origin's answers to it.

Rule: an `import` statement may run on the thread of a node's event loop, where waiting for a message would wait for
itself; what it needs is asked here, on a socket of its own. Questions and answers are plain data, so neither side
unpickles anything. A long answer comes in parts. Whatever goes wrong is OriginLost, with the node's name and why.

Place: between space.py, which asks, and origin.py, which answers. It does not know what carries a request: it is given
a function that makes a `Line`.
"""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from beampy.code.entry import Module
from beampy.errors import BeampyError, OriginLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from beampy.code.entry import Source

TIMEOUT = (
    30.0  # seconds for all of one question: half of the tick time after which a node that stands still is given up
)
BATCH = 10_000  # names or digests in one request: with names of 100 characters that is the MiB that a request may have
PART = 8 * 1024 * 1024  # bytes of contents in one answer, or one item: 0.7 s of 100 Mbit/s
MAX_PARTS = 10_000  # answers to one question: 80 GB, so only an origin that never ends sends more
SHOWN = 3  # names that an error lists

_MODULE = Module("", "")  # what the fields of an entry are
_T = TypeVar("_T")


class Line(Protocol):
    """What can be asked, and blocks. It may connect at the first request, and again after a failure."""

    def request(self, op: str, args: list[Any], timeout: float) -> Any:
        """The answer, plain data. A BeampyError or OSError says why there is none within `timeout` seconds."""
        ...

    def close(self) -> None:
        """Close it, for good."""
        ...


class SocketSource:
    """The code of the origin on the node `node`: a `Source`, for any thread, the event loop's own included.

    `connect()` makes the line to it, once, at the first question; the line is kept. `timeout` is in seconds, for each
    question. Every method raises OriginLost when nobody answers in time, and when what comes is no answer.

    >>> source = SocketSource("nb@10.0.0.1", peers.blocking_to("nb@10.0.0.1", "code"))
    >>> [entry.name for entry in source.entries(["helpers"])]
    ['helpers', 'helpers_of_helpers']
    >>> source.close()
    """

    def __init__(self, node: str, connect: Callable[[], Line], *, timeout: float = TIMEOUT) -> None:
        self.node = node
        self.timeout = timeout
        self._connect = connect
        self._line: Line | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the line. A later question makes a new one."""
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            line.close()

    # Source

    def entries(self, names: Sequence[str]) -> list[Module]:
        """See `Source`. A module that comes with several of the names is there once."""
        what, end = _listed("module", names), self._end()
        found: dict[str, Module] = {}
        for batch in _batches(names):
            for entry in self._ask(what, end, "entries", [batch], _read_entries):
                found[entry.name] = entry
        return list(found.values())

    def contents(self, digests: Sequence[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
        """See `Source`. What the origin has no more is not in the answer."""
        what = f"the source of {len(digests)} modules" if len(digests) != 1 else "the source of a module"
        return self._in_parts(what, "contents", digests, [magic], _read_content)

    def resources(self, package: str) -> list[str]:
        """See `Source`."""
        return self._ask(f"the list of files of {package}", self._end(), "resources", [package], _read_texts)

    def resource(self, package: str, path: str) -> bytes:
        """See `Source`. FileNotFoundError."""
        what = f"the file {path} of {package}"
        found = self._ask(what, self._end(), "resource", [package, path], _read_bytes_or_none)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, f"{self.node} has no such file in its package {package}", path)
        return found

    def metadata(self, distribution: str) -> dict[str, str]:
        """See `Source`."""
        return self._ask(f"the metadata of {distribution}", self._end(), "metadata", [distribution], _read_metadata)

    def definitions(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """See `Source`. What the origin has no more is not in the answer."""
        what = f"{len(digests)} definitions" if len(digests) != 1 else "a definition"
        return self._in_parts(what, "definitions", digests, [], _read_bytes)

    # asking

    def _end(self) -> float:
        return time.monotonic() + self.timeout

    def _in_parts(
        self, what: str, op: str, digests: Sequence[bytes], args: list[Any], read: Callable[[Any], _T]
    ) -> dict[bytes, _T]:
        """The answer by digest, of as many questions as it takes; each has its own time, since much may come."""
        found: dict[bytes, _T] = {}
        for batch in _batches(list(dict.fromkeys(digests))):
            rest, closure = batch, True  # with all that the origin sends along, then exactly what is still missing
            for _ in range(MAX_PARTS):
                part, left = self._ask(
                    what, self._end(), op, [rest[:BATCH], closure, *args], lambda v: _read_part(v, read)
                )
                found.update(part)
                missing = dict.fromkeys([*left, *rest[BATCH:]])
                rest, closure = [digest for digest in missing if digest not in found], False
                if not rest:
                    break
                if left and not part:
                    self._fail(what, "it sends nothing of what it says that it has")
            else:
                self._fail(what, "it does not come to an end")
        return found

    def _ask(self, what: str, end: float, op: str, args: list[Any], read: Callable[[Any], _T]) -> _T:
        try:
            with self._lock:
                if self._line is None:
                    self._line = self._connect()
                line = self._line
            answer = line.request(op, args, max(0.0, end - time.monotonic()))
        except (BeampyError, OSError) as error:
            self._fail(what, str(getattr(error, "why", "")) or str(error) or repr(error), error)
        try:
            return read(answer)
        except (ValueError, TypeError) as error:
            self._fail(what, f"it answers what is no answer: {error}", error)

    def _fail(self, what: str, why: str, cause: BaseException | None = None) -> NoReturn:
        raise OriginLost(self.node, what, why) from cause


def _batches(items: Sequence[_T]) -> Iterator[list[_T]]:
    for at in range(0, len(items), BATCH):
        yield list(items[at : at + BATCH])


def _listed(kind: str, names: Sequence[str]) -> str:
    more = "" if len(names) <= SHOWN else f" and {len(names) - SHOWN} more"
    return f"{kind} {', '.join(names[:SHOWN])}{more}"


# --- what an answer holds -----------------------------------------------------------------------------


def _is(value: Any, kind: type[_T], what: str) -> _T:
    if type(value) is not kind:
        raise TypeError(f"{what} is no {type(value).__name__}")
    return value


def _read_entries(value: Any) -> list[Module]:
    return [_read_entry(one) for one in _is(value, list, "a list of entries")]


def _read_entry(value: Any) -> Module:
    """An entry has the fields of Module; of a later release it may have more."""
    fields = _is(value, list, "an entry")[: len(_MODULE)]
    for at, (field, expected) in enumerate(zip(fields, _MODULE, strict=False)):
        if type(expected) is tuple:
            fields[at] = tuple(_read_texts(field))
        else:
            _is(field, type(expected), f"the {Module._fields[at]} of an entry")
    return Module(*fields)


def _read_texts(value: Any) -> list[str]:
    return [_is(one, str, "a name") for one in _is(value, list, "a list of names")]


def _read_bytes(value: Any) -> bytes:
    return _is(value, bytes, "content")


def _read_bytes_or_none(value: Any) -> bytes | None:
    return None if value is None else _read_bytes(value)


def _read_content(value: Any) -> tuple[bytes, bytes | None]:
    source, code = _is(value, list, "the content of a module")[:2]
    return _read_bytes(source), _read_bytes_or_none(code)


def _read_metadata(value: Any) -> dict[str, str]:
    texts = _is(value, dict, "metadata")
    return {_is(name, str, "the name of a file"): _is(text, str, "the text of a file") for name, text in texts.items()}


def _read_part(value: Any, read: Callable[[Any], _T]) -> tuple[dict[bytes, _T], list[bytes]]:
    items, left = _is(value, list, "a part")[:2]
    found = {}
    for digest, item in _is(items, list, "a list of contents"):
        found[_is(digest, bytes, "a digest")] = read(item)
    return found, [_is(digest, bytes, "a digest") for digest in _is(left, list, "a list of digests")]


# --- the origin's side --------------------------------------------------------------------------------


def code_answers(source: Source, executor: Executor) -> Callable[[str, list[Any]], Awaitable[Any]]:
    """What answers the requests of every SocketSource, from `source`, in a thread of `executor`: never on the loop.

    >>> peers.purposes.register("code", code_answers(Origin(), executor))
    """

    async def answer(op: str, args: list[Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(executor, give, source, op, args)

    return answer


def give(source: Source, op: str, args: list[Any]) -> Any:
    """The answer to one request, as plain data. It takes a while. ValueError for a request that is none."""
    match op, args:
        case "entries", [list(names), *_]:
            return [list(entry) for entry in source.entries(_read_texts(names))]
        case "contents", [list(digests), bool(closure), bytes(magic), *_]:
            return _part(source.contents(digests, magic), digests, closure)
        case "definitions", [list(digests), bool(closure), *_]:
            return _part(source.definitions(digests), digests, closure)
        case "resources", [str(package), *_]:
            return list(source.resources(package))
        case "resource", [str(package), str(path), *_]:
            try:
                return source.resource(package, path)
            except FileNotFoundError:
                return None
        case "metadata", [str(distribution), *_]:
            return dict(source.metadata(distribution))
    raise ValueError(f"{op!r} is no question about code, or its arguments are none")


def _part(found: dict[bytes, Any], digests: list[bytes], closure: bool) -> list[Any]:
    """As much of `found` as one answer takes, and the digests of what is left; with `closure` also what was not asked.

    What was asked for comes first, and one item at least, so that asking on comes to an end.
    """
    wanted = [digest for digest in dict.fromkeys(digests) if digest in found]
    if closure:
        wanted = list(dict.fromkeys([*wanted, *found]))
    items: list[Any] = []
    size = 0
    for at, digest in enumerate(wanted):
        item = found[digest]
        size += _size(item)
        if items and size > PART:
            return [items, wanted[at:]]
        items.append([digest, item])
    return [items, []]


def _size(item: Any) -> int:
    return len(item) if isinstance(item, bytes) else sum(len(part) for part in item if part is not None)
