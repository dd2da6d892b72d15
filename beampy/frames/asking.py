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
from beampy.errors import BeampyError, EncodeError, FrameTooLarge
from beampy.frames import evaluate
from beampy.frames.due import Due
from beampy.frames.functions import packed
from beampy.frames.placing import Operand, place
from beampy.frames.tree import Object, Step, Tree, changed, shown, with_arguments
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
    from beampy.frames.tree import Call
    from beampy.refs.ref import RemoteRef

LAZY = Step("lazy", (), {})
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
    due = Due(node, f"{query.what} of a remote frame", _likely(query))
    return due.begin(lambda: _made(node, query, expected))


def value(node: LocalNode, query: Query, wrap: Callable[[LocalNode, Any], Any]) -> Handle[Any]:
    """What a query gives: the Handle of it. `wrap` makes handles of the frames that have stayed there."""

    async def work() -> Any:
        return wrap(node, await ask(node, query, ""))

    return handle(node, work, query.what)


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
    made = await _made(node, query, kind) if query.steps or isinstance(query.root, Scan) else await query.root.here()
    if made.kind == "LazyFrame":
        made = await _made(node, Query(Due.known(node, made), (Step("collect", (), {}),)), "DataFrame")
    ref = made.ref
    if ref.node != node.name:
        if limit is not None and ref.nbytes > limit:
            raise FrameTooLarge(ref.node, described(made), ref.nbytes, limit)
        if limit is None and ref.nbytes > WARN_AT:
            said = (
                f"{described(made)} comes from {ref.node}: {shown_size(ref.nbytes)}. collect(limit={ref.nbytes}) says "
                "that it may; to work on it there costs nothing"
            )
            warnings.warn(said, ResourceWarning, stacklevel=2)
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
    leaves = _Leaves(query)
    if not leaves.several:  # one frame, and its own methods: what most queries are
        ref = (await query.root.here()).ref  # type: ignore[union-attr]
        tree = Tree(0, query.steps)
        return await _asked(node, query, tree, [ref], ref.node, expected)
    await _all(leaves)
    target = await _placed(leaves)
    for scan, plan in leaves.plans.values():
        if scan.node != target:  # its files are there: what is about them alone is done there, too
            alone = leaves.alone(plan)
            due = begin(node, Query(scan, plan.steps[:alone]), "DataFrame")
            leaves.instead[id(plan)] = Query(due, (LAZY, *plan.steps[alone:]))
            leaves.dues.append(due)
    await _all(leaves)
    first = next((number for number, due in enumerate(leaves.dues) if due.there().ref.node == target), None)
    if first is not None:
        leaves.dues.insert(0, leaves.dues.pop(first))
    refs = [due.there().ref for due in leaves.dues]
    return await _asked(node, query, leaves.tree(query), refs, target, expected)


async def _asked(
    node: LocalNode, query: Query, tree: Tree, refs: list[RemoteRef[Any]], target: str, expected: str
) -> Any:
    """The answer of the target, which has the first of the objects if it has any."""
    try:
        root, steps = _packer()(tree).plain()
        if refs and refs[0].node == target:
            return await using.use(refs[0], query.what, evaluate.evaluate, (refs[1:], root, steps, expected), {})
        return await VerbCaller(query.what)(target, evaluate.evaluate_call, root, steps, refs, expected)
    except EncodeError as error:
        raise _cannot_travel(error, query.what, target) from error
    except BeampyError:
        raise  # it says itself what it is about
    except Exception as error:
        about = ", ".join(f"{ref.shown()}" for ref in refs) or target
        error.add_note(f"in {query.what} of {about}")
        raise


def _packer() -> Callable[[Any], Any]:
    """What makes an argument, or a tree, as it is sent: a tree that is there several times once, as one object."""
    done: dict[int, tuple[Tree, Tree]] = {}

    def pack(value: Any) -> Any:
        if value.__class__ is not Tree:
            return packed(value)
        if id(value) not in done:
            done[id(value)] = (value, with_arguments(value, pack))
        return done[id(value)][1]

    return pack


