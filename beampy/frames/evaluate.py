"""What runs on the node that has the data: each function here is called from others, by asking.py.

Rule: the work is polars', in a thread. What comes out and is a frame, a series or a plan stays here, and a reference to
it with its shape is sent; so it is for those in a list, a tuple or a dict. All else is sent itself. Operands of other
nodes come from there directly. A shared frame is never changed: who changes one in place has a copy.

Place: over refs/, whose `held` it takes: a list with the one reference, which so stays a reference.
"""

from __future__ import annotations

import asyncio
import glob
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from beampy.core.current import current
from beampy.core.signals import Crash
from beampy.core.standin import has_standins, resolved
from beampy.errors import NotAFrame, RemoteError
from beampy.frames.functions import unpacked
from beampy.frames.tree import evaluated, shown
from beampy.otp.rpc_thread import in_thread
from beampy.refs.service import refs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beampy.refs.ref import RemoteRef

# Methods that look at no row, however large the frame is: a thread for them would take longer than they do.
CHEAP = frozenset({"clone", "get_column", "get_columns", "head", "limit", "slice", "tail"})

# Bytes of a frame for which pyarrow is imported: 60 ms, once, in the thread that has made it. Less takes polars 1.5 ms
# to write and read, and a node that makes small frames only never pays for the import.
LARGE = 1024 * 1024
SIZED = frozenset({pl.DataFrame, pl.Series})

KINDS: dict[type, str] = {pl.DataFrame: "DataFrame", pl.LazyFrame: "LazyFrame", pl.Series: "Series"}


class Made(NamedTuple):
    """A frame that stays where it was made. `shape` is None where that is not known without work."""

    ref: RemoteRef[Any]
    kind: str
    shape: tuple[int, ...] | None


async def evaluate(
    held: list[RemoteRef[Any]], others: list[RemoteRef[Any]], root: Any, steps: Any, expected: str, before: Any
) -> Any:
    """What a tree gives, of the object that is held and of others. `expected`: the kind of frame that it has to be,
    then its reference, kind and shape are sent; "" for any value. `before`: the trees that come first.
    """
    ref = held[0]
    objects = [ref.refs.value(ref.id)]
    if others:
        objects += await _brought(others)
    elif root == 0 and len(steps) == 1 and not before and (steps[0][1] is None or steps[0][0] in CHEAP):
        return _sent(_carried_out(root, steps, objects, expected), steps[0][0], expected)
    value = await in_thread(_carried_out_here, (root, steps, objects, expected, before), {})
    return _sent(value, _label(root, steps), expected)


async def evaluate_call(root: Any, steps: Any, others: list[RemoteRef[Any]], expected: str, before: Any) -> Any:
    """The same of a function of polars, such as a scan, with no object that is here."""
    value = await in_thread(_carried_out_here, (root, steps, await _brought(others), expected, before), {})
    return _sent(value, _label(root, steps), expected)


