"""The evaluator: runs cells of notebooks on this node. What on_run.py calls here, by its name.

Rule: a notebook has one namespace on a node, kept from cell to cell, until its node is gone; on a runner of a pool each
cell has a fresh one, since the next cell may come to another runner. A namespace is a module, made by hand, in
`sys.modules`: so what cells define there has a module, can travel, and shows its source in tracebacks. Code without
`await` at its top level runs in the thread that called; with it, it is a coroutine for the node's loop. Nothing of the
notebook is here but what was sent along, and the modules that a cell imports and this node has not; nothing goes back
but what was asked for.

Place: on any node. It imports the standard library and beampy; on_display.py says how values are shown.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import inspect
import io
import linecache
import logging
import re
import sys
import tokenize
from collections import OrderedDict
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from beampy import api
from beampy.code.space import spaces
from beampy.core.current import here
from beampy.core.group_leader import leader
from beampy.core.signals import NodeDown
from beampy.errors import CodeRefused
from beampy.notebook.on_display import display, route
from beampy.refs.sizes import estimate, shown_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

log = logging.getLogger("beampy.notebook")

SOURCES: Final = 500  # cells of one namespace whose lines are kept for tracebacks; some hundred KB
FRESH: Final = 16  # namespaces of single cells that are kept, so that values on their way home find their classes
NAMESPACES: Final = 100  # of notebooks, on one node; the one that was used longest ago goes first
LARGE: Final = 10_000_000  # bytes of a value that is told of before it travels: a second on a line of 100 Mbit/s

_AWAIT: Final = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_FUTURE: Final = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)


class Cell(NamedTuple):
    """What is to run: the text of a whole cell, the lines above its body, and its number in the notebook.

    send: names and values. receive: the names that are wanted back.
    """

    text: str
    above: int
    number: int
    send: dict[str, Any]
    receive: tuple[str, ...]


class Gave(NamedTuple):
    """What a cell gave: the values that were asked for, and the names of those that it has not made."""

    values: dict[str, Any]
    missing: tuple[str, ...]


class Owner(NamedTuple):
    """A notebook: the name of its node and its creation, and which origin of code its process is ("" for none)."""

    node: str
    creation: int
    origin: str = ""


class Namespace:
    """The names of one notebook on this node, as a module."""

    def __init__(self, owner: Owner, module: str) -> None:
        self.owner = owner
        self.module = ModuleType(module, f"Cells of {owner.node} that ran on this node.")
        self.names: dict[str, Any] = self.module.__dict__
        self.names |= {"__builtins__": builtins_for(owner), "display": display, "input": no_input}
        self.flags = 0  # what `from __future__ import …` of earlier cells said
        self._files: list[str] = []

    def enter(self) -> None:
        """From now on it is found by its name."""
        sys.modules[self.module.__name__] = self.module

    def file_of(self, cell: Cell) -> str:
        """The file name that the code of a cell has; its lines are there for tracebacks and `inspect.getsource`."""
        lines = [f"{line}\n" for line in cell.text.split("\n")]
        of = f"of {self.owner.node.partition('@')[0]} on {api.node()}>"
        name, run = f"<cell {cell.number} {of}", 1
        while name in linecache.cache and (name not in self._files or linecache.getlines(name) != lines):
            # Cells that are not in the history share a number.
            run += 1
            name = f"<cell {cell.number}, run {run}, {of}"
        if name not in linecache.cache:
            linecache.cache[name] = (len(cell.text), None, lines, name)  # no time of a file: it is never looked for
            self._files.append(name)
        while len(self._files) > SOURCES:
            linecache.cache.pop(self._files.pop(0), None)
        return name

    def end(self) -> None:
        """Nobody asks for it any more. What still runs keeps its names."""
        if sys.modules.get(self.module.__name__) is self.module:
            del sys.modules[self.module.__name__]
        for name in self._files:
            linecache.cache.pop(name, None)


def no_input(prompt: object = "") -> str:
    """In the place of `input`: nobody sits at this node."""
    raise RuntimeError("input() asks who sits at the notebook, and this code runs on another node: send it with `-i`")


def builtins_for(owner: Owner) -> dict[str, Any]:
    """The builtins of a notebook's cells: they import what this node has, and else what the notebook has.

    As functions of the notebook do that run here. In a thread: the first time it may wait for the notebook's node.
    """
    node = here("%%on").node
    code: Any = node.code
    if not owner.origin or owner.node == node.name or not hasattr(code, "link"):
        return builtins.__dict__
    code.link(owner.node, owner.origin)
    space = spaces().of(owner.origin, owner.node)
    mapped = space.builtins["__import__"]

    def __import__(
        name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] | None = (), level: int = 0
    ) -> ModuleType:
        with space.importing():
            module: ModuleType = mapped(name, globals, locals, fromlist, level)
            return module

    return {**space.builtins, "__import__": __import__}


# namespaces

_lock = Lock()  # over all of these
_kept: OrderedDict[str, Namespace] = OrderedDict()  # by the notebook's node, the latest used last
_fresh: OrderedDict[str, Namespace] = OrderedDict()
_made = 0


def namespace_of(owner: str) -> dict[str, Any] | None:
    """The names of the notebook whose node is `owner` here; None where it has run no cell on this node.

    >>> namespace_of("notebook-5fd0a1c2@localhost")
    """
    with _lock:
        space = _kept.get(owner)
        return None if space is None else space.names


def kept(owner: Owner) -> Namespace:
    """The namespace of a notebook, made at its first cell."""
    with _lock:
        space = _kept.get(owner.node)
        if space is not None and space.owner == owner:
            _kept.move_to_end(owner.node)
            return space
    made = Namespace(owner, module_name(owner.node))  # not under the lock: it may wait for the loop
    dropped: list[Namespace] = []
    with _lock:
        space = _kept.get(owner.node)
        if space is not None and space.owner == owner:
            return space  # of another cell, which began at the same time
        if space is not None:  # of a kernel that had the same name: the new one knows nothing of it
            dropped.append(_kept.pop(owner.node))
        _kept[owner.node] = made
        while len(_kept) > NAMESPACES:
            dropped.append(_kept.popitem(last=False)[1])
    for old in dropped:
        old.end()
    made.enter()
    if owner.node != api.node():
        api.spawn(watch, owner)
    return made


def fresh(owner: Owner) -> Namespace:
    """A namespace for one cell."""
    global _made
    dropped = None
    with _lock:
        _made += 1
        name = f"{module_name(owner.node)}_{_made}"
    space = Namespace(owner, name)
    space.enter()
    with _lock:
        _fresh[name] = space
        if len(_fresh) > FRESH:
            dropped = _fresh.popitem(last=False)[1]
    if dropped is not None:
        dropped.end()
    return space


def module_name(node: str) -> str:
    """The module that cells of a notebook are in on other nodes.

    >>> module_name("notebook-5fd0a1c2@localhost")
    'cells_of_notebook_5fd0a1c2'
    """
    name, _, host = node.partition("@")
    return "cells_of_" + re.sub(r"\W", "_", name if host == "localhost" else node)


async def watch(owner: Owner) -> None:
    """The life of a process here that ends a notebook's namespace when its node is gone."""
    leader.set(None)  # it is no part of the cell that it began with
    api.set_label(f"cells of {owner.node}")
    api.monitor_node(owner.node)
    await api.receive(NodeDown)
    forget(owner)


