"""Remote frames in notebooks: IPython does not keep what was displayed, so that memory is free when its name is gone.

IPython keeps what a cell displays, in `Out`, `_oh`, `_N`, `_`, `__` and `___`, and what failed, in `sys.last_value`,
whose traceback has the variables of all functions that failed. A frame of gigabytes on some node would stay for ever;
so would an object that a RemoteRef is of, for which all of this holds, too.

Rule: `_` is the frame that was displayed last, until the next cell has run. Everything else of these is what stands for
the frame: it can be used like it as long as the frame lives, for which it needs a name, and says what it was after
that. A list, tuple or dict with frames in it is treated so, too: in `Out` is a copy of it. So is a method of a frame.
When a cell has failed its variables can be looked at in the next one (`%debug`); then functions in the traceback that
had frames lose theirs, and the failure itself has what stands for them.

What is displayed while it is still being made becomes the preview in its place, as Handles do.

Place: over cells.py, handles.py and IPython's own names for these things. Frames are known by the module of their
class, so that polars is not imported for it.
"""

from __future__ import annotations

import gc
import logging
import sys
import time
import weakref
from operator import getitem
from types import CellType, FrameType, MethodType
from typing import TYPE_CHECKING, Any

from beampy.errors import FrameGone
from beampy.notebook.cells import Cell, current_cell
from beampy.notebook.handles import Running, _forget, failed, in_cells, lasted, plain
from beampy.notebook.publishing import publisher_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from beampy.notebook.handles import Bundle

log = logging.getLogger("beampy.notebook")

HOMES = frozenset(  # of the classes that are handles of frames, or have one
    f"beampy.{name}"
    for name in (
        *("frames.dataframe", "frames.series", "frames.lazyframe", "frames.grouped", "frames.paging"),
        *("frames.partitioned", "frames.partitioned_groups", "refs.ref"),
    )
)
UNDERS = ("_", "__", "___")
INSIDE = 100  # things in a list, tuple or dict that are looked at: no one displays more frames at once
DEEP = 3  # lists in lists that are looked into
LONG = 1000  # frames of a traceback, and exceptions of a chain, that are looked at: Python's own limit of recursion
LATER = 1000  # Handles that are waited for: `Out` has no more
SOON = 0.5  # seconds that a frame has to be made before its place says that it is being made
TABLE = ("beampy.frames.paging", "Table")
TYPES = (("beampy.frames.dataframe", "RemoteDataFrame"), ("beampy.frames.series", "RemoteSeries"))


def is_frame(value: Any) -> bool:
    """Whether it is a handle of a frame or of an object on some node, or has one."""
    kind = type(value)
    return kind.__module__ in HOMES or (kind is MethodType and type(value.__self__).__module__ in HOMES)


def holds_frames(value: Any, deep: int = 0) -> bool:
    """Whether it is one, or a list, tuple or dict with some in it, or the Handle of such a one."""
    if is_frame(value):
        return True
    if is_handle(value):
        return (
            value.done()
            and not value.cancelled()
            and not _error(value)
            and deep < DEEP
            and holds_frames(value.result(0), deep + 1)
        )
    return deep < DEEP and any(holds_frames(each, deep + 1) for each in _inside(value))


def is_handle(value: Any) -> bool:
    """Whether it is a Handle of beampy's that any thread may ask."""
    return type(value).__name__ == "ThreadHandle" and type(value).__module__ == "beampy.handle"


def _error(handle: Any) -> bool:
    return handle._future.exception(0) is not None  # which is not to have looked at it


def _inside(value: Any) -> list[Any]:
    kind = type(value)
    if kind is list or kind is tuple:
        return list(value[:INSIDE])
    if kind is dict:
        return list(value.values()) if len(value) <= INSIDE else []
    return []


# what stands for a frame


class Shown:
    """What stands in the place of a frame that was displayed: the frame as long as it lives, and then what it was."""

    __slots__ = ("__weakref__", "_beampy_ref", "_beampy_what")

    def __init__(self, value: Any) -> None:
        object.__setattr__(self, "_beampy_ref", _weakly(value))
        object.__setattr__(self, "_beampy_what", named(value))

    def __getattr__(self, name: str) -> Any:
        live = self._beampy_ref()
        if live is None:
            if name.startswith("_"):
                raise AttributeError(name)  # which Python and IPython ask for
            raise FrameGone(self._beampy_what)
        return getattr(live, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_living(self), name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]  -- nobody sets it
        """That of the frame, so that it is taken for one as an argument."""
        live = self._beampy_ref()
        return Shown if live is None else type(live)

    def __dir__(self) -> list[str]:
        live = self._beampy_ref()
        return [] if live is None else dir(live)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return getitem, ((_living(self),), 0)  # itself, as it travels

    def __repr__(self) -> str:
        live = self._beampy_ref()
        return f"<{self._beampy_what}: displayed here, and freed since>" if live is None else repr(live)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        live = self._beampy_ref()
        bundle = None if live is None else getattr(live, "_repr_mimebundle_", None)
        return {"text/plain": repr(self)} if bundle is None else bundle(include, exclude)

    def _ipython_display_(self) -> None:
        live = self._beampy_ref()
        if live is None or not hasattr(live, "close"):
            raise NotImplementedError  # it is shown as it says
        from IPython.display import display

        display(live)  # type: ignore[no-untyped-call]


