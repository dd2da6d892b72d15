"""`bp.frames.on(node)`: polars on a node, for making frames there.

    there = bp.frames.on("b@localhost")
    there.scan_parquet("flights/*.parquet")     # a plan: files of that node
    there.read_csv("airlines.csv")              # read there, a handle at once
    there.DataFrame({"a": [1, 2]})              # made there of what is sent
    there.frame(load, "s3://…")                 # what a function gives, there

Rule: every function of polars that reads, scans or makes a frame is there, with polars' own arguments. Paths are those
of that node.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl

from beampy.core.ids import full_name
from beampy.core.standin import exist, held
from beampy.errors import BadFunction, FrameRefused
from beampy.frames import evaluate
from beampy.frames.asking import Query, Scan, local_node
from beampy.frames.dataframe import RemoteDataFrame
from beampy.frames.delegation import documented, signature_of
from beampy.frames.due import Due
from beampy.frames.frame import answer
from beampy.frames.lazyframe import RemoteLazyFrame
from beampy.frames.methods import PlaceFunctions
from beampy.frames.series import RemoteSeries
from beampy.frames.surface import EAGER, REFUSED_FUNCTIONS, Gives, functions, gives_of
from beampy.frames.taking import listed, taken_call
from beampy.frames.tree import Call
from beampy.otp.rpc_function import kind_of, shown, streams
from beampy.refs.verbs import VerbCaller

if TYPE_CHECKING:
    from collections.abc import Callable


class Place(PlaceFunctions):
    """Polars on a node: `bp.frames.on(node)`."""

    def __init__(self, node: str) -> None:
        self.node = full_name(node)

    def _missing(self, name: str) -> NoReturn:
        if name in REFUSED_FUNCTIONS:
            raise FrameRefused(f"frames.on(…).{name}", REFUSED_FUNCTIONS[name])
        raise AttributeError(
            f"frames.on(…) has no {name!r}: it has what makes frames: read_*, scan_*, from_*, DataFrame, Series, "
            "LazyFrame, concat, union, select, sql, int_range, date_range, repeat, collect_all; and frame(fn)",
            name=name,
            obj=self,
        )

    if not TYPE_CHECKING:  # a checker finds what there is in methods.pyi
        __getattr__ = _missing

    def frame(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> RemoteDataFrame:
        """What a function gives, called on that node, as a frame that stays there: a handle at once.

        It may give a frame of polars, pandas or pyarrow, or a plan, which is carried out there; else NotAFrame. The
        function travels as with `bp.remote_call`; a RemoteRef or a remote frame among the arguments becomes the object.

        >>> df = bp.frames.on("b@localhost").frame(load, "flights.csv")
        """
        if not callable(fn) or streams(kind_of("frame", fn)):
            raise BadFunction("frame", f"{fn!r}", "a function that returns a frame")
        node = local_node("frame")
        target = self.node
        args, kwargs = held(args, kwargs)

        async def work() -> evaluate.Made:
            await exist(args, kwargs)
            made = await VerbCaller(shown(fn))(target, evaluate.made_by, fn, args, kwargs)
            return evaluate.Made(*made)

        return RemoteDataFrame(Due(node, f"frame({shown(fn)})", target).begin(work))

    def __repr__(self) -> str:
        return f"<polars on {self.node}>"


def _calling(name: str, gives: Gives) -> Callable[..., Any]:
    """A function of polars, as a method of places."""

    def calling(self: Place, /, *args: Any, **kwargs: Any) -> Any:
        local = local_node("on")
        if name in EAGER:
            kwargs = {"eager": True, **kwargs}
        args = tuple(map(listed, args))
        query = Query(Scan(self.node, taken_call(Call(name, args, kwargs))))
        return answer(local, query, BY_ARGUMENT.get(name, lambda _: gives)(_first(args, kwargs)))

    original = getattr(pl, name)
    calling.__name__ = name
    calling.__qualname__ = f"Place.{name}"
    calling.__doc__ = documented(original, gives)
    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    with suppress(TypeError, ValueError):  # there is no signature
        signature = signature_of(original, gives)
        parameters = [me, *signature.parameters.values()]
        calling.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return calling


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()), None)


def _of_parts(parts: Any) -> Gives:
    """What `concat` gives: what its first part is."""
    first = parts[0] if isinstance(parts, (list, tuple)) and parts else None
    if isinstance(first, (pl.Series, RemoteSeries)):
        return Gives.SERIES
    return Gives.LAZY if isinstance(first, (pl.LazyFrame, RemoteLazyFrame)) else Gives.FRAME


def _of_table(data: Any) -> Gives:
    """What `from_arrow` and `from_pandas` give: of an array, a series or an index a series, of all else a frame."""
    return Gives.SERIES if type(data).__name__.endswith(("Array", "Series", "Index")) else Gives.FRAME


def _of_text(text: Any) -> Gives:
    """What `from_repr` gives: what the text shows."""
    return Gives.SERIES if isinstance(text, str) and "Series:" in text else Gives.FRAME


BY_ARGUMENT = {
    **dict.fromkeys(("concat", "merge_sorted", "union"), _of_parts),
    **dict.fromkeys(("from_arrow", "from_pandas"), _of_table),
    "from_repr": _of_text,
}


for _name in functions():
    setattr(Place, _name, _calling(_name, gives_of(_name) or Gives.VALUE))


def on(node: str) -> Place:
    """Polars on a node: read, scan and make frames there.

    >>> bp.frames.on("b@localhost").scan_parquet("flights.parquet")
    """
    return Place(node)
