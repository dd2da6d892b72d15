"""Asking: how a query about remote frames gets to the node that answers it.

Rule: everything a query is about is waited for first. It runs where most of its bytes are (placing.py), in one message;
operands that are elsewhere go there directly, from node to node, and plans over the files of another node are carried
out on that node before. Errors name the frame and its node.

Place: under the classes of remote frames, over refs/ (using.py) and due.py. What runs there is evaluate.py's.
"""

from __future__ import annotations

import asyncio
import re
import warnings
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy import api
from beampy.core.current import current
from beampy.errors import BeampyError, EncodeError, FrameTooLarge, RemoteError
from beampy.frames import evaluate
from beampy.frames.due import Due, tell
from beampy.frames.functions import packed
from beampy.frames.placing import Operand, place
from beampy.frames.tree import Call, Object, Step, changed, inside, sent, shown
from beampy.handle import Handle, Pending
from beampy.otp.rpc import remote_call
from beampy.refs import using
from beampy.refs.sizes import shown_size
from beampy.refs.verbs import VerbCaller

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.node import LocalNode
    from beampy.core.process import Process
    from beampy.frames.evaluate import Made
    from beampy.refs.ref import RemoteRef

LAZY = Step("lazy", (), {})
NAMED = 3  # frames that a note on an error names: that is one line
WARN_AT = 1_000_000_000  # bytes that are brought without a word: more takes seconds, and may be by mistake


class Scan(NamedTuple):
    """A function of polars that is called on a node, as it is about things there: files."""

    node: str
    call: Call


class Query(NamedTuple):
    """Where to begin, and the steps from there. Frames in arguments have a `_query` of their own."""

    root: Due | Scan
    steps: tuple[Step, ...] = ()

    @property
    def what(self) -> str:
        """What is asked for, for people."""
        return shown(self.steps, self.root.call if isinstance(self.root, Scan) else None)


class Remote:
    """Anything that a query can be about: it knows its node here, and how it is made."""

    __slots__ = ()

    @property
    def _query(self) -> Query:
        raise NotImplementedError


# the verbs


def begin(node: LocalNode, query: Query, expected: str) -> Due:
    """Have a frame made, of the kind that is expected. It has begun when this returns."""
    about = _About(query)
    due = Due(node, f"{query.what} of a remote frame", about.likely())
    return due.begin(lambda: _made(node, about, expected))


def value(node: LocalNode, query: Query, wrap: Callable[[LocalNode, Any], Any]) -> Handle[Any]:
    """What a query gives: the Handle of it. `wrap` makes handles of the frames that have stayed there."""
    return handle(node, lambda: _valued(node, query, wrap), query.what)


async def _valued(node: LocalNode, query: Query, wrap: Callable[[LocalNode, Any], Any]) -> Any:
    try:
        return wrap(node, await ask(node, query, ""))
    except BaseException as error:
        tell(error)
        raise
    finally:
        del query  # a failure has this frame in its traceback: it is not to keep what the query was about


def handle(node: LocalNode, work: Callable[[], Any], what: str) -> Handle[Any]:
    """The Handle of some work on this node's loop."""
    me = speaker(node)
    if node.thread == get_ident():
        return Pending(work())
    return api.submit(me, work, f"{what} of a remote frame")


def speaker(node: LocalNode) -> Process:
    """Who asks: the current process where that is one of this node, else the node itself."""
    return using.voice(node)


async def collected(node: LocalNode, query: Query, limit: int | None, kind: str) -> Any:
    """The frame itself, here. FrameTooLarge; a warning where nobody has said a limit and it is large."""
    try:
        return await _brought(node, query, limit, kind)
    except BaseException as error:
        tell(error)
        raise
    finally:
        del query  # as in `_valued`


async def _brought(node: LocalNode, query: Query, limit: int | None, kind: str) -> Any:
    if query.steps or isinstance(query.root, Scan):
        made = await _made(node, _About(query), kind)
    else:
        made = await query.root.here()
    if made.kind == "LazyFrame":
        made = await _made(node, _About(Query(Due.known(node, made), (Step("collect", (), {}),))), "DataFrame")
    ref = made.ref
    if ref.node != node.name:
        if limit is not None and ref.nbytes > limit:
            raise FrameTooLarge(ref.node, described(made), ref.nbytes, limit)
        if limit is None and ref.nbytes > WARN_AT:
            said = (
                f"{described(made)} comes from {ref.node}: {shown_size(ref.nbytes)}. collect(limit={ref.nbytes}) says "
                "that it may; to work on it there costs nothing"
            )
            warnings.warn(said, ResourceWarning, stacklevel=3)
    found = await ref.get()
    # Frames that others have handles of are never changed: what is in place is of a copy, which shares the memory.
    return found.clone() if ref.node == node.name else found


