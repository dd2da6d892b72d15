"""What users write where a child is meant, and the ChildSpec that comes of it.

    ChildSpec("cache", (start_cache, 10))      itself
    Counter, (Counter, 10)                     a class that has `child_spec`: servers, supervisors, agents …
    Counter.child_spec(10, restart="transient", name="counter")
    worker(poll, url)                          an async function, run as a process of its own
    {"id": "cache", "start": (start_cache, 10)}

Place: between users and `child.py`. Not known here: how a child is started, and who supervises it.
"""

from __future__ import annotations

from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from beampy import api
from beampy.core.functions import describe
from beampy.core.signals import safe_repr
from beampy.errors import BadSpec
from beampy.otp.child import ChildSpec, ChildType, Restart, Shutdown

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

    from beampy.core.ids import Pid
    from beampy.otp import gen


class Supervised:
    """Gives a class that has `start_link` its `child_spec`, so that it can be named as a child."""

    _child_type: ClassVar[ChildType] = "worker"
    _child_restart: ClassVar[Restart] = "permanent"

    @classmethod
    def child_spec(
        cls,
        *args: Any,
        id: Hashable = None,
        restart: Restart | None = None,
        shutdown: Shutdown | None = None,
        significant: bool = False,
        name: gen.Name | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> ChildSpec:
        """The spec of a child that is started with `cls.start_link(*args, name=name, timeout=timeout, **kwargs)`.

        Its id is `id`, else its name, else the name of the class. The other options are those of ChildSpec.

        >>> Counter.child_spec(10, name="counter", restart="transient").id
        'counter'
        """
        start: Any = cls.start_link  # type: ignore[attr-defined]  # what it is mixed into has it
        if name is not None:
            kwargs["name"] = name
        if timeout is not None:
            kwargs["timeout"] = timeout
        return _spec(
            _first_given(id, name if isinstance(name, str) else None, cls.__name__),
            (partial(start, **kwargs) if kwargs else start, *args),
            cls._child_restart if restart is None else restart,
            shutdown,
            cls._child_type,
            significant,
        )


ChildLike: TypeAlias = ChildSpec | type[Supervised] | tuple[Any, ...] | dict[str, Any]
"""A ChildSpec, a class that has `child_spec`, a tuple of such a class and its arguments, or a spec as a dict."""


def worker(
    fn: Callable[..., Coroutine[Any, Any, Any]],
    /,
    *args: Any,
    id: Hashable = None,
    restart: Restart = "permanent",
    shutdown: Shutdown | None = None,
    significant: bool = False,
    name: str | None = None,
) -> ChildSpec:
    """The spec of a child that runs the async function `fn(*args)`; its id is `id`, else its name, else the function's.

    A permanent one is meant to run for ever. One that does its work and returns is "transient" or "temporary".

    >>> worker(poll, "https://example.org", restart="transient").id
    'poll'
    """
    if not callable(fn):
        raise BadSpec(f"worker: needs an async function and its arguments, not {safe_repr(fn)}")
    own_id = _first_given(id, name, describe(fn).rpartition(".")[2])
    return _spec(own_id, (partial(_start_worker, fn, name), *args), restart, shutdown, "worker", significant)


def _first_given(*ids: Hashable) -> Hashable:
    return next(id for id in ids if id is not None)


def _spec(
    id: Hashable,
    start: tuple[Any, ...],
    restart: Restart,
    shutdown: Shutdown | None,
    type: ChildType,
    significant: bool,
) -> ChildSpec:
    """ChildSpec with its own default of `shutdown` in the place of None."""
    if shutdown is None:
        return ChildSpec(id, start, restart=restart, type=type, significant=significant)
    return ChildSpec(id, start, restart=restart, shutdown=shutdown, type=type, significant=significant)


def _start_worker(fn: Callable[..., Coroutine[Any, Any, Any]], name: str | None, /, *args: Any) -> Pid:
    return api.spawn_link(fn, *args, name=name)


def as_spec(child: ChildLike) -> ChildSpec:
    """The ChildSpec of what a user wrote. BadSpec where it means no child.

    >>> as_spec({"id": "cache", "start": print}).restart
    'permanent'
    """
    if isinstance(child, ChildSpec):
        return child
    if isinstance(child, dict):
        try:
            return ChildSpec(**child)
        except TypeError as misfit:
            raise BadSpec(f"a child as a dict has the fields of ChildSpec: {misfit}", spec=child) from None
    kind, args = (child[0], child[1:]) if isinstance(child, tuple) and child else (child, ())
    make = getattr(kind, "child_spec", None)
    if (
        callable(make)
        and not isinstance(kind, type)
        and isinstance(getattr(type(kind), "child_spec", None), MethodType)
    ):
        raise BadSpec(
            f"an instance of {describe(type(kind))} cannot be a child, whose process makes its own: "
            "give the class, or (class, *args)",
            spec=child,
        )
    if callable(make):
        spec = make(*args)
        if isinstance(spec, ChildSpec):
            return spec
        raise BadSpec(f"{describe(kind)}.child_spec gave {safe_repr(spec)}, which is no ChildSpec", spec=child)
    if callable(kind):
        raise BadSpec(
            "a function alone does not say what it is: Supervisor.worker(fn, *args) makes a child that runs it, "
            "ChildSpec(id, (fn, *args)) one that it starts",
            spec=child,
        )
    raise BadSpec("a child is a ChildSpec, a class that has child_spec (a Server …), or (class, *args)", spec=child)