async def _made(node: LocalNode, query: Query, expected: str) -> Made:
    return evaluate.Made(*await ask(node, query, expected))


async def _all(leaves: _Leaves) -> None:
    """Until everything that the query is about is there. The first failure is its failure."""
    for due in leaves.dues:
        await due.here()


async def _placed(leaves: _Leaves) -> str:
    operands = [Operand(due.there().ref.node, due.there().ref.nbytes) for due in leaves.dues]
    scans = [scan for scan, _ in leaves.plans.values()]
    if len({scan.node for scan in scans}) > 1:
        sizes = await asyncio.gather(*(remote_call(scan.node, evaluate.sizes, [tuple(scan.call)]) for scan in scans))
        operands += [Operand(scan.node, size[0], scan=True) for scan, size in zip(scans, sizes, strict=True)]
    else:
        operands += [Operand(scan.node, 0, scan=True) for scan in scans]
    return place(operands)


def _likely(query: Query) -> str | None:
    """Where it will be, where that can be told before anything is there."""
    leaves = _Leaves(query)
    nodes = {due.where for due in leaves.dues} | {scan.node for scan, _ in leaves.plans.values()}
    return nodes.pop() if len(nodes) == 1 else None


class _Leaves:
    """What a query is about: frames that are there or are due, and plans over files."""

    def __init__(self, query: Query) -> None:
        self.dues: list[Due] = []
        self.plans: dict[int, tuple[Scan, Query]] = {}  # by the id of their query
        self.instead: dict[int, Query] = {}  # what plans of other nodes have given, and what is still to be done
        self._operands: dict[int, tuple[Remote, Query]] = {}  # by the id of the operand, which is so kept
        self._read_already: set[int] = set()  # ids of queries
        self._trees: dict[int, Tree] = {}  # of operands, by the id of their query: one that is there twice is one
        self._read(query)
        self.several = bool(self._operands or self.plans)

    def _read(self, query: Query) -> None:
        if id(query) in self._read_already:
            return
        self._read_already.add(id(query))
        if isinstance(query.root, Scan):
            self.plans[id(query)] = (query.root, query)
            changed(query.root.call.args, self._look)
            changed(query.root.call.kwargs, self._look)
        elif not any(due is query.root for due in self.dues):
            self.dues.append(query.root)
        for _, args, kwargs in query.steps:
            if args:
                changed(args, self._look)
            if kwargs:
                changed(kwargs, self._look)

    def _look(self, value: Any) -> Any:
        if isinstance(value, Remote) and id(value) not in self._operands:
            query = value._query
            self._operands[id(value)] = (value, query)
            self._read(query)
        return value

    def tree(self, query: Query) -> Tree:
        """The query as it is sent."""
        query = self.instead.get(id(query), query)
        root = query.root.call if isinstance(query.root, Scan) else self._number(query.root)
        return with_arguments(Tree(root, query.steps), self._written)

    def alone(self, query: Query) -> int:
        """How many steps of a query come before the first one that is about another frame."""
        known = {id(value) for value, _ in self._operands.values()}
        about: list[bool] = []

        def look(value: Any) -> Any:
            about.append(id(value) in known)
            return value

        for number, (_, args, kwargs) in enumerate(query.steps):
            changed(args or (), look)
            changed(kwargs, look)
            if any(about):
                return number
        return len(query.steps)

    def _written(self, value: Any) -> Any:
        if not isinstance(value, Remote):
            return value
        query = self._operands[id(value)][1]
        tree = self._trees.get(id(query))
        if tree is None:
            tree = self._trees[id(query)] = self.tree(query)
        return Object(tree.root) if isinstance(tree.root, int) and not tree.steps else tree

    def _number(self, due: Due) -> int:
        return next(number for number, each in enumerate(self.dues) if each is due)


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
