"""DataFrame, LazyFrame and Series of the tests: remote ones, with every answer waited for.

Rule: all that is asked is asked of the remote object, by its own method of that name; Handles are awaited, and frames
waited for, so that a failure comes at the call. Python's syntax, which remote frames refuse as it needs an answer at
once, is done by what they say to do instead. `_df`, `_ldf` and `_s`, by which polars' own functions take a frame for
one of theirs, bring a copy here; `fetched` counts those of frames.

Place: namespace.py makes a module of it. Where frames are made is `ground`, which plugin.py sets.
"""

from __future__ import annotations

import contextlib
import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from beampy.errors import BeampyError
from beampy.frames.dataframe import RemoteDataFrame
from beampy.frames.lazyframe import RemoteLazyFrame
from beampy.frames.series import RemoteSeries
from beampy.handle import Handle

WAIT = 30.0  # seconds for one answer; far more than any of these tests needs
# They go as lists.
CANNOT_TRAVEL = (types.GeneratorType, map, zip, filter, type({}.keys()), type({}.values()), type({}.items()))
LONGEST = 1_000_000  # items of one of these


class Ground:
    """Where frames of the tests are: `place` is what `bp.frames.on(node)` gives."""

    def __init__(self) -> None:
        self.place: Any = None
        self.node = ""
        self.fetched = 0  # frames that polars' own functions had as copies
        self.refused = 0  # errors that are beampy's: no test that is listed may take them for polars'

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        try:
            yield
        except BeampyError:
            self.refused += 1
            raise

    def made(self, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A new frame there."""
        return waited(getattr(self.place, kind)(*asked(args), **asked(kwargs)))

    def taken(self, frame: Any) -> Any:
        """A frame of this process, there."""
        from beampy.frames.moving import from_local

        return waited(from_local(frame, self.node))


ground = Ground()


# --- what goes there, and what comes out ------------------------------------------------------


def asked(value: Any) -> Any:
    """An argument for a remote frame: the remote frames of those of the tests, in containers too."""
    if isinstance(type(value), StandsFor):
        return object.__getattribute__(value, "_remote")
    kind = type(value)
    if kind in (list, tuple):
        return kind(asked(each) for each in value)
    if kind is dict:
        return {key: asked(each) for key, each in value.items()}
    if issubclass(kind, CANNOT_TRAVEL):
        written = [asked(each) for each in itertools.islice(value, LONGEST)]
        if len(written) == LONGEST:
            raise TypeError(f"an argument goes on after {LONGEST} items")
        return written
    return value


def waited(remote: Any) -> Any:
    """A remote frame that is made."""
    with ground.asking():
        return remote if isinstance(remote, RemoteLazyFrame) else remote.wait(WAIT)


def answered(value: Any) -> Any:
    """What came out, for a test."""
    if isinstance(type(value), StandsFor):
        return value
    if isinstance(value, Handle):
        with ground.asking():
            value = value.result(WAIT)
        return answered(value)
    for remote, stands in STANDS.items():
        if isinstance(value, remote):
            return stands.of(waited(value))
    if isinstance(value, (pl.DataFrame, pl.LazyFrame, pl.Series)):
        return answered(ground.taken(value))
    kind = type(value)
    if kind is list or kind is tuple:
        return kind(answered(each) for each in value)
    if kind is dict:
        return {key: answered(each) for key, each in value.items()}
    if kind.__module__.startswith("beampy.frames.paging"):
        return (answered(each) for each in value)
    if kind.__module__.startswith("beampy.frames"):
        return Through(value)
    return value


def passed_on(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a remote object, as tests call it."""

    def calling(*args: Any, **kwargs: Any) -> Any:
        return answered(method(*asked(args), **asked(kwargs)))

    return calling


def attribute(remote: Any, name: str) -> Any:
    """An attribute of a remote object, as tests see it."""
    with ground.asking():
        found = getattr(remote, name)
    return passed_on(found) if isinstance(found, (types.MethodType, types.FunctionType)) else answered(found)


class Through:
    """What is no frame, and has methods: groups, and namespaces such as `series.str`."""

    def __init__(self, remote: Any) -> None:
        self._remote = remote

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return attribute(self._remote, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(answered(self._remote.__iter__()))

    def __getitem__(self, key: Any) -> Any:
        return answered(self._remote[asked(key)])


# --- the classes ------------------------------------------------------------------------------


class StandsFor(type):
    """The class of the classes: `pl.DataFrame` of the tests is one of it."""

    _theirs: type

    def __instancecheck__(cls, value: Any) -> bool:
        return super().__instancecheck__(value) or isinstance(value, cls._theirs)

    def __getattr__(cls, name: str) -> Any:
        found = getattr(cls._theirs, name)
        if isinstance(found, types.FunctionType) and not name.startswith("__"):
            return lambda self, *args, **kwargs: getattr(self, name)(*args, **kwargs)
        return found

    def __reduce_ex__(cls, protocol: Any) -> Any:
        return getattr, (pl, cls.__name__)


class Standing(metaclass=StandsFor):
    """An object that tests take for one of polars."""

    __slots__ = ("__weakref__", "_remote")
    _theirs: type = object

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._remote = ground.made(type(self)._theirs.__name__, args, kwargs)

    @classmethod
    def of(cls, remote: Any) -> Any:
        made = cls.__new__(cls)
        made._remote = remote
        return made

    @property
    def __class__(self) -> type:
        return type(self)._theirs

    @__class__.setter
    def __class__(self, cls: type) -> None:
        raise TypeError("an object of the tests keeps its class")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return attribute(self._remote, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_remote":
            object.__setattr__(self, name, value)
        else:
            setattr(self._remote, name, asked(value))
            waited(self._remote)

    def __bool__(self) -> bool:
        return bool(self._remote)

    def here(self) -> Any:
        """A copy that is polars' own."""
        return self._remote.collect().result(WAIT)

    def pipe(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def with_remote(remote: Any, *args: Any, **kwargs: Any) -> Any:
            return asked(function(answered(remote), *args, **kwargs))

        return answered(self._remote.pipe(with_remote, *args, **kwargs))

    def __copy__(self) -> Any:
        return self.clone()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.clone()

    def __repr__(self) -> str:
        return repr(self._remote)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a frame of the tests is not pickled")

    __hash__ = None  # type: ignore[assignment]


def _operator(name: str) -> Callable[..., Any]:
    def operator(self: Any, *args: Any) -> Any:
        method = getattr(type(self._remote), name, None)
        if method is None:
            return NotImplemented
        found = method(self._remote, *asked(args))
        return found if found is NotImplemented else answered(found)

    operator.__name__ = name
    return operator


UNARY = ("__neg__", "__pos__", "__invert__", "__abs__")
BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "matmul")
OPERATORS = (
    *UNARY,
    *(f"__{name}__" for name in ("eq", "ne", "lt", "le", "gt", "ge")),
    *(f"__{side}{name}__" for name in BINARY for side in ("", "r")),
    "__getitem__",
)


class DataFrame(Standing):
    __slots__ = ()
    _theirs = pl.DataFrame

    @property
    def _df(self) -> Any:
        ground.fetched += 1
        return self.here()._df

    def __len__(self) -> int:
        return int(self._remote.height.result(WAIT))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.get_columns())

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self.get_columns())

    def __contains__(self, name: Any) -> bool:
        return name in self._remote.columns.result(WAIT)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.to_numpy().__array__(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._remote[asked(key)] = asked(value)
        self._remote.wait(WAIT)

    def iter_columns(self) -> Iterator[Any]:
        return iter(answered(self._remote.iter_columns()))

    def insert_column(self, index: int, column: Any) -> Any:
        self._remote.insert_column(index, asked(column)).wait(WAIT)
        return self

    def replace_column(self, index: int, column: Any) -> Any:
        self._remote.replace_column(index, asked(column)).wait(WAIT)
        return self

    def extend(self, other: Any) -> Any:
        self._remote.extend(asked(other)).wait(WAIT)
        return self


class LazyFrame(Standing):
    __slots__ = ()
    _theirs = pl.LazyFrame

    @property
    def _ldf(self) -> Any:
        ground.fetched += 1
        return self.here().lazy()._ldf

    def collect(self, **options: Any) -> Any:
        """Carried out there, where the result stays."""
        return answered(self._remote.compute(**options))

    def __contains__(self, name: Any) -> bool:
        return name in self._remote.columns.result(WAIT)


class Series(Standing):
    __slots__ = ()
    _theirs = pl.Series

    @property
    def _s(self) -> Any:
        return self.here()._s

    def __len__(self) -> int:
        return int(self._remote.len().result(WAIT))

    def __iter__(self) -> Iterator[Any]:
        if self.dtype in (pl.List, pl.Array):  # polars gives a series for each
            return (self[row] for row in range(len(self)))
        return iter(self.to_list())

    def __contains__(self, item: Any) -> bool:
        if item is None:
            return bool(self.has_nulls())
        return bool(self.implode().list.contains(item).item())

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.to_numpy().__array__(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._remote[asked(key)] = asked(value)
        self._remote.wait(WAIT)

    def append(self, other: Any) -> Any:
        self._remote.append(asked(other)).wait(WAIT)
        return self

    def extend(self, other: Any) -> Any:
        self._remote.extend(asked(other)).wait(WAIT)
        return self

    def scatter(self, indices: Any, values: Any) -> Any:
        self._remote.scatter(asked(indices), asked(values)).wait(WAIT)
        return self


for _class in (DataFrame, LazyFrame, Series):
    for _name in OPERATORS:
        if hasattr(_class._theirs, _name):
            setattr(_class, _name, _operator(_name))

STANDS: dict[type, Any] = {RemoteDataFrame: DataFrame, RemoteLazyFrame: LazyFrame, RemoteSeries: Series}
