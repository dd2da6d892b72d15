"""Typed methods: the marks `@bp.call` and `@bp.cast`, and the clients that call them from elsewhere.

A marked method is an ordinary method on the server's own object, and a message on a client. To type checkers a
client is the server class itself, and a marked method returns a Handle of what it is annotated with, so calls are
checked wherever they are made.

`call` and `cast` have two uses each, told apart by their arguments: `call(server, request)` asks, `@call` marks.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, Protocol, TypeVar, overload

from beampy.core.functions import describe
from beampy.core.ids import Pid
from beampy.errors import BadFunction
from beampy.otp import gen
from beampy.otp.messages import Method

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from beampy.handle import Handle

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

MARK = "__beampy_method__"

RESERVED = ("child_spec", "client", "cls", "dest", "init", "options", "pid", "start", "start_link", "terminate")

new = tuple.__new__  # a NamedTuple without its constructor's argument handling: a call makes two

Errors = type[Exception] | tuple[type[Exception], ...]


class CallMethod(Protocol[P, R_co]):
    """A method marked with `@bp.call`, as type checkers see it."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R_co]: ...


class CastMethod(Protocol[P]):
    """A method marked with `@bp.cast`, as type checkers see it."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None: ...


class CallMark(Protocol):
    """`@bp.call(raises=…)`, as type checkers see it."""

    @overload
    def __call__(self, fn: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> CallMethod[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Any, P], R], /) -> CallMethod[P, R]: ...


class Mark(NamedTuple):
    """How a method may be called from elsewhere."""

    kind: str
    raises: tuple[type[Exception], ...] = ()


@overload
def call(fn: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> CallMethod[P, R]: ...
@overload
def call(fn: Callable[Concatenate[Any, P], R], /) -> CallMethod[P, R]: ...
@overload
def call(*, raises: Errors) -> CallMark: ...
@overload
def call(server: Any, request: Any, /, *, timeout: float | None = gen.CALL_TIMEOUT) -> Handle[Any]: ...
def call(*args: Any, timeout: float | None = gen.CALL_TIMEOUT, raises: Errors | None = None) -> Any:
    """`call(server, request)` asks a server and returns the Handle of its answer; `@call` marks a method.

    The server is a pid, a registered name, (name, node) or a client. Raises NoProcess, ServerExited (it ended
    before it answered), CallTimeout after `timeout` seconds (None waits forever), CallingSelf, NodeDown, or what
    the server raised while it handled this request. A late answer is dropped.

    As a decorator, alone or as `@call(raises=(ValueError,))`, it makes a method of a Server callable through its
    clients. Errors named in `raises` go to the caller and the server goes on; any other error goes to the caller
    and ends the server, whose state can no longer be trusted.

    >>> await bp.call("counter", ("add", 5), timeout=1)
    """
    if len(args) == 2:
        return gen.call(args[0], args[1], timeout=timeout)
    if len(args) == 1 and raises is None:
        return _mark(args[0], Mark("call"))
    if not args and raises is not None:
        mark = Mark("call", raises if isinstance(raises, tuple) else (raises,))
        return lambda fn: _mark(fn, mark)
    raise TypeError("call(server, request, timeout=…) asks a server; @call or @call(raises=…) marks a method")


@overload
def cast(fn: Callable[Concatenate[Any, P], Any], /) -> CastMethod[P]: ...
@overload
def cast(server: Any, request: Any, /) -> None: ...
def cast(*args: Any) -> Any:
    """`cast(server, request)` sends a request that wants no answer and never fails; `@cast` marks such a method.

    >>> bp.cast("counter", "reset")
    """
    if len(args) == 2:
        return gen.cast(args[0], args[1])
    if len(args) == 1:
        return _mark(args[0], Mark("cast"))
    raise TypeError("cast(server, request) sends a request; @cast marks a method")


def _mark(fn: Any, mark: Mark) -> Any:
    if not inspect.isfunction(fn):
        raise BadFunction(
            mark.kind,
            f"a {type(fn).__name__}: call(server, request) takes two arguments, @call marks a method",
        )
    if fn.__name__ in RESERVED:
        raise BadFunction(mark.kind, f"a method named {fn.__name__!r}, which every server and client has already")
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise BadFunction(mark.kind, f"the generator {describe(fn)}: an answer is one value")
    setattr(fn, MARK, mark)
    return fn


@dataclass(frozen=True, slots=True)
class Bound:
    """A marked method as the server's loop uses it."""

    fn: Callable[..., Any]
    mark: Mark


