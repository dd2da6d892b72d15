"""Stand-ins: arguments that are replaced by what they stand for before a function is called.

Rule: only an argument itself is replaced, positional or by keyword; one inside a list, a dict or a message stays what
it is. One that does not exist yet is waited for by the call that has it as an argument. Place: remote calls look for
them (otp/rpc_server.py, the pool); what they stand for, and where that is, layers above know.
"""

from __future__ import annotations

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence


FETCHED = "This is what came of fetching argument"  # begins a note on the error; its number, or name, follows


class StandIn:
    """Something that stands for a value that is here or elsewhere."""

    __slots__ = ()

    @property
    def id(self) -> Any:
        """Which one it is: a tuple of plain data, the same for all that stand for the same."""
        raise NotImplementedError

    async def value_here(self) -> Any:
        """What it stands for, on this node: the object itself where that is here, else a copy.

        What it raises is raised instead of the call of the function.
        """
        raise NotImplementedError

    def coming(self) -> Awaitable[Any] | None:
        """What has to be waited for before it can be sent: it does not exist yet. None: nothing."""
        return None

    def renewed(self, newest: Callable[[Any], Any]) -> StandIn:
        """The same over the newest of its references: one may have been made in the place of another that was lost."""
        return self


def coming(args: Sequence[Any], kwargs: dict[str, Any]) -> list[StandIn]:
    """Those among the arguments that cannot be sent yet; mostly none.

    >>> coming((1, StandIn()), {})
    []
    """
    if not has_standins(args, kwargs):
        return []
    return [each for each in (*args, *kwargs.values()) if isinstance(each, StandIn) and each.coming() is not None]


def held(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments that are used later: with handles of their own, whatever becomes of the caller's."""
    return (
        tuple(copy(each) if isinstance(each, StandIn) else each for each in args),
        {name: copy(each) if isinstance(each, StandIn) else each for name, each in kwargs.items()},
    )


async def exist(args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Until all of the arguments can be sent. The first failure is raised."""
    for each in coming(args, kwargs):
        there = each.coming()
        if there is not None:
            await there


def has_standins(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether an argument is one.

    >>> has_standins((1, 2), {"key": StandIn()})
    True
    """
    for value in args:
        if isinstance(value, StandIn):
            return True
    if kwargs:
        for value in kwargs.values():
            if isinstance(value, StandIn):
                return True
    return False


async def resolved(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with what they stand for, all at the same time; each once, however often it is there. An error says
    in a note which argument it was; the others are not waited for, and have ended when it is raised.

    >>> await resolved((1,), {"key": 2})
    ((1,), {'key': 2})
    """
    named: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    asked: dict[int, tuple[int | str, StandIn]] = {}
    for name, value in named:
        if isinstance(value, StandIn):
            asked.setdefault(id(value), (name, value))
    known = dict(zip(asked, await _all([_fetched(*each) for each in asked.values()]), strict=True))
    found = [known[id(value)] if isinstance(value, StandIn) else value for _, value in named]
    return tuple(found[: len(args)]), dict(zip(kwargs, found[len(args) :], strict=True))


async def _fetched(name: int | str, value: StandIn) -> Any:
    try:
        return await value.value_here()
    except Exception as error:
        error.add_note(f"{FETCHED} {name!r}; the function was not called")
        raise


async def _all(work: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What each of them gives. The first error ends the others."""
    if len(work) == 1:
        return [await work[0]]
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    finally:
        del tasks, work  # an error has this frame in its traceback, and is not to keep what the others brought