def forget(owner: Owner) -> None:
    """End the namespace of a notebook."""
    with _lock:
        space = _kept.get(owner.node)
        if space is None or space.owner != owner:
            return
        del _kept[owner.node]
    space.end()


# cells


def evaluate(cell: Cell, owner: Owner, keep: bool) -> Any:
    """Run a cell. What it gave; or, where it awaits at its top level, the coroutine that gives it.

    `keep`: in the notebook's namespace, and in a fresh one without. It blocks: for threads. Raises what the code does,
    and SyntaxError.
    """
    node = here("%%on").node
    if not getattr(node.code, "accept", True):
        raise CodeRefused(node.name, f"cells of {owner.node}")
    note(cell, owner)
    space = kept(owner) if keep else fresh(owner)
    space.names.update(cell.send)
    code = compiled(cell, space)
    run = _run_async if code.awaits else _run
    return run(space, cell, code)


def note(cell: Cell, owner: Owner) -> None:
    """A line in this node's own log: whose code runs here."""
    token = leader.set(None)  # not in the notebook's
    try:
        log.info("cell %d of %s runs here", cell.number, owner.node)
    finally:
        leader.reset(token)


class Code(NamedTuple):
    """A compiled cell: its statements, and the last of them if it is an expression. `quiet`: it is not to be shown."""

    statements: CodeType
    value: CodeType | None
    quiet: bool

    @property
    def awaits(self) -> bool:
        """Whether running it gives coroutines."""
        codes = (self.statements,) if self.value is None else (self.statements, self.value)
        return any(code.co_flags & inspect.CO_COROUTINE for code in codes)


