"""Python functions in expressions: how they get to a node that has not their modules.

Rule: polars pickles the functions of an expression itself, inside its own bytes: those of cells and of the program by
value, those of modules by name. A name means something only where the module is; so the modules of this process that
are named, and that are not installed packages, are sent beside the bytes as any module is: by reference, and the node
has them when it reads the expression. Where one of that name is there already that is another one, it is refused.

Place: asking.py has the expressions of a query go through here; tree.py unpacks them there.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import polars as pl

from beampy.code.origin import here
from beampy.errors import EncodeError
from beampy.frames.tree import EXPR, Packed

if TYPE_CHECKING:
    from types import ModuleType

MARK = b"PLPYFN"  # begins a Python function in polars' bytes
TRAVELS = ("source", "shipped")  # the kinds of modules that do: of this process, and of others before it


def unpacked(value: tuple[Any, ...]) -> pl.Expr:
    """What `packed` has made of an expression: a plain tuple, as those cost less to send than what is pickled."""
    expr: pl.Expr = pl.Expr.__new__(pl.Expr)
    expr.__setstate__(value[1])
    return expr


class Expression(Packed):
    """An expression that has Python functions in it, with the modules that they come from."""

    __slots__ = ("modules", "state")

    def __init__(self, state: bytes, modules: dict[str, ModuleType]) -> None:
        self.state = state
        self.modules = modules

    def __reduce__(self) -> Any:
        return Expression, (self.state, self.modules)

    def unpacked(self) -> pl.Expr:
        """The expression, where its modules are. ImportError where their names are those of others here."""
        for name, module in self.modules.items():
            if sys.modules.get(name) is not module:
                raise ImportError(
                    f"a function in an expression comes from the module {name}, which polars asks for by its name, and "
                    "here that is another module: define the function in the program itself, or send one that does all "
                    "of it, with frame(fn)",
                    name=name,
                )
        return unpacked((EXPR, self.state))


def packed(value: Any) -> Any:
    """An argument as it is sent. EncodeError for a function that does not pickle."""
    if value.__class__ is not pl.Expr:
        return value
    try:
        state = value.__getstate__()
    except Exception as error:  # RuntimeError, with Python's own as text
        raise EncodeError("an expression", str(error)) from error
    modules = _modules(state) if MARK in state else None
    return Expression(state, modules) if modules else (EXPR, state)


def _modules(state: bytes) -> dict[str, ModuleType]:
    """Those of this process that bytes of polars name, of the kind that travels."""
    kind = here().kind
    return {
        name: module for name, module in list(sys.modules.items()) if _as_text(name) in state and kind(name) in TRAVELS
    }


def _as_text(name: str) -> bytes:
    """A text as pickle writes it, with its length: protocol 4 and later."""
    data = name.encode()
    return b"\x8c" + bytes([len(data)]) + data if len(data) < 256 else data
