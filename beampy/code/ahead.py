"""Imports ahead: what async functions import in their bodies is imported before they run.

An async function runs on the event loop, and an import statement in it would hold the loop up: it may fetch, and run a
whole module. So where such a function is built, in a thread, what it imports is imported there, whether or not it gets
to that line. A failure is left to the statement itself.
"""

from __future__ import annotations

import contextlib
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from types import FunctionType
from typing import TYPE_CHECKING, Any

from beampy.code.finder import importing
from beampy.code.loader import Loader
from beampy.code.manifest import imports_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ON_THE_LOOP = CO_COROUTINE | CO_ASYNC_GENERATOR
DEEP = 8  # functions around functions: more than anybody decorates with


class Ahead:
    """What is built, by version, while a thread still imports ahead for it: no event loop may have it yet."""

    def __init__(self) -> None:
        self.things: dict[bytes, Any] = {}

    def run(self, mine: dict[bytes, Any], needed: Iterable[bytes]) -> None:
        """Import for these, and wait for what is imported for others that they need. In a thread."""
        try:
            for thing in mine.values():
                import_ahead(thing)
        finally:
            for version in mine:
                self.things.pop(version, None)
        for version in needed:
            self.wait_for(version)

    def wait_for(self, version: bytes) -> None:
        """Have imported what another thread imports for this one: it ends when theirs does. In a thread."""
        thing = self.things.get(version)
        if thing is not None:
            import_ahead(thing)


def import_ahead(thing: Any) -> None:
    """Import what the async functions of a function or a class import. In a thread."""
    for fn in _functions(thing, DEEP):
        if fn.__code__.co_flags & ON_THE_LOOP:
            names = fn.__globals__
            for name in sorted(imports_of(fn.__code__, names.get("__package__") or "")):
                _import(fn, name)  # also what is in sys.modules: under that name it may be another origin's


def _import(fn: FunctionType, name: str) -> None:
    """As a statement in the function would."""
    its: Any = fn  # not every type checker knows a function's builtins
    importer = its.__builtins__["__import__"]
    loader = getattr(fn.__globals__.get("__spec__"), "loader", None)
    try:
        # Nothing of its origin is on this stack, by which the finder would know that it may ask there.
        with importing(loader.space) if isinstance(loader, Loader) else contextlib.nullcontext():
            importer(name, fn.__globals__, None, (), 0)
    except Exception:  # the statement will say so, or `from a import b` meant no module
        return


def _functions(thing: Any, deep: int) -> Iterator[FunctionType]:
    if isinstance(thing, FunctionType):
        yield thing
        if deep and thing.__closure__:
            for cell in thing.__closure__:
                try:
                    yield from _functions(cell.cell_contents, deep - 1)
                except ValueError:  # empty
                    continue
    elif isinstance(thing, type):
        for value in list(vars(thing).values()):
            inner = getattr(value, "__func__", value)  # classmethod, staticmethod
            if isinstance(inner, FunctionType):
                yield from _functions(inner, deep and 1)