def _weakly(value: Any) -> Callable[[], Any]:
    method = type(value) is MethodType
    if not getattr(type(value.__self__ if method else value), "__weakrefoffset__", 0):
        return _gone
    return weakref.WeakMethod(value) if method else weakref.ref(value)


def _gone() -> None:
    """Of groups and namespaces: they are made in a moment, and nobody keeps them."""


def _living(shown: Shown) -> Any:
    live = shown._beampy_ref()
    if live is None:
        raise FrameGone(shown._beampy_what)
    return live


def _passed_on(name: str) -> Callable[..., Any]:
    def method(self: Shown, *args: Any) -> Any:
        return getattr(_living(self), name)(*args)

    method.__name__ = name
    return method


# The syntax that frames have a meaning for, or refuse with what to do instead.
_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "matmul")
SYNTAX = (
    *("getitem", "setitem", "len", "iter", "contains", "bool", "await", "enter", "exit", "call"),
    *("eq", "ne", "lt", "le", "gt", "ge", "abs", "neg", "pos", "invert"),
    *(side + name for name in _BINARY for side in ("", "r")),
)
for _name in SYNTAX:
    setattr(Shown, f"__{_name}__", _passed_on(f"__{_name}__"))
Shown.__hash__ = object.__hash__  # type: ignore[method-assign]


def named(value: Any) -> str:
    """What a frame is, in a few words, without waiting for anything."""
    kind = type(value).__name__
    if kind == "method":
        return f"{value.__name__} of {named(value.__self__)}"
    if kind == "RemoteRef":
        return f"RemoteRef {value.shown()}"
    due = getattr(value, "_held", None)
    if due is None or not getattr(due, "ready", False):
        return kind
    from beampy.frames.preview import headline

    made = due.there()
    return headline(kind, made.shape, made.ref.nbytes, made.ref.node)


def weak(value: Any) -> Any:
    """What stands for a frame or a Handle, or a list, tuple or dict with what stands for those in it."""
    if is_frame(value) or is_handle(value):
        return Shown(value)
    if not holds_frames(value):
        return value
    if type(value) is dict:
        return {key: weak(each) for key, each in value.items()}
    return type(value)(map(weak, value))


# in a shell


