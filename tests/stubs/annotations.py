"""Annotations of polars, as they are for remote frames.

Rule: a name is looked up where polars' file has it from, and is imported from there. What comes out is a frame of the
other node; what goes in may be one of polars' or one of a node, also where polars has a name for a union with one
(`IntoExpr`). Functions that users give run on the node, with polars' own frames: what is in `Callable[…]` stays.
Types of packages that polars does not need to be there are Any; numpy's, pandas' and pyarrow's stay.

Place: under frames.py, which walks the classes.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import sys
import typing
from functools import cache

import polars as pl

REMOTE = {
    "DataFrame": "RemoteDataFrame",
    "LazyFrame": "RemoteLazyFrame",
    "Series": "RemoteSeries",
    "GroupBy": "RemoteGroupBy",
    "DynamicGroupBy": "RemoteWindowGroupBy",
    "RollingGroupBy": "RemoteWindowGroupBy",
    "LazyGroupBy": "RemoteLazyGroupBy",
}
HOMES = {
    "RemoteDataFrame": "beampy.frames.dataframe",
    "RemoteLazyFrame": "beampy.frames.lazyframe",
    "RemoteSeries": "beampy.frames.series",
    "RemoteGroupBy": "beampy.frames.grouped",
    "RemoteWindowGroupBy": "beampy.frames.grouped",
    "RemoteLazyGroupBy": "beampy.frames.grouped",
}
OPERANDS = ("DataFrame", "LazyFrame", "Series")  # what may be an argument; groups may not
SHORT = {"numpy": "np", "pandas": "pd", "polars": "pl", "pyarrow": "pa"}
KNOWN_PACKAGES = {"numpy", "pandas", "pyarrow", "polars", *sys.stdlib_module_names}

VARIABLES = {"P": "ParamSpec", "T": "TypeVar"}  # what polars' files call them, each for itself


class Origin(typing.NamedTuple):
    """Where a name is from: `from module import name`, or with no name the module itself."""

    module: str
    name: str = ""


@cache
def tree_of(module: str) -> ast.Module:
    """The source of a module of polars."""
    return ast.parse(inspect.getsource(importlib.import_module(module)))


@cache
def origins(module: str) -> dict[str, Origin]:
    """Where each name of a module is from, as its imports say, those for type checkers too."""
    found: dict[str, Origin] = {}
    for node in ast.walk(tree_of(module)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = Origin(alias.name if alias.asname else top)
            case ast.ImportFrom(names=names, module=str(base), level=0):
                for alias in names:
                    found.setdefault(alias.asname or alias.name, Origin(base, alias.name))
    for node in tree_of(module).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = Origin(module, node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found[target.id] = Origin(module, target.id)
    return found


@cache
def unions() -> dict[str, frozenset[str]]:
    """Polars' names for types that a frame or a series is one of, and which: IntoExpr has Series."""
    written: dict[str, set[str]] = {}
    for node in tree_of("polars._typing").body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            written[node.target.id] = _members(node.value)
    found = {name: members & set(OPERANDS) for name, members in written.items()}
    changed = True
    while changed:
        changed = False
        for name, members in written.items():
            more = set().union(*(found.get(each, set()) for each in members)) - found[name]
            found[name] |= more
            changed = changed or bool(more)
    return {name: frozenset(members) for name, members in found.items() if members}


def _members(node: ast.expr) -> set[str]:
    """The names in a type, without those of functions in it."""
    match node:
        case ast.Constant(value=str(text)):
            try:
                return _members(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return set()
        case ast.Name(id=name):
            return {name}
        case ast.Subscript(value=ast.Name(id="Callable" | "Literal")):
            return set()
    return set().union(*(_members(each) for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)))