def compiled(cell: Cell, space: Namespace) -> Code:
    """The code of a cell, whose line numbers are those of the cell."""
    file = space.file_of(cell)
    body = "\n".join(cell.text.split("\n")[cell.above :])
    refuse_magics(body, file, cell.above)
    source = "\n" * cell.above + body
    flags = space.flags | _AWAIT
    tree: Any = compile(source, file, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    statements = compile(tree, file, "exec", flags, dont_inherit=True)
    space.flags |= statements.co_flags & _FUTURE
    value = None
    if last is not None:
        value = compile(ast.Expression(last.value), file, "eval", space.flags | _AWAIT, dont_inherit=True)
    return Code(statements, value, last is not None and ends_quietly(body))


# A line that begins with one, a value that is one, and a question: `%time x`, `files = !ls`, `thing?`.
_MAGIC: Final = re.compile(
    r"(?:[^#{=]*=)?[ \t]*(%%?[A-Za-z_][\w.]*|![^\s=]\S*)|[ \t]*(\?{1,2}[\w.]+|[\w.]+\?{1,2})[ \t]*$"
)


def refuse_magics(body: str, file: str, above: int) -> None:
    """SyntaxError at the first line that is a magic of IPython, or has one as its value: these are the notebook's."""
    try:
        ast.parse(body)
        return
    except SyntaxError as error:
        wrong = error.lineno or 0
    lines = body.split("\n")
    if 0 < wrong <= len(lines) and (found := _MAGIC.match(lines[wrong - 1])):
        at = found.lastindex or 0
        raise SyntaxError(
            f"{found[at]} is IPython's: magics and lines of the shell do not work in a cell that runs on {api.node()}",
            (file, wrong + above, found.start(at) + 1, lines[wrong - 1], wrong + above, found.end(at) + 1),
        )


def ends_quietly(body: str) -> bool:
    """Whether the last thing in a cell is a semicolon, which says that its value is not to be shown.

    >>> ends_quietly("x;  # really"), ends_quietly("';'")
    (True, False)
    """
    if ";" not in body:
        return False
    last = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(body).readline):
            if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.DEDENT):
                last = token.string
    except (tokenize.TokenError, SyntaxError):
        return False
    return last == ";"


def _run(space: Namespace, cell: Cell, code: Code) -> Gave:
    route()
    eval(code.statements, space.names)
    if code.value is not None:
        _value(space, code, eval(code.value, space.names))
    return _gave(space, cell)


async def _run_async(space: Namespace, cell: Cell, code: Code) -> Gave:
    route()  # here: a coroutine has the context of the process that awaits it
    done = eval(code.statements, space.names)
    if code.statements.co_flags & inspect.CO_COROUTINE:
        await done
    if code.value is not None:
        value = eval(code.value, space.names)
        if code.value.co_flags & inspect.CO_COROUTINE:
            value = await value
        _value(space, code, value)
    return _gave(space, cell)


def _value(space: Namespace, code: Code, value: Any) -> None:
    if value is None:
        return
    space.names["_"] = value
    if not code.quiet:
        display(value)


def _gave(space: Namespace, cell: Cell) -> Gave:
    found = {name: space.names[name] for name in cell.receive if name in space.names}
    for name, value in found.items():
        if (size := estimate(value)) > LARGE:
            sys.stderr.write(
                f"{name} is {shown_size(size)}, and all of it goes to the notebook; "
                f"{name} = await bp.put({name}) keeps it here, and sends a reference\n"
            )
    return Gave(found, tuple(name for name in cell.receive if name not in found))