def marked_methods(cls: type) -> dict[str, Bound]:
    """The marked methods of a class, its own and inherited ones; an override keeps the mark it overrides."""
    found: dict[str, Bound] = {}
    for base in reversed(cls.__mro__):
        for name, fn in vars(base).items():
            mark = getattr(fn, MARK, None)
            if mark is None and name in found and inspect.isfunction(fn):
                mark = found[name].mark
            if mark is not None:
                found[name] = Bound(fn, mark)
    return found


class Client(Generic[R]):
    """A server, seen from elsewhere: its pid (or name) and its marked methods. Clients travel in messages.

    `options(timeout=…)` gives the same client with another deadline for its calls.
    """

    __slots__ = ("_timeout", "cls", "dest")

    def __init__(self, cls: type, dest: Any, timeout: float | None = gen.CALL_TIMEOUT) -> None:
        self.cls = cls
        self.dest = dest
        self._timeout = timeout

    @property
    def pid(self) -> Pid:
        """The server's pid; NotRegistered where the client was made for a name that nobody has now."""
        if self.dest.__class__ is Pid:
            return self.dest
        from beampy import api
        from beampy.errors import NotRegistered

        pid = api.whereis(self.dest) if isinstance(self.dest, str) else getattr(self.dest, "pid", None)
        if pid is None:
            raise NotRegistered(self.dest)
        return pid

    def options(self, *, timeout: float | None) -> Client[R]:
        """The same server with another deadline, in seconds; None waits forever."""
        return client_class(self.cls)(self.cls, self.dest, timeout)

    def stop(self, reason: Any = "normal", timeout: float | None = None) -> Handle[None]:
        """Stop the server in order and wait for its end."""
        return gen.stop(self.dest, reason, timeout)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{self.cls.__name__} has no method {name!r} that can be called from elsewhere; "
            "mark it with @bp.call or @bp.cast"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Client):
            return NotImplemented
        return (self.cls, self.dest) == (other.cls, other.dest)

    def __hash__(self) -> int:
        return hash(self.dest)

    def __repr__(self) -> str:
        return f"<{self.cls.__name__} client of {self.dest!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return make_client, (self.cls, self.dest, self._timeout)


_classes: dict[type, type[Client[Any]]] = {}


def client_class(cls: type) -> type[Client[Any]]:
    """The client class of a server class, made once: one method a mark."""
    made = _classes.get(cls)
    if made is None:
        methods: dict[str, Any] = {"__slots__": ()}
        for name, bound in marked_methods(cls).items():
            methods[name] = _call_method(name, bound) if bound.mark.kind == "call" else _cast_method(name, bound)
        made = _classes[cls] = type(f"{cls.__name__}Client", (Client,), methods)
    return made


def make_client(cls: type, dest: Any, timeout: float | None = gen.CALL_TIMEOUT) -> Any:
    """A client of `cls` for the server `dest` (a pid or a registered name)."""
    return client_class(cls)(cls, dest, timeout)


def _call_method(name: str, bound: Bound) -> Callable[..., Any]:
    def method(self: Client[Any], *args: Any, **kwargs: Any) -> Handle[Any]:
        return gen.call(self.dest, new(Method, (name, args, kwargs)), timeout=self._timeout)

    return _like(method, bound)


def _cast_method(name: str, bound: Bound) -> Callable[..., Any]:
    def method(self: Client[Any], *args: Any, **kwargs: Any) -> None:
        gen.cast(self.dest, Method(name, args, kwargs))

    return _like(method, bound)


def _like(method: Callable[..., Any], bound: Bound) -> Callable[..., Any]:
    method.__name__ = bound.fn.__name__
    method.__qualname__ = describe(bound.fn)
    method.__doc__ = bound.fn.__doc__
    method.__signature__ = inspect.signature(bound.fn)  # type: ignore[attr-defined]
    return method