def described(made: Made) -> str:
    """A frame in one phrase, without its node.

    >>> described(made)
    'the DataFrame of 336776 × 19'
    """
    if made.shape is None:
        return f"the {made.kind}"
    if len(made.shape) == 1:
        return f"the {made.kind} of {made.shape[0]}"
    return f"the {made.kind} of {made.shape[0]} × {made.shape[1]}"


# how


async def ask(node: LocalNode, query: Query, expected: str) -> Any:
    """What a query gives, as evaluate.py sends it."""
    return await _answered(node, _About(query), expected)


async def _made(node: LocalNode, about: _About, expected: str) -> Made:
    return evaluate.Made(*await _answered(node, about, expected))


async def _answered(node: LocalNode, about: _About, expected: str) -> Any:
    query = about.query
    if not about.several:  # one frame, and its own methods: what most queries are
        ref = (await about.dues[0].here()).ref
        return await _asked(node, query, about, [ref], ref.node, expected)
    await _all(about)
    target = await _placed(about)
    if any(scan.node != target for scan in about.scans):
        about = _About(query, lambda plan: _elsewhere(node, plan, target))
        await _all(about)
    dues = about.dues
    first = next((number for number, due in enumerate(dues) if due.there().ref.node == target), None)
    if first is not None:
        dues.insert(0, dues.pop(first))
    return await _asked(node, query, about, [due.there().ref for due in dues], target, expected)


def _elsewhere(node: LocalNode, plan: Query, target: str) -> Query:
    """A plan as the target gets it: where it is over files of another node, what is about them alone is done there."""
    scan = plan.root
    if not isinstance(scan, Scan) or scan.node == target:
        return plan
    steps = plan.steps
    alone = next((number for number, step in enumerate(steps) if inside(step[1:], Remote, [])), len(steps))
    return Query(begin(node, Query(scan, steps[:alone]), "DataFrame"), (LAZY, *steps[alone:]))


async def _asked(
    node: LocalNode, query: Query, about: _About, refs: list[RemoteRef[Any]], target: str, expected: str
) -> Any:
    """The answer of the target, which has the first of the objects if it has any."""
    try:
        *before, (root, steps) = about.trees()
        if refs and refs[0].node == target:
            args = (refs[1:], root, steps, expected, before)
            return await using.use(refs[0], query.what, evaluate.evaluate, args, {})
        return await VerbCaller(query.what)(target, evaluate.evaluate_call, root, steps, refs, expected, before)
    except EncodeError as error:
        raise _cannot_travel(error, query.what, target) from error
    except Exception as error:
        if isinstance(error, BeampyError) and not isinstance(error, RemoteError):
            raise  # it says itself what it is about
        names = ", ".join(ref.shown() for ref in refs[:NAMED]) or target
        more = f" and {len(refs) - NAMED} more" if len(refs) > NAMED else ""
        error.add_note(f"in {query.what} of {names}{more}")
        raise


async def _all(about: _About) -> None:
    """Until everything that the query is about is there. The first failure is its failure."""
    for due in about.dues:
        await due.here()


async def _placed(about: _About) -> str:
    if about.pinned is not None:
        return about.pinned
    operands = [Operand(due.there().ref.node, due.there().ref.nbytes) for due in about.dues]
    scans = about.scans
    if len({scan.node for scan in scans}) > 1:
        sizes = await asyncio.gather(*map(_size, scans))
        operands += [Operand(scan.node, size, scan=True) for scan, size in zip(scans, sizes, strict=True)]
    else:
        operands += [Operand(scan.node, 0, scan=True) for scan in scans]
    return place(operands)


async def _size(scan: Scan) -> int:
    """The bytes of its files; 0 for a function of other frames, which are counted themselves."""
    if inside(scan.call[1:], Remote, []):
        return 0
    (size,) = await remote_call(scan.node, evaluate.sizes, [tuple(scan.call)])
    return size


