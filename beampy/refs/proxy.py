"""`ref.do` and `ref.keep`: the object's own names, as if it were here.

    await ref.do.shape                 an attribute
    await ref.do.mean(axis=0)          a method's value
    await ref.do["price"]              an item
    await ref.do.stats.hist(10)        however long the path is, it is one message there and one back
    await ref.do(np.median)            a function of it: ref.apply
    await ref.keep.filter(name="x")    the value stays there: a RemoteRef

Rule: a path is only written down; it is sent when it is called, or awaited. A call is started when it is made, as any;
on a thread, `.result()` waits for it: `ref.apply(getattr, "shape").result()` is an attribute there.

Names that begin with `_` are Python's or private, and not passed on; but for the operators in OPERATORS, which are
asked for as calls: `await ref.do.__len__()`, `await ref.keep.__add__(1)`. What Python's own syntax has no room for:
`==`, truth, `in`, iteration and assignment need an answer at once, so they raise TypeError. The object itself is
called with `ref.do(operator.call, …)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from beampy.refs import using
from beampy.refs.sizes import shown_path

if TYPE_CHECKING:
    from collections.abc import Generator

    from beampy.handle import Handle
    from beampy.refs.ref import RemoteRef

_BINARY = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or"

_UNARY = "len contains setitem delitem reversed next int float complex index abs neg pos invert round"
OPERATORS = frozenset(
    f"__{name}__"
    for name in (
        *_UNARY.split(),
        *_BINARY.split(),
        *(f"r{name}" for name in _BINARY.split()),
        *(f"i{name}" for name in _BINARY.split()),
    )
)


class Path:
    """Where an attribute, a method or an item is found, from an object on."""

    __slots__ = ("_ref", "_steps")
    _keeps = False

    def __init__(self, ref: RemoteRef[Any], steps: tuple[Any, ...] = ()) -> None:
        object.__setattr__(self, "_ref", ref)
        object.__setattr__(self, "_steps", steps)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name not in OPERATORS:
            raise AttributeError(
                f"{name!r} is not passed on to an object elsewhere: public names are, and operators such as __len__. "
                "ref.apply(fn, …) gives a function the object itself",
                name=name,
                obj=self,
            )
        return type(self)(self._ref, (*self._steps, name))

    def __getitem__(self, key: Any) -> Any:
        return type(self)(self._ref, (*self._steps, (key,)))

    def __call__(self, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        if not self._steps:
            if not args:
                raise TypeError(f"{self!r}() wants a function of the object; its methods are {self!r}.name(…)")
            return using.apply(self._ref, args[0], args[1:], kwargs, keep=self._keeps)
        return using.call(self._ref, self._steps, args, kwargs, keep=self._keeps)

    def __await__(self) -> Generator[Any, Any, Any]:
        if not self._steps:
            raise TypeError(f"await {self!r}: say what of it: {self!r}.name, or await ref.get() for all of it")
        return using.read(self._ref, self._steps, keep=self._keeps).__await__()

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"cannot assign to {self!r}.{name}: await ref.apply(setattr, {name!r}, value)")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self!r} is elsewhere: await ref.apply(list), or await ref.do[start:stop]")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} is elsewhere and has no truth here: await it")

    def __eq__(self, other: object) -> Any:
        if self is other:
            return True
        raise TypeError(f"{self!r} is elsewhere and equals nothing here: await it, and compare its value")

    __hash__ = object.__hash__

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"{self!r} cannot travel: send the reference itself")

    def __repr__(self) -> str:
        return f"ref.{'keep' if self._keeps else 'do'}{shown_path(self._steps)}"


class Do(Path):
    """What comes out is brought here."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Do: ...
        def __getitem__(self, key: Any) -> Do: ...


class Keep(Path):
    """What comes out stays there."""

    __slots__ = ()
    _keeps = True

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Keep: ...
        def __getitem__(self, key: Any) -> Keep: ...
        def __call__(self, /, *args: Any, **kwargs: Any) -> Handle[RemoteRef[Any]]: ...
        def __await__(self) -> Generator[Any, Any, RemoteRef[Any]]: ...