async def made_by(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function of the user's gives, as a frame that stays here. `fn` has travelled as an argument, and its own
    arguments inside of one: references and remote frames among them become here what they stand for.
    """
    if has_standins(args, kwargs):
        args, kwargs = await resolved(args, kwargs)
    value = await fn(*args, **kwargs) if asyncio.iscoroutinefunction(fn) else await in_thread(fn, args, kwargs)
    name = getattr(fn, "__qualname__", str(fn))
    return _sent(await in_thread(as_frame, (value, name), {}), name, "DataFrame")


def framed(fn: Any, /, *args: Any, **kwargs: Any) -> pl.DataFrame:
    """What `pool.frame` calls on a runner: what `fn` gives, as a frame."""
    return as_frame(fn(*args, **kwargs), getattr(fn, "__qualname__", str(fn)))


async def framed_async(fn: Any, /, *args: Any, **kwargs: Any) -> pl.DataFrame:
    """The same with an async function."""
    value = await fn(*args, **kwargs)
    frame: pl.DataFrame = await in_thread(as_frame, (value, getattr(fn, "__qualname__", str(fn))), {})
    return frame


def sizes(calls: list[Any]) -> list[int]:
    """How many bytes the files of each scan have that are on this machine; 0 where that is not known."""
    return [_bytes_of(args[0] if args else kwargs.get("source")) for _, args, kwargs in calls]


# how


async def _brought(refs: Sequence[RemoteRef[Any]]) -> list[Any]:
    """The objects, those of other nodes from there, all at the same time."""
    return list(await asyncio.gather(*map(_object, refs)))


async def _object(ref: RemoteRef[Any]) -> Any:
    return ref.refs.value(ref.id) if ref.refs.is_own(ref.id) else await ref.get()


def _carried_out(root: Any, steps: Any, objects: list[Any], expected: str, before: Any = ()) -> Any:
    value = evaluated(root, steps, objects, _function, before, unpacked)
    if expected == "DataFrame" and isinstance(value, pl.LazyFrame):
        value = value.collect()
    if expected and KINDS.get(type(value)) != expected:
        raise NotAFrame(_label(root, steps), type(value).__name__, expected)
    return value


def _carried_out_here(root: Any, steps: Any, objects: list[Any], expected: str, before: Any) -> Any:
    """The same, in a thread."""
    try:
        return _ready_to_travel(_carried_out(root, steps, objects, expected, before))
    except pl.exceptions.PanicException as error:  # no Exception: it would end the call as a signal does
        crash = Crash.of(error)
        raise RemoteError(crash.type, crash.message, crash.traceback) from None


def _ready_to_travel(value: Any) -> Any:
    """The value; of one that is large, what it takes to send its memory is imported. In a thread, never on the loop."""
    if "pyarrow" not in sys.modules and type(value) in SIZED and value.estimated_size() >= LARGE:
        with suppress(ImportError):  # it goes the way that polars has
            import_module("pyarrow")
    return value


def _function(name: str) -> Any:
    """A function of polars. AttributeError: the polars of this node has none of that name."""
    return getattr(pl, name)


def _sent(value: Any, label: str, expected: str) -> Any:
    """The value as it is sent: frames stay."""
    if expected:
        return _kept(value, expected, label)
    kind = KINDS.get(type(value))
    if kind is not None:
        return Made(*_kept(value, kind, label))
    if type(value) is list:
        return [_sent(each, label, "") for each in value] if any(type(each) in KINDS for each in value) else value
    if type(value) is tuple:
        return tuple(_sent(each, label, "") for each in value) if any(type(each) in KINDS for each in value) else value
    if type(value) is dict and any(type(each) in KINDS for each in value.values()):
        return {key: _sent(each, label, "") for key, each in value.items()}
    return value


def _kept(value: Any, kind: str, label: str) -> tuple[Any, str, tuple[int, ...] | None]:
    """The fields of Made, as a plain tuple, which costs less to send."""
    shape = None if kind == "LazyFrame" else value.shape
    return refs_of(current.get().node).own(value, label), kind, shape


def _label(root: Any, steps: Any) -> str:
    """What `bp.refs` shows of a frame: what made it."""
    return shown(steps, None if isinstance(root, int) else root)


def as_frame(value: Any, name: str) -> pl.DataFrame:
    """What a function gave, as a frame: of polars, pandas, pyarrow. A plan is carried out. In a thread. NotAFrame."""
    frame: pl.DataFrame = _ready_to_travel(_as_frame(value, name))
    return frame


def _as_frame(value: Any, name: str) -> pl.DataFrame:
    if isinstance(value, pl.DataFrame):
        return value
    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if isinstance(value, pl.Series):
        return value.to_frame()
    if hasattr(value, "__arrow_c_stream__"):  # pyarrow's tables, pandas' frames, and others' that follow the standard
        found = pl.DataFrame(value)
        return found
    raise NotAFrame(name, type(value).__name__, "DataFrame")


def _bytes_of(source: Any) -> int:
    total = 0
    for each in source if isinstance(source, (list, tuple)) else (source,):
        if not isinstance(each, (str, os.PathLike)):
            continue
        path = os.fspath(each)
        for found in glob.glob(str(path)) if glob.has_magic(str(path)) else [path]:
            total += _bytes_in(found)
    return total


def _bytes_in(path: Any) -> int:
    try:
        if os.path.isdir(path):
            with os.scandir(path) as entries:
                return sum(entry.stat().st_size for entry in entries if entry.is_file())
        return os.path.getsize(path)
    except OSError:
        return 0
