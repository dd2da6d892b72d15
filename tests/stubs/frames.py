"""Writes beampy/frames/methods.pyi: what type checkers and editors know of polars' methods on remote frames.

    python -m tests.stubs.frames            # writes it, for the polars that is installed
    python -m tests.stubs.frames --check    # exits with 1 where it is not what it would write

Rule: polars' source is read: parameters, defaults and overloads are its own. What a method gives is what surface.py
says; annotations.py says which frames may go in. What is refused is not written, and names that remote frames have
themselves are theirs: they are typed where they are.

Place: a script of who works on beampy; tests/unit/frames/test_stubs.py holds the file to it.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from beampy.frames.dataframe import OPERATORS as FRAME_OPERATORS
from beampy.frames.place import BY_ARGUMENT
from beampy.frames.series import OPERATORS as SERIES_OPERATORS
from beampy.frames.surface import EAGER, Gives, class_of, functions, gives_of, namespaces, surface
from tests.stubs.annotations import HOMES, REMOTE, Annotation, Names, Origin, quoted, tree_of
from tests.stubs.written_file import command

TARGET = Path(__file__).resolve().parents[2] / "beampy" / "frames" / "methods.pyi"
VERSION = "# polars "
HEADER = '''"""Polars' methods on remote frames, for type checkers. `python -m tests.stubs.frames` writes them."""

