"""A cell of `%%on` on its way: finds what is meant, sends the cell there, and brings back what was asked for.

Rule: before anything runs, the target and all names of `-i` are there, else one line says what is not. Values go and
come as in any call: by value, functions and classes of cells with their code, references as references. What the cell
there prints and shows comes at once, through the screen of the cell here; what it raises comes as itself, with the
traceback of there. Who stops waiting cancels it. Nothing is displayed here, and nothing but `-o` gets into the
notebook.

Place: between on_magic.py, which puts `%%on` into a shell, and evaluator.py, which it calls by name on the node.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from beampy import api
from beampy.code import origin
from beampy.core import current
from beampy.core.group_leader import Channel, leader, screen_now
from beampy.core.ids import Pid, full_name
from beampy.core.unread import Unread
from beampy.errors import NotConnected, RemoteTraceback
from beampy.notebook import on
from beampy.notebook.evaluator import LARGE, Cell, Gave, Owner
from beampy.notebook.on_errors import explained
from beampy.otp.rpc import remote_call
from beampy.refs.sizes import estimate, shown_size

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from beampy.core.ids import Ref
    from beampy.handle import Handle

EVALUATE: Final = "beampy.notebook.evaluator:evaluate"
SINKS: Final = 20  # cells whose late output still finds them, each with 0.3 MB of its last lines at most
WOULD_DO: Final = "say the name of a node (b@localhost), a Pool, a pid or a RemoteRef"

_NODE: Final = re.compile(r"[\w.+-]+@[\w.:-]+")
_BARE: Final = re.compile(r"[\w-]+")


# what is meant


class Target(NamedTuple):
    """Where a cell runs: on the node of this name, or on a runner of the pool. `shown`: for messages."""

    node: str
    pool: Any
    shown: str


class NoTarget(Exception):
    """What was given is none."""


def target_of(text: str, names: dict[str, Any], connected: Sequence[str]) -> Target:
    """What the target of a cell means in a notebook with these names. NoTarget says what would do.

    The name of a node as it is; else an expression, whose value is a node's name, a pid, a pool or a reference; else a
    bare name of a node, one that is connected before one of this host.

    >>> target_of("b@localhost", {}, []).node, target_of("b", {}, ["b@10.0.0.2"]).node
    ('b@localhost', 'b@10.0.0.2')
    """
    if _NODE.fullmatch(text):
        return Target(text, None, text)
    if _BARE.fullmatch(text) and (text not in names or not text.isidentifier()):
        return _bare(text, connected)
    try:
        value = eval(compile(text, "<%%on>", "eval", dont_inherit=True), names)
    except Exception as error:
        raise NoTarget(f"{text!r} is no target: {type(error).__name__}: {error}; {WOULD_DO}") from None
    found = of_value(value, connected)
    if found is not None:
        return found
    if text in [node.partition("@")[0] for node in connected]:  # a variable of the same name that means nothing here
        return _bare(text, connected)
    raise NoTarget(f"{text!r} is {_a(type(value).__name__)} here, and no target; {WOULD_DO}")


def _bare(name: str, connected: Sequence[str]) -> Target:
    fits = [node for node in connected if node.partition("@")[0] == name]
    if len(fits) > 1:
        raise NoTarget(f"{name!r} may be {' or '.join(fits)}: say which")
    node = fits[0] if fits else full_name(name)
    return Target(node, None, node)


def of_value(value: Any, connected: Sequence[str]) -> Target | None:
    if isinstance(value, str):
        if _NODE.fullmatch(value):
            return Target(value, None, value)
        return _bare(value, connected) if _BARE.fullmatch(value) else None
    if isinstance(value, Pid):
        return Target(value.node, None, value.node)
    if _is(value, "beampy.pool.calls", "Calls"):
        return Target("", value, "a runner of the pool")
    if _is(value, "beampy.refs.ref", "RemoteRef"):
        return Target(value.node, None, value.node)
    return None


def _is(value: Any, module: str, name: str) -> bool:
    """Whether it is an object of a class whose module is loaded only where there are such objects."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1] in "aeiouAEIOU" else f"a {noun}"


# a run


