"""RemoteFunction: what `@pool.remote` makes of a function: its calls run in the pool. On a runner it is itself."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from beampy.otp.rpc_function import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from beampy.pool.calls import Calls
    from beampy.pool.mapping import Mapped

P = ParamSpec("P")
T = TypeVar("T")


class RemoteFunction(Generic[P, T]):
    """A function whose calls run in a pool. `local` is the function itself; `map` and `options` are the pool's.

    P: what it takes. T: what a call gives, a Handle or a stream.
    """

    local: Callable[P, Any]

    def __init__(self, calls: Calls, fn: Callable[P, Any]) -> None:
        functools.update_wrapper(self, fn)
        self.calls = calls
        self.local = fn

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.calls.call(self.local, *args, **kwargs)  # type: ignore[no-any-return]

    def map(self, *iterables: Iterable[Any], **options: Any) -> Mapped[Any]:
        """`pool.map` of it."""
        return self.calls.map(self.local, *iterables, **options)

    def options(self, **options: Any) -> RemoteFunction[P, T]:
        """The same with other options: `pool.options`."""
        return RemoteFunction(self.calls.options(**options), self.local)

    def __reduce__(self) -> Any:
        # On a runner it is the function: what it calls there runs there.
        return _itself, (self.local,)

    def __repr__(self) -> str:
        return f"<RemoteFunction {shown(self.local)}>"


def _itself(fn: Any) -> Any:
    return fn