class Names:
    """The names that a stub uses, and its imports. `taken`: the names that the class at hand has, which hide types."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self._used: dict[str, Origin] = {}
        self._variables: set[str] = set()

    def of(self, origin: Origin) -> str:
        """What the stub calls it."""
        if not origin.name:
            local = SHORT.get(origin.module, "_" + origin.module.replace(".", "_"))
        elif origin.module == "builtins" and origin.name not in self.taken:
            return origin.name
        else:
            local = origin.name if origin.name not in self.taken else f"_{origin.name}"
        while self._used.get(local, origin) != origin:
            local = f"_{local}"
        self._used[local] = origin
        return local

    def variable(self, name: str) -> ast.expr:
        """A type variable."""
        self._variables.add(name)
        self.of(Origin("typing", VARIABLES[name]))
        return ast.Name(f"_{name}", ast.Load())

    def imports(self) -> str:
        """The import statements, sorted, and what type variables there are."""
        modules: list[str] = []
        members: dict[str, list[str]] = {}
        for local, origin in self._used.items():
            if not origin.name:
                modules.append(f"import {origin.module} as {local}")
            else:
                said = origin.name if local == origin.name else f"{origin.name} as {local}"
                members.setdefault(origin.module, []).append(said)
        lines = sorted(modules)
        for module, taken in sorted(members.items()):
            line = f"from {module} import {', '.join(sorted(taken))}"
            if len(line) > 120:
                line = f"from {module} import (\n    " + ",\n    ".join(sorted(taken)) + ",\n)"
            lines.append(line)
        lines += [f'_{name} = {VARIABLES[name]}("_{name}")' for name in sorted(self._variables)]
        return "\n".join(lines)


class Unknown(Exception):
    """A type that a stub cannot say."""


class Annotation(ast.NodeTransformer):
    """One annotation of a module of polars, rewritten. `given`: it is an argument's."""

    def __init__(self, module: str, names: Names, given: bool) -> None:
        self._module, self._names, self._given = module, names, given
        self._in_callable = False

    def text(self, node: ast.expr | None) -> str:
        """The annotation as the stub says it."""
        if node is None:
            return "Any"
        return quoted(ast.unparse(self.visit(ast.parse(ast.unparse(node), mode="eval").body)))

    def _rewritten(self, node: ast.expr) -> ast.expr:
        found: ast.expr = self.visit(node)
        return found

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, str):
            return self._rewritten(ast.parse(node.value, mode="eval").body)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        head = ast.unparse(node.value)
        if head == "Literal":
            return ast.Subscript(self.visit(node.value), node.slice, ast.Load())
        before, self._in_callable = self._in_callable, self._in_callable or head == "Callable"
        value = self.visit(node.value)
        if ast.unparse(value) == "Any":  # a type that is not known here, of something
            found: ast.expr = value
        else:
            inner = self.visit(node.slice)
            if self._given and head.startswith("list") and "Remote" in ast.unparse(inner):
                value = self._plain(Origin("collections.abc", "Sequence"))  # a list[RemoteSeries] is none of the union
            found = ast.Subscript(value, inner, ast.Load())
        self._in_callable = before
        return found

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        parts = [self._rewritten(each) for each in _alternatives(node)]
        parts = [each for part in parts for each in _alternatives(part)]
        unique = list({ast.unparse(each): each for each in parts}.values())
        found = unique[0]
        for each in unique[1:]:
            found = ast.BinOp(found, ast.BitOr(), each)
        return found

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        chain = ast.unparse(node).split(".")
        origin = origins(self._module).get(chain[0])
        if origin is None and chain[0] in VARIABLES:
            return ast.Attribute(self._names.variable(chain[0]), node.attr, ast.Load())
        if origin is None:
            raise Unknown(ast.unparse(node))
        if origin.name:  # `from polars._dependencies import numpy as np` is a module, too
            path = [origin.name, *chain[1:]] if origin.module == "polars._dependencies" else [origin.module, *chain[1:]]
        else:
            path = [*origin.module.split("."), *chain[1:]]
        if path[0] == "polars":
            return self._named(Origin(".".join(path[:-1]), path[-1]))
        if path[0] not in KNOWN_PACKAGES:
            return self._plain(Origin("typing", "Any"))
        return _expression(f"{self._names.of(Origin('.'.join(path[:-1])))}.{path[-1]}")

    def visit_Name(self, node: ast.Name) -> ast.expr:
        origin = origins(self._module).get(node.id)
        if origin is None:
            if node.id in VARIABLES:
                return self._names.variable(node.id)
            if not hasattr(builtins, node.id):
                raise Unknown(node.id)
            origin = Origin("builtins", node.id)
        if not origin.name:
            raise Unknown(node.id)
        return self._named(origin)

    def _named(self, origin: Origin) -> ast.expr:
        name = origin.name
        if origin.module == "polars._reexport":
            origin = Origin(getattr(_value(origin), "__module__", origin.module), name)
        if origin.module == "typing_extensions" and hasattr(typing, name):
            origin = Origin("typing", name)
        if origin.module.partition(".")[0] not in KNOWN_PACKAGES and origin.module != "typing_extensions":
            return self._plain(Origin("typing", "Any"))
        if origin.module.partition(".")[0] != "polars":
            return self._plain(origin)
        value = _value(origin)
        if isinstance(value, typing.TypeVar):
            return self._type_variable(value)
        if name in REMOTE and (name in OPERANDS or not self._given):
            if self._in_callable:
                return _expression(self._polars(origin))
            remote = self._names.of(Origin(HOMES[REMOTE[name]], REMOTE[name]))
            return _expression(f"{self._polars(origin)} | {remote}" if self._given else remote)
        more = sorted(unions().get(name, ())) if self._given and not self._in_callable else []
        also = "".join(f" | {self._names.of(Origin(HOMES[REMOTE[each]], REMOTE[each]))}" for each in more)
        return _expression(self._polars(origin) + also)

    def _type_variable(self, variable: typing.TypeVar) -> ast.expr:
        """Any of the frames that it may be: what comes out is said by the method."""
        names = [getattr(each, "__forward_arg__", each) for each in variable.__constraints__]  # text, with some Pythons
        kinds = [each for each in names if each in OPERANDS]
        if not kinds:
            raise Unknown(variable.__name__)
        return _expression(" | ".join(ast.unparse(self._named(Origin("polars", kind))) for kind in kinds))

    def _polars(self, origin: Origin) -> str:
        """A name of polars: `pl.Expr` where it is public."""
        if not origin.name.startswith("_") and origin.name in pl.__all__:
            return f"{self._names.of(Origin('polars'))}.{origin.name}"
        return self._names.of(origin)

    def _plain(self, origin: Origin) -> ast.expr:
        return ast.Name(self._names.of(origin), ast.Load())


def quoted(text: str) -> str:
    """Code with strings in double quotes."""
    return re.sub(r"'([^'\"\\]*)'", r'"\1"', text)


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _value(origin: Origin) -> object:
    try:
        return getattr(importlib.import_module(origin.module), origin.name, None)
    except ImportError:
        return None