class Run:
    """One cell that runs elsewhere. Await it on any loop, or take `result()` on any thread: its end, never a value."""

    def __init__(self, shell: Any, cell: on.OnCell, target: Target, handle: Handle[Gave]) -> None:
        self.target = target
        self._shell = shell
        self._cell = cell
        self._handle = handle

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            ended: Gave | Exception = yield from self._handle.__await__()
        except Exception as error:
            ended = error
        if isinstance(ended, Exception):
            self._raise(ended)
        self._take(ended)

    def result(self) -> None:
        """Wait for it. An interrupt cancels it."""
        try:
            ended: Gave | Exception = self._handle.result()
        except Exception as error:
            ended = error
        if isinstance(ended, Exception):
            self._raise(ended)
        self._take(ended)

    def _take(self, gave: Gave) -> None:
        self._shell.push(gave.values)
        if gave.missing:
            names, it = ", ".join(gave.missing), "it" if len(gave.missing) == 1 else "them"
            usage(f"%%on: -o {names}: the cell has run on {self.target.shown}, and has not set {it}")

    def _raise(self, error: Exception) -> NoReturn:
        """Raise what is to be shown, where no other exception is being handled: IPython would show that one, too."""
        bare = not isinstance(error.__cause__, RemoteTraceback) and isinstance(error, NotConnected)
        if bare and _BARE.fullmatch(self._cell.target) and self._cell.target not in self._shell.user_ns:
            usage(f"%%on: there is no {self._cell.target!r} here, and {error}; {WOULD_DO}")
        sent, names = self._cell.send, self._shell.user_ns
        fresh = self.target.pool is not None
        raise explained(error, self.target.shown, lambda name: name in names and name not in sent, fresh=fresh)


def begin(shell: Any, text: str) -> Run:
    """Start a cell where it is to run. UsageError, in one line, where it does not say what it should."""
    wrong = on.stacked(text)
    cell = on.parse(text)
    if cell is None or wrong or cell.error:
        usage(wrong or (cell.error if cell is not None and cell.error else on.USAGE))
    if not cell.body.strip():
        usage(f"%%on {cell.target}: there is no code below it; {on.USAGE}")
    names = shell.user_ns
    try:
        target = target_of(cell.target, names, connected_nodes())
    except NoTarget as none:
        usage(f"%%on: {none}")
    absent = [name for name in cell.send if name not in names]
    if absent:
        usage(f"%%on: -i {', '.join(absent)}: there is no variable of that name in this notebook")
    send = {name: names[name] for name in cell.send}
    _tell_large(send)
    me = current.here("%%on")
    owner = Owner(me.node.name, me.node.creation, origin.here().id if me.node.code is not None else "")
    asked = Cell(text, cell.body_line, shell.execution_count, send, cell.receive)
    if target.pool is not None:
        handle = target.pool.options(timeout=cell.timeout).call(EVALUATE, asked, owner, False)
        return Run(shell, cell, target, handle)
    sink = _Sink(target.node)

    async def there() -> Gave:
        if target.node != me.node.name:
            await api.connect(target.node)
        leader.set(Channel(api.self_process(), sink.address()))
        try:
            gave: Gave = await remote_call.options(timeout=cell.timeout)(target.node, EVALUATE, asked, owner, True)
            return gave
        finally:
            sink.end()

    return Run(shell, cell, target, api.submit(me, there, f"%%on {target.node}"))


def connected_nodes() -> list[str]:
    """The nodes that this one is connected with, hidden ones too; [] where there is no node yet. It starts none."""
    if not current.fallback():
        return []
    try:
        return sorted(api.nodes("all"))
    except Exception:  # the node ends at this moment
        return []


def usage(text: str) -> NoReturn:
    """UsageError, which IPython shows as one line."""
    from IPython.core.error import UsageError

    raise UsageError(text)


def _tell_large(send: dict[str, Any]) -> None:
    for name, value in send.items():
        if (size := estimate(value)) > LARGE:
            sys.stderr.write(
                f"%%on: {name} is {shown_size(size)}, and all of it goes along, each time; "
                f"{name} = await bp.put({name}, node=…) sends it once\n"
            )


class _Sink:
    """Takes what one cell prints, logs and shows on a node: labelled with its name, on the screen of this cell."""

    def __init__(self, node: str) -> None:
        from beampy.pool.output import PoolOutput  # as output of a pool is shown

        self._output = PoolOutput().of_call(0, node, None, screen_now())

    def address(self) -> Ref:
        """Where it is written to. On the node's own thread."""
        node = api.self_process().node
        ref = node.new_ref()
        ref._holder = self
        node.exported[ref.id] = ref
        _sinks.append((node, ref))
        if len(_sinks) > SINKS:
            old, gone = _sinks.popleft()
            gone._holder = None
            old.exported.pop(gone.id, None)
        return ref

    def take_message(self, ref: Ref, message: Any) -> None:
        """Something came. It never raises."""
        if message.__class__ is Unread:
            message = message.at_once() if message.plain else message.now()
        self._output.take(message)

    def end(self) -> None:
        """The cell has ended: a line without its end is one."""
        self._output.end()


_sinks: deque[tuple[Any, Ref]] = deque()