class Unpinning:
    """What is looked at after each cell of a shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self._from = 0  # of the numbers in `Out`: those before were looked at
        self._later: set[int] = set()  # and these are to be looked at again: Handles of what is not there yet
        self._failed: BaseException | None = None  # what the cell before failed with

    def after_cell(self, result: Any = None) -> None:
        """A cell has run: what it displayed is in `result`."""
        try:
            self.look(getattr(result, "result", None))
            self.forget_failure(getattr(result, "error_in_exec", None))
        except Exception:
            log.exception("what was displayed could not be looked through for remote frames")

    def look(self, displayed: Any) -> None:
        """Put what stands for them in the place of frames, but for `displayed` in `_`."""
        space, hidden, hook = self.shell.user_ns, self.shell.user_ns_hidden, self.shell.displayhook
        out = space.get("_oh")
        if isinstance(out, dict):
            self._look_through(out, space, hidden)
        for name in UNDERS:
            theirs = [place for place in (hidden.get(name), getattr(hook, name, None)) if place is not None]
            for value in theirs:
                if not holds_frames(value) or (name == "_" and value is displayed):
                    continue
                instead = weak(value)
                if space.get(name) is value:  # else it is a name of the user's
                    space[name] = instead
                if hidden.get(name) is value:
                    hidden[name] = instead
                if getattr(hook, name, None) is value:
                    setattr(hook, name, instead)

    def _look_through(self, out: dict[Any, Any], space: dict[str, Any], hidden: dict[str, Any]) -> None:
        numbers = [number for number in out if isinstance(number, int)]
        last = max(numbers, default=0)
        if last < self._from:  # after %reset
            self._from = 0
        for number in numbers:
            if number < self._from and number not in self._later:
                continue
            value = out[number]
            if is_handle(value) and not value.done():
                if len(self._later) < LATER:
                    self._later.add(number)
                continue
            self._later.discard(number)
            if not holds_frames(value):
                continue
            out[number] = instead = weak(value)
            for names in (space, hidden):
                if names.get(f"_{number}") is value:
                    names[f"_{number}"] = instead
        self._later &= set(numbers)
        self._from = last  # once more: a cell that is run within another has the same number

    def forget_failure(self, error: BaseException | None) -> None:
        """The failure of the cell before is not looked at any more."""
        before, self._failed = self._failed, error
        if before is not None and before is not error:
            for each in chain_of(before):
                weaken(each)
            for frame in frames_of(before):
                if has_handles(frame):
                    try:
                        frame.clear()
                        frame.f_locals  # noqa: B018 - until CPython 3.12 a dict that keeps what it had until it is read
                    except RuntimeError:  # it still runs
                        continue


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those that led to it."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    left = LONG
    while waiting and left:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        left -= 1
        led = (one.__cause__, one.__context__, *getattr(one, "exceptions", ()))
        waiting += [each for each in led if each is not None]
        yield one


def weaken(error: BaseException) -> None:
    """What an exception itself has of frames: Python gives an AttributeError the object that lacks the attribute."""
    if holds_frames(error.args):
        error.args = weak(error.args)
    if isinstance(error, AttributeError) and holds_frames(error.obj):
        error.obj = weak(error.obj)


def frames_of(error: BaseException) -> Iterator[FrameType]:
    """The frames of the tracebacks of an exception, and of those that led to it."""
    for one in chain_of(error):
        tb, steps = one.__traceback__, 0
        while tb is not None and steps < LONG:
            yield tb.tb_frame
            tb, steps = tb.tb_next, steps + 1


def has_handles(frame: FrameType) -> bool:
    """Whether a function that has ended has frames among its variables. Those of beampy's own are taken to have some.

    The variables are not asked for by name: Python would keep what it is asked for so.
    """
    if frame.f_code.co_name == "<module>":  # its variables are those of the notebook
        return False
    if str(frame.f_globals.get("__name__", "")).startswith("beampy."):
        return True
    for value in gc.get_referents(frame):
        if isinstance(value, CellType):
            try:
                value = value.cell_contents
            except ValueError:
                continue
        if holds_frames(value):
            return True
    return False


class Making(Running):
    """A frame in a cell that is still being made, and then its preview: a Shown of drawing.py."""

    def __init__(self, frame: Any, shell: Any, cell: Cell) -> None:
        super().__init__(frame._due, shell, cell)
        self._frame = frame

    def _running(self) -> str:
        seconds = time.monotonic() - self._begun
        where = getattr(self._handle, "where", None)
        return f"being made… {self._what()}{f' on {where}' if where else ''} · {lasted(seconds)}"

    def _what(self) -> str:
        return in_cells(str(getattr(self._handle, "_what", "")).removesuffix(" of a remote frame"))

    def _outcome(self) -> Bundle:
        frame, handle = self._frame, self._handle
        self._frame = None
        assert handle is not None
        error = handle.exception(0)
        if error is None:
            return self._formatted(frame)
        if type(error).__name__ == "CancelledError":
            return plain(f"cancelled: {self._what()}")
        return failed(error, self._what())


def install(shell: Any) -> Callable[[], object]:
    """Treat frames so in a shell. The answer undoes it."""
    unpinning = Unpinning(shell)
    shell.events.register("post_run_cell", unpinning.after_cell)
    publisher = publisher_of(shell)
    formatter = shell.display_formatter.ipython_display_formatter

    def show(frame: Any) -> None:
        due = frame._held
        if due is None or due.done() or _made_soon(due):
            raise NotImplementedError  # it is shown as it says
        cell = current_cell() or Cell(publisher, publisher.parent(), 0)
        Making(frame, shell, cell).begin()

    def show_table(table: Any) -> None:
        from beampy.notebook.table import show

        show(table, shell)

    def begin(*_: object) -> None:
        tables = sys.modules.get("beampy.notebook.table")
        if tables is not None:
            tables.run_again(publisher.parent())

    if publisher.live:
        for module, name in TYPES:
            formatter.for_type_by_name(module, name, show)
        formatter.for_type_by_name(*TABLE, show_table)
        shell.events.register("pre_run_cell", begin)

    def undo() -> None:
        shell.events.unregister("post_run_cell", unpinning.after_cell)
        if publisher.live:
            shell.events.unregister("pre_run_cell", begin)
        for module, name in (*TYPES, TABLE):
            _forget(formatter, module, name)
        tables = sys.modules.get("beampy.notebook.table")
        if tables is not None:
            tables.close_all()

    return undo


def _made_soon(due: Any) -> bool:
    import concurrent.futures

    done, _ = concurrent.futures.wait((due._future,), SOON)
    return bool(done)
