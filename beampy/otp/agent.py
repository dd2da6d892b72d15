"""Agent: state in a process of its own, read and changed by functions that are sent to it. Elixir's Agent.

    counter = await bp.Agent.start_link(0, name="counter")
    await counter.update(lambda n: n + 1)
    await counter.get(str)

Rule: the functions run in the agent's process, one after the other, so each sees the state whole; the state stays
there unless a function returns it. A function may be async: the agent waits for it, and so do its other callers.
One that fails raises its error at its caller and ends the agent, as in Elixir: nobody knows what it has done to the
state. What may go wrong in the ordinary way belongs into the answer.

State with rules of its own is better kept by a Server, whose methods say what may be done to it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from beampy.core.functions import describe
from beampy.core.signals import safe_repr
from beampy.errors import BadReturn
from beampy.otp import typed
from beampy.otp.server import Server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from beampy.handle import Handle
    from beampy.otp.gen import Name

S = TypeVar("S")
R = TypeVar("R")
P = ParamSpec("P")

# The marks, as decorators of what the overloads describe already.
_call: Callable[[Any], Any] = typed.call
_cast: Callable[[Any], Any] = typed.cast


class Agent(Server, Generic[S]):
    """State in a process. `start_link(state)`, or `start_link(fn, *args)`: what the function makes, in the agent.

    >>> pages = await bp.Agent.start_link(dict)
    >>> await pages.get_and_update(lambda d: (d.get("a"), d | {"a": 1}))
    >>> await pages.get(len)
    1

    A call that is not answered in 5 seconds raises CallTimeout; `agent.options(timeout=…)` has another deadline.
    """

    def __init__(self, state: Any, /, *args: Any, **kwargs: Any) -> None:
        self.state = state
        self._arguments = args, kwargs

    async def init(self) -> None:
        (args, kwargs), start = self._arguments, self.state
        del self._arguments
        if callable(start):
            self.state = await _value(start(*args, **kwargs))
        elif args or kwargs:
            raise TypeError(f"Agent: the state is {safe_repr(start)}, which is no function: it takes no arguments")

    # Each function may be async or not: hence the overloads. They are what the clients of these methods are.

    @overload  # type: ignore[override]
    @classmethod
    def start_link(
        cls,
        fn: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        name: Name | None = ...,
        timeout: float | None = ...,
        **kwargs: Any,
    ) -> Handle[Agent[R]]: ...
    @overload
    @classmethod
    def start_link(
        cls, fn: Callable[..., R], /, *args: Any, name: Name | None = ..., timeout: float | None = ..., **kwargs: Any
    ) -> Handle[Agent[R]]: ...
    @overload
    @classmethod
    def start_link(cls, state: R, /, *, name: Name | None = ..., timeout: float | None = ...) -> Handle[Agent[R]]: ...
    @classmethod
    def start_link(
        cls, start: Any, /, *args: Any, name: Name | None = None, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Start one, linked with the current process; `start` (no link) takes the same. An error of `fn` is raised
        here as StartFailed."""
        return super().start_link(start, *args, name=name, timeout=timeout, **kwargs)

    @overload
    def get(self, fn: Callable[Concatenate[S, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    @overload
    def get(self, fn: Callable[Concatenate[S, P], R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    @_call
    async def get(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """`fn(state, …)`, which leaves the state as it is."""
        return await _value(fn(self.state, *args, **kwargs))

    @overload
    def update(
        self, fn: Callable[Concatenate[S, P], Awaitable[S]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[None]: ...
    @overload
    def update(self, fn: Callable[Concatenate[S, P], S], /, *args: P.args, **kwargs: P.kwargs) -> Handle[None]: ...
    @_call
    async def update(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Put `fn(state, …)` in the state's place. None, once that is done."""
        self.state = await _value(fn(self.state, *args, **kwargs))

    @overload
    def get_and_update(
        self, fn: Callable[Concatenate[S, P], Awaitable[tuple[R, S]]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[R]: ...
    @overload
    def get_and_update(
        self, fn: Callable[Concatenate[S, P], tuple[R, S]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[R]: ...
    @_call
    async def get_and_update(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """`fn(state, …)` gives (answer, new state)."""
        pair = await _value(fn(self.state, *args, **kwargs))
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise BadReturn(f"get_and_update: {describe(fn)}", safe_repr(pair), "(answer, new state)")
        answer, self.state = pair
        return answer

    @overload
    def cast(self, fn: Callable[Concatenate[S, P], Awaitable[S]], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def cast(self, fn: Callable[Concatenate[S, P], S], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    @_cast
    async def cast(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """`update`, without waiting for it, and without hearing of its failure."""
        self.state = await _value(fn(self.state, *args, **kwargs))


async def _value(result: Any) -> Any:
    """What a function gives, sync or async."""
    return await result if inspect.isawaitable(result) else result