{version}
# fmt: off
# ruff: noqa
# mypy: disable-error-code="override, overload-overlap, overload-cannot-match, misc, import-untyped, import-not-found"
# pyright: reportIncompatibleMethodOverride=false, reportOverlappingOverload=false, reportInvalidTypeVarUse=false
# pyright: reportInvalidTypeArguments=false, reportMissingImports=false, reportMissingTypeStubs=false
'''
WIDTH = 120
ITEMS = ("__getitem__", "__setitem__")


class Kind(NamedTuple):
    """A class of the stub: polars' class, and the dunder methods that it has."""

    stub: str
    kind: str
    operators: tuple[str, ...] = ()
    doc: str = ""


KINDS = (
    Kind(
        "DataFrameMethods",
        "DataFrame",
        (*(f"__{name}__" for name in FRAME_OPERATORS), *ITEMS),
        "`polars.DataFrame`'s, of a RemoteDataFrame.",
    ),
    Kind("LazyFrameMethods", "LazyFrame", (), "`polars.LazyFrame`'s, of a RemoteLazyFrame."),
    Kind("SeriesMethods", "Series", (*SERIES_OPERATORS, *ITEMS), "`polars.Series`', of a RemoteSeries."),
    Kind("GroupByMethods", "GroupBy", (), "`polars.dataframe.group_by.GroupBy`'s, of a RemoteGroupBy."),
    Kind("WindowGroupByMethods", "RollingGroupBy", (), "`polars.dataframe.group_by.RollingGroupBy`'s, from afar."),
    Kind("LazyGroupByMethods", "LazyGroupBy", (), "`polars.lazyframe.group_by.LazyGroupBy`'s, of a RemoteLazyGroupBy."),
    *(
        Kind(f"Remote{space.capitalize()}Namespace", f"Series.{space}", (), f"`polars.Series.{space}`, from afar.")
        for space in namespaces("Series")
    ),
)


class Source(NamedTuple):
    """A function in polars' source."""

    module: str
    node: ast.FunctionDef

    @property
    def decorators(self) -> set[str]:
        return {ast.unparse(each).partition("(")[0] for each in self.node.decorator_list}


def written() -> str:
    """The whole stub."""
    names = Names()
    classes = [_class(kind, names) for kind in KINDS]
    classes.append(_place(names))
    version = f"{VERSION}{pl.__version__}"
    return "\n".join([HEADER.format(version=version), names.imports(), "", *classes])


def version_of(stub: str) -> str:
    """The polars that a stub was written for."""
    return next(line.removeprefix(VERSION) for line in stub.splitlines() if line.startswith(VERSION))


# classes


def _class(kind: Kind, names: Names) -> str:
    lines = [f"class {kind.stub}:", f'    """{kind.doc}"""', ""]
    cls = class_of(kind.kind)
    names.taken = set(surface(kind.kind))
    for name, entry in surface(kind.kind).items():
        if entry.gives in (Gives.REFUSED, Gives.OURS):
            continue
        if entry.gives is Gives.NAMESPACE:
            space = f"Remote{name.capitalize()}Namespace"
            lines += ["    @property", f"    def {name}(self) -> {space}:", f"        {_doc(cls, name)}"]
            continue
        lines += _method(_sources(cls, name), name, entry.gives, _doc(cls, name), names)
    spaced = ("__getitem__",) if "." in kind.kind and hasattr(cls, "__getitem__") else ()
    for name in (*kind.operators, *spaced):
        lines += _method(_sources(cls, name), name, None, "", names)
    return "\n".join(lines) + "\n"


def _place(names: Names) -> str:
    names.taken = set(functions())
    lines = ["class PlaceFunctions:", '    """Polars\' functions that make frames, of `bp.frames.on(node)`."""', ""]
    for name in functions():
        gives = gives_of(name)
        assert gives is not None
        original = getattr(pl, name)
        if isinstance(original, type):
            sources = [_ready(each) for each in _sources(original, "__init__")]
        else:
            sources = [_with_self(each) for each in _functions(inspect.unwrap(original))]
        eager = name in EAGER or name == "select"
        said = None if name in BY_ARGUMENT else gives
        lines += _method(_one_by_one(sources), name, said, _first(original.__doc__), names, eager)
    return "\n".join(lines) + "\n"


def _sources(cls: type, name: str) -> list[Source]:
    """A method in the source: its overloads, or the one. Of a setter, too."""
    for each in cls.__mro__:
        if not each.__module__.startswith("polars"):
            continue
        found = _methods(each.__module__, each.__name__).get(name)
        if found:
            return _overloads([Source(each.__module__, one) for one in found])
    raise LookupError(f"polars' source has no {cls.__name__}.{name}")


@cache
def _methods(module: str, name: str) -> dict[str, list[ast.FunctionDef]]:
    """The functions of a class, those under an `if` as well."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for node in tree_of(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for one in ast.walk(node):
                if isinstance(one, ast.FunctionDef):
                    found.setdefault(one.name, []).append(one)
    return found


def _functions(fn: Any) -> list[Source]:
    nodes = [one for one in tree_of(fn.__module__).body if isinstance(one, ast.FunctionDef) and one.name == fn.__name__]
    if not nodes:
        raise LookupError(f"polars' source has no {fn.__module__}.{fn.__name__}")
    return _overloads([Source(fn.__module__, one) for one in nodes])


def _overloads(found: list[Source]) -> list[Source]:
    found.sort(key=lambda each: each.node.lineno)
    overloads = [each for each in found if "overload" in each.decorators]
    return overloads or found


VARIABLES = {"PolarsType": ("DataFrame", "LazyFrame", "Series"), "FrameType": ("DataFrame", "LazyFrame")}


def _one_by_one(sources: list[Source]) -> list[Source]:
    """An overload for each kind of frame, where a type variable says that what goes in comes out."""
    found = []
    for source in sources:
        variable = ast.unparse(source.node.returns) if source.node.returns else ""
        if variable not in VARIABLES:
            found.append(source)
            continue
        for kind in VARIABLES[variable]:
            node = ast.parse(re.sub(rf"\b{variable}\b", kind, ast.unparse(source.node))).body[0]
            assert isinstance(node, ast.FunctionDef)
            found.append(Source(source.module, node))
    return found


def _with_self(source: Source) -> Source:
    node = ast.parse(ast.unparse(source.node)).body[0]
    assert isinstance(node, ast.FunctionDef)
    (node.args.posonlyargs or node.args.args).insert(0, ast.arg("self"))
    return Source(source.module, node)


def _ready(source: Source) -> Source:
    """A class of polars, called."""
    return source


# methods


def _method(
    sources: list[Source], name: str, gives: Gives | None, doc: str, names: Names, eager: bool = False
) -> list[str]:
    """The lines of a method, with its overloads. `gives` None: as the annotation says, values as Handles."""
    heads: dict[str, list[str]] = {}
    for source in sorted(sources, key=_simplest_first):
        returned = _returned(source, gives, names)
        if returned is None:
            continue
        try:
            lines = _head(source, name, returned, names, eager)
        except _NotEager:
            continue
        decorators = [f"    @{each}" for each in _kept(source, name)]
        heads.setdefault("\n".join(lines), decorators)
    if not heads:
        raise LookupError(f"nothing is left of {name}")
    lines = []
    overloaded = len(heads) > 1 and not any("setter" in each for decorators in heads.values() for each in decorators)
    for number, (head, decorators) in enumerate(heads.items()):
        if overloaded:
            lines.append(f"    @{names.of(Origin('typing', 'overload'))}")
        lines += decorators
        if doc and number == (len(heads) - 1 if overloaded else 0):
            lines += [head, f"        {doc}"]
        else:
            lines.append(f"{head} ...")
    return lines


def _simplest_first(source: Source) -> bool:
    """Where an item's overloads are told apart by what they take, completers know the first best: `df["a"]`."""
    return source.node.name == "__getitem__" and not ast.unparse(source.node.args.args[1]).startswith("key: str ")


def _kept(source: Source, name: str) -> list[str]:
    said = source.decorators
    return [each for each in ("property", f"{name}.setter") if each in said]


class _NotEager(Exception):
    """An overload that gives an expression."""


def _head(source: Source, name: str, returned: str, names: Names, eager: bool) -> list[str]:
    """`def` and its parameters, over as many lines as it takes."""
    args = source.node.args
    said = Annotation(source.module, names, given=True)
    parts: list[str] = []

    def one(arg: ast.arg, default: ast.expr | None, stars: str = "") -> str:
        if arg.arg == "self":
            return "self"
        text = f"{stars}{arg.arg}: {said.text(arg.annotation)}"
        return text if default is None else f"{text} = {_default(default)}"

    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    for number, (arg, default) in enumerate(zip(positional, defaults, strict=True)):
        parts.append(one(arg, default))
        if args.posonlyargs and number == len(args.posonlyargs) - 1:
            parts.append("/")
    keywords = []
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if eager and arg.arg == "eager":
            if ast.unparse(arg.annotation or ast.Constant(None)) == "Literal[False]":
                raise _NotEager
            continue
        keywords.append(one(arg, default))
    if args.vararg is not None:
        parts.append(one(args.vararg, None, "*"))
    elif keywords:
        parts.append("*")
    parts += keywords
    if args.kwarg is not None:
        parts.append(one(args.kwarg, None, "**"))
    line = f"    def {name}({', '.join(parts)}) -> {returned}:"
    if len(line) + 4 <= WIDTH:
        return [line]
    inner = f"        {', '.join(parts)}"
    if len(inner) <= WIDTH:
        return [f"    def {name}(", inner, f"    ) -> {returned}:"]
    return [f"    def {name}(", *(f"        {part}," for part in parts), f"    ) -> {returned}:"]


def _default(node: ast.expr) -> str:
    """A default as it is written, where that says something."""
    if isinstance(node, ast.Constant) or (isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)):
        return quoted(ast.unparse(node)).replace("Ellipsis", "...")
    return "..."


REMOTE_OF = {
    Gives.FRAME: ("RemoteDataFrame", ("DataFrame", "LazyFrame")),
    Gives.LAZY: ("RemoteLazyFrame", ("LazyFrame",)),
    Gives.SERIES: ("RemoteSeries", ("Series",)),
    Gives.GROUPS: ("RemoteGroupBy", ("GroupBy",)),
    Gives.WINDOWS: ("RemoteWindowGroupBy", ("DynamicGroupBy", "RollingGroupBy")),
    Gives.LAZY_GROUPS: ("RemoteLazyGroupBy", ("LazyGroupBy",)),
}


def _returned(source: Source, gives: Gives | None, names: Names) -> str | None:
    """What it gives, as the stub says it. None: this overload gives what a remote frame cannot."""
    said = ast.unparse(source.node.returns) if source.node.returns else "Any"
    if said.startswith(("'", '"')):
        said = str(ast.literal_eval(said))
    alternatives = {each.strip().removeprefix("pl.") for each in said.split("|")}
    if gives in REMOTE_OF:
        name, kinds = REMOTE_OF[gives]
        if alternatives == {"Expr"}:
            return None
        wanted = {*kinds, "Self", "None", "Any", "PolarsType", "FrameType"}
        if source.node.name != "__init__" and not alternatives & wanted and "Expr" not in said:
            return None
        if alternatives in ({"DataFrame"}, {"LazyFrame"}) and name == "RemoteSeries":
            return None
        return names.of(Origin(HOMES[name], name))
    if gives is None:  # an operator
        alternatives.discard("Expr")
        if alternatives in (set(), {"None"}):
            return "None" if alternatives else None
        remote = {"Self": "RemoteSeries", **REMOTE}
        if alternatives <= remote.keys():
            return " | ".join(names.of(Origin(HOMES[remote[each]], remote[each])) for each in sorted(alternatives))
    if alternatives == {"Expr"}:
        said = "Any"
    inner = Annotation(source.module, names, given=False).text(ast.parse(said, mode="eval").body)
    return f"{names.of(Origin('beampy.handle', 'Handle'))}[{inner}]"


def _doc(cls: type, name: str) -> str:
    return _first(getattr(inspect.getattr_static(cls, name), "__doc__", None) or getattr(cls, name).__doc__)


def _first(doc: str | None) -> str:
    """The first sentence of a docstring, as a docstring."""
    lines = inspect.cleandoc(doc or "").splitlines()
    first = lines[0].strip() if lines else ""
    return f'"""{first}"""' if first and '"' not in first and "\\" not in first else "..."


def main() -> int:
    return command(__doc__, TARGET, written())


if __name__ == "__main__":
    sys.exit(main())