class _About:
    """What a query is about: frames that are there or are due, plans over files, and queries among its arguments, which
    `instead` may have others for. It is gone through without recursion: plans of long loops are deep.
    """

    def __init__(self, query: Query, instead: Callable[[Query], Query] | None = None) -> None:
        self.query = query
        self.dues: list[Due] = []
        self._known: set[int] = set()  # ids of these
        self.scans: list[Scan] = []
        self.several = False  # more than one frame with methods of its own
        self.pinned: str | None = None  # the node that was said for it: of a function of other frames, `concat`
        self._instead = instead
        self._operands: dict[int, tuple[Remote, Query]] = {}  # by the id of the operand, which is so kept
        self._inner: list[tuple[int, Query]] = []  # those of operands, by id, each after those that it has as operands
        self._go_through()

    def _go_through(self) -> None:
        query, operands = self._entered(self.query)
        if operands and isinstance(query.root, Scan) and not any(inside(step[1:], Remote, []) for step in query.steps):
            self.pinned = query.root.node
        if not operands:
            self._inner.append((id(self.query), query))
            return
        seen = {id(self.query)}
        path = [(id(self.query), query, iter(operands))]
        while path:
            number, query, left = path[-1]
            for each in left:
                if id(each) not in seen:
                    seen.add(id(each))
                    query, operands = self._entered(each)
                    path.append((id(each), query, iter(operands)))
                    break
            else:
                path.pop()
                self._inner.append((number, query))

    def _entered(self, query: Query) -> tuple[Query, list[Query]]:
        """A query as it is asked, and those of its operands."""
        if self._instead is not None:
            query = self._instead(query)
        found: list[Remote] = []
        root = query.root
        if isinstance(root, Scan):
            self.several = True
            self.scans.append(root)
            inside(root.call[1:], Remote, found)
        elif id(root) not in self._known:
            self._known.add(id(root))
            self.dues.append(root)
        for _, args, kwargs in query.steps:
            if args:
                inside(args, Remote, found)
            if kwargs:
                inside(kwargs, Remote, found)
        if not found:
            return query, []
        self.several = True
        return query, [self._operands.setdefault(id(each), (each, each._query))[1] for each in found]

    def likely(self) -> str | None:
        """Where the query will be carried out, where that can be told before anything is there."""
        if self.pinned is not None:
            return self.pinned
        nodes = {due.where for due in self.dues} | {scan.node for scan in self.scans}
        return nodes.pop() if len(nodes) == 1 else None

    def trees(self, packed: Callable[[Any], Any] = packed) -> list[tuple[Any, Any]]:
        """The query as it is sent, after the queries among its arguments. EncodeError for what cannot travel."""
        if not self.several:
            return [sent(0, self.query.steps, packed)]
        numbers = {id(due): number for number, due in enumerate(self.dues)}
        objects: dict[int, Object] = {}  # what stands for a query, by its id
        trees: list[tuple[Any, Any]] = []

        def written(value: Any) -> Any:
            return objects[id(self._operands[id(value)][1])] if isinstance(value, Remote) else packed(value)

        for number, query in self._inner:
            root = query.root.call if isinstance(query.root, Scan) else numbers[id(query.root)]
            if isinstance(root, int) and not query.steps and number != id(self.query):
                objects[number] = Object(root)  # a frame itself
                continue
            objects[number] = Object(len(numbers) + len(trees))
            trees.append(sent(root, query.steps, written))
        return trees


def parted(query: Query) -> tuple[list[Made], list[str], list[tuple[Any, Any]]]:
    """A query as plain data: its frames, the nodes of its scans, and its trees. FrameDue where one is being made."""
    about = _About(query)
    ordered = [each.root for _, each in about._inner]
    nodes = [root.node for root in ordered if isinstance(root, Scan)]
    return [due.there() for due in about.dues], nodes, about.trees(lambda value: value)


def joined(frames: list[Due], nodes: list[str], trees: list[tuple[Any, Any]], operand: Callable[[Query], Any]) -> Query:
    """The query again. `operand` makes an argument of one."""
    queries = list(map(Query, frames))
    left = iter(nodes)

    def argument(value: Any) -> Any:
        return operand(queries[value.number]) if value.__class__ is Object else value

    for root, steps in trees:
        begin = frames[root] if isinstance(root, int) else Scan(next(left), Call(root[0], *changed(root[1:], argument)))
        queries.append(Query(begin, tuple(Step(name, *changed(rest, argument)) for name, *rest in steps)))
    return queries[-1]


CAUSE = re.compile(r"python: (?:\w+Error: )?(.*?)(?:\\?\"|$)")  # what polars says of a function that cannot be pickled


def _cannot_travel(error: EncodeError, what: str, node: str) -> EncodeError:
    """The error of arguments that cannot be sent, said of the query."""
    cause = str(error.cause)
    found = CAUSE.search(cause)
    if found is None:
        again = EncodeError(f"the arguments of {what} for {node}", cause)
    else:
        again = EncodeError(
            f"the expression in {what} for {node}",
            f"its function uses what cannot be pickled: {found[1]}. Make that inside the function, or take the "
            "function to the data as a whole: bp.frames.on(node).frame(fn), ref.apply",
        )
    again.__notes__ = getattr(error, "__notes__", [])
    return again


def local_node(verb: str) -> LocalNode:
    """The node that asks. NotInNode."""
    from beampy.core.current import here

    me = current.get(None)
    found: LocalNode = (here(f"frames.{verb}") if me is None else me).node
    return found
