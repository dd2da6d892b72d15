"""Modules that are not imported: what their source says is in them, without running any of it.

Rule: a module is found as `import` finds it, but for its parents, which are not imported; its source is parsed in
pieces, because a parse holds the GIL, and nothing but an outline of it is kept. What an outline says is what is most
likely: the last definition of a name counts, both sides of an `if` do. Place: under browse.py, beside
browse_objects.py, which has what is imported.
"""

from __future__ import annotations

import ast
import os
import re
import stat
import sys
import tokenize
import warnings
from collections import OrderedDict
from importlib.machinery import SOURCE_SUFFIXES
from itertools import islice
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from beampy.code.browse_signature import (
    BOTH,
    KEYWORD,
    KEYWORDS,
    LONGEST,
    ONLY,
    REST,
    One,
    Shape,
    cut,
    own_dict,
    shown,
)
from beampy.code.classify_find import on_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOC: Final = 100_000  # characters of a docstring: the longest of numpy has 30,000
LINE: Final = 200  # characters of its first line
FILE: Final = 2 * 1024 * 1024  # bytes of a source file: larger ones are tables that a program has written
PIECE: Final = 16 * 1024  # characters parsed at once: 2 ms of the GIL, 11 ms where the code is dense
STATEMENT: Final = 256 * 1024  # characters of the longest statement that is parsed: some 100 ms of the GIL
KEPT: Final = 64  # outlines
NAMES: Final = 20_000  # names of one module: what a program has written
NESTED: Final = 20  # blocks in blocks
NAME: Final = "<outline>"  # what a parser's warnings say of where they are: we ignore them
FOLDERS: Final = 1000  # entries of a package's path

_begins = re.compile(r"(?:def|class|async def)\b|@")


class NoSource(OSError):
    """There is no source of it, for the reason given."""


class Item(NamedTuple):
    """A name of a module or class. `target`: the module and the name there that it is imported from."""

    kind: str
    signature: str | None = None
    doc: str = ""
    first: int = 0
    last: int = 0
    members: dict[str, Item] | None = None
    bases: tuple[str, ...] = ()
    target: tuple[str, str] | None = None
    hidden: bool = False  # for type checkers only


class Outline(NamedTuple):
    """What a source says. `stars`: modules of which it imports all names. `public`: its __all__."""

    doc: str
    items: dict[str, Item]
    stars: tuple[str, ...]
    public: tuple[str, ...] | None

    def find(self, qualname: str) -> Item | None:
        """A definition by its qualified name."""
        items: dict[str, Item] | None = self.items
        item = None
        for part in qualname.split("."):
            item = None if items is None else items.get(part)
            if item is None:
                return None
            items = item.members
        return item


class Located(NamedTuple):
    """A module as the finders know it. `file` is None where there is no Python source; `path`: of a package."""

    name: str
    file: str | None
    path: list[str] | None


# finding


def locate(name: str) -> Located | None:
    """Find a module without importing its parents; None where there is none."""
    parent, _, tail = name.rpartition(".")
    path = search_path(parent) if parent else None
    if parent and path is None:
        return None
    for finder in list(sys.meta_path):
        spec: Any
        try:
            try:
                spec = finder.find_spec(name, path)
            except KeyError:  # of a namespace package in another one, PathFinder wants that one imported
                spec = on_path(name, path or ())
        except Exception:  # anybody's code, and of parents that are not imported
            continue
        if spec is None:
            continue
        origin = spec.origin if spec.has_location else None
        file = origin if type(origin) is str and origin.endswith(tuple(SOURCE_SUFFIXES)) else None
        if spec.submodule_search_locations is None:
            return Located(name, file, None)
        try:
            folders = list(islice(spec.submodule_search_locations, FOLDERS))
        except KeyError:  # a namespace package asks its parent, which is not imported
            folders = [os.path.join(entry, tail) for entry in path or sys.path]
        return Located(name, file, [folder for folder in folders if type(folder) is str])
    return None


def search_path(package: str) -> list[str] | None:
    """Where the submodules of a package are; None where it is none."""
    there = sys.modules.get(package)
    if there is not None and issubclass(type(there), ModuleType):
        path: Any = own_dict(there).get("__path__")
        if path is None:
            return None
        try:
            return [folder for folder in islice(path, FOLDERS) if type(folder) is str]
        except Exception:  # anybody's code
            return None
    found = locate(package)
    return None if found is None else found.path


# reading

_outlines: OrderedDict[tuple[str, str, int, int], Outline] = OrderedDict()
_lock = Lock()


def read(module: Located) -> Outline:
    """The outline of a module's source. OSError, SyntaxError and ValueError where it cannot be read."""
    assert module.file is not None
    found = os.stat(module.file)
    key = (module.name, module.file, found.st_mtime_ns, found.st_size)
    with _lock:
        known = _outlines.get(key)
        if known is not None:
            _outlines.move_to_end(key)
            return known
    package = module.name if module.path is not None else module.name.rpartition(".")[0]
    outline = outline_of(text_of(module.file), package)
    with _lock:
        _outlines[key] = outline
        while len(_outlines) > KEPT:
            _outlines.popitem(last=False)
    return outline


def text_of(file: str) -> str:
    """The text of a source file. OSError, SyntaxError, ValueError."""
    found = os.stat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_size > FILE:
        raise OSError(f"{file} is no file of at most {FILE} bytes")
    with tokenize.open(file) as lines:
        return lines.read(FILE)


def lines_in(text: str) -> list[str]:
    """Its lines as Python counts them: a form feed ends none."""
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")]


def outline_of(text: str, package: str = "") -> Outline:
    """What a source says; `package` is what its relative imports start from. SyntaxError, ValueError."""
    reader = Reader(package)
    doc = ""
    items: dict[str, Item] = {}
    for at, tree in enumerate(parsed(text)):
        if not at:
            doc = ast.get_docstring(tree) or ""
        reader.block(tree.body, items, None, NESTED)
    return Outline(doc[:DOC], items, tuple(dict.fromkeys(reader.stars)), reader.public)


def parsed(text: str) -> Iterator[ast.Module]:
    """The trees of a source's pieces, with its line numbers."""
    lines = lines_in(text)
    begin = 0
    size = tried = 0
    for at, line in enumerate([*lines, ""]):
        end = at == len(lines)
        if not end and (size < tried + PIECE or not _begins.match(line) or lines[at - 1].startswith("@")):
            size += len(line)
            if size > STATEMENT:
                raise ValueError(f"line {begin + 1} begins a statement of more than {STATEMENT} characters")
            continue
        try:
            tree = _parse("\n" * begin + "".join(lines[begin:at]))
        except SyntaxError:
            if end or size > STATEMENT:
                raise
            tried = size = size + len(line)  # in the middle of a string: it goes on
            continue
        yield tree
        begin, size, tried = at, len(line), 0


def _parse(text: str) -> ast.Module:
    # Escapes that Python does not know are its author's business. A filter of our own, renewed where somebody has
    # restored older ones, harms no other thread, as warnings.catch_warnings would.
    warnings.filterwarnings("ignore", module=NAME)
    try:
        return ast.parse(text, NAME)
    except (RecursionError, MemoryError) as error:
        raise SyntaxError(f"too deep: {error}") from None


class Reader:
    """Makes an outline of trees."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.stars: list[str] = []
        self.public: tuple[str, ...] | None = None

    def block(self, body: Sequence[ast.stmt], into: dict[str, Item], cls: str | None, deep: int) -> None:
        """The names that statements bind."""
        for one in body:
            if len(into) >= NAMES or not deep:
                return
            match one:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    into[one.name] = function(one, cls is not None)
                case ast.ClassDef():
                    into[one.name] = self.class_(one, deep)
                case ast.Import():
                    for name in one.names:
                        top = name.name if name.asname else name.name.partition(".")[0]
                        into[name.asname or top] = Item("import", target=(top, ""))
                case ast.ImportFrom():
                    self.import_from(one, into)
                case ast.Assign(targets=targets):
                    for target in targets:
                        self.bind(target, one, into)
                        if cls is None and isinstance(target, ast.Name) and target.id == "__all__":
                            self.public = strings(one.value)
                case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                    self.bind(target, one, into)
                case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                    aside: dict[str, Item] = {}
                    stars = len(self.stars)
                    self.block(one.body, aside, cls, deep - 1)
                    del self.stars[stars:]
                    for key, item in aside.items():
                        into.setdefault(key, item._replace(hidden=True))
                    self.block(one.orelse, into, cls, deep - 1)
                case _:
                    self.inside(one, into, cls, deep - 1)

    def inside(self, one: ast.stmt, into: dict[str, Item], cls: str | None, deep: int) -> None:
        """Statements with others in them, and the names that they bind."""
        if isinstance(one, ast.For | ast.AsyncFor):
            self.bind(one.target, one, into)
        for with_item in getattr(one, "items", ()):
            if with_item.optional_vars is not None:
                self.bind(with_item.optional_vars, one, into)
        for field in ("handlers", "body", "orelse", "finalbody", "cases"):
            inner = getattr(one, field, None)
            if not isinstance(inner, list):
                continue
            for other in inner:
                if not isinstance(other, ast.stmt):  # a handler, a case
                    self.block(other.body, into, cls, deep)
            self.block([other for other in inner if isinstance(other, ast.stmt)], into, cls, deep)
        alias = getattr(one, "name", None)  # type X = …
        if isinstance(alias, ast.Name):
            self.bind(alias, one, into)

    def import_from(self, one: ast.ImportFrom, into: dict[str, Item]) -> None:
        """`from … import …`, relative ones too."""
        base = one.module or ""
        if one.level:
            parts = self.package.split(".")
            parts = parts[: len(parts) - one.level + 1]
            base = ".".join([*parts, *([base] if base else [])])
        for name in one.names:
            if name.name == "*":
                self.stars.append(base)
            else:
                into[name.asname or name.name] = Item("import", target=(base, name.name))

    def bind(self, target: ast.AST, one: ast.stmt, into: dict[str, Item]) -> None:
        """What an assignment binds."""
        match target:
            case ast.Name(id=name):
                into[name] = Item("value", first=one.lineno, last=one.end_lineno or one.lineno)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self.bind(part, one, into)
            case ast.Starred(value=part):
                self.bind(part, one, into)

    def class_(self, one: ast.ClassDef, deep: int) -> Item:
        """A class, with what its body binds."""
        members: dict[str, Item] = {}
        self.block(one.body, members, one.name, deep - 1)
        bases = tuple(text for base in one.bases if (text := dotted(base)))
        made = None
        for line in one.body:
            if isinstance(line, ast.FunctionDef) and line.name in ("__new__", "__init__"):
                made = cut(shown(shape(line).bound()._replace(returns="")), LONGEST)
        if made is None and (any(base.endswith(("NamedTuple", "BaseModel")) for base in bases) or is_dataclass(one)):
            made = cut(f"({', '.join(fields(one))})", LONGEST)
        return Item("class", made, _doc(one), begin(one), one.end_lineno or one.lineno, members, bases)


def function(one: ast.FunctionDef | ast.AsyncFunctionDef, in_class: bool) -> Item:
    """A function or method. A class's method has its self, a classmethod has not."""
    words = [dotted(name.func if isinstance(name, ast.Call) else name) for name in one.decorator_list]
    if in_class and any(word in ("property", "getter", "setter", "deleter", "cached_property") for word in last(words)):
        return Item("property", None, _doc(one), begin(one), one.end_lineno or one.lineno)
    takes = shape(one)
    if in_class and ("classmethod" in words or one.name == "__init_subclass__"):
        takes = takes.bound()
    kind = "method" if in_class else "function"
    return Item(kind, cut(shown(takes), LONGEST), _doc(one), begin(one), one.end_lineno or one.lineno)


def shape(one: ast.FunctionDef | ast.AsyncFunctionDef) -> Shape:
    """The parameters as they are written, with self or cls."""
    args = one.args
    positional = [*args.posonlyargs, *args.args]
    defaults = [*[None] * (len(positional) - len(args.defaults)), *args.defaults]

    def parameter(arg: ast.arg, kind: int, default: ast.expr | None = None) -> One:
        return One(arg.arg, kind, unparsed(default), unparsed(arg.annotation))

    found = [
        parameter(arg, ONLY if at < len(args.posonlyargs) else BOTH, default)
        for at, (arg, default) in enumerate(zip(positional, defaults, strict=True))
    ]
    if args.vararg is not None:
        found.append(parameter(args.vararg, REST))
    found += [parameter(arg, KEYWORD, default) for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    if args.kwarg is not None:
        found.append(parameter(args.kwarg, KEYWORDS))
    return Shape(found, unparsed(one.returns))


def unparsed(one: ast.expr | None) -> str:
    """An expression as text; "" where there is none."""
    return "" if one is None else cut(ast.unparse(one), LONGEST)


def last(words: list[str]) -> list[str]:
    """The last parts of dotted names."""
    return [word.rpartition(".")[2] for word in words]


def is_dataclass(one: ast.ClassDef) -> bool:
    """Whether a decorator makes an __init__ of its fields."""
    words = [dotted(name.func if isinstance(name, ast.Call) else name) for name in one.decorator_list]
    return any(word in ("dataclass", "define", "frozen") for word in last(words))


def fields(one: ast.ClassDef) -> list[str]:
    """The fields of a dataclass, as parameters."""
    found = []
    for line in one.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            hint = ast.unparse(line.annotation)
            if not re.match(r"(typing\.)?ClassVar\b", hint):
                found.append(f"{line.target.id}: {hint}" + (f" = {ast.unparse(line.value)}" if line.value else ""))
    return found


def dotted(one: ast.AST) -> str:
    """`a.b.c` as text, `Generic[T]` without its brackets; "" for anything else."""
    parts: list[str] = []
    if isinstance(one, ast.Subscript):
        one = one.value
    while isinstance(one, ast.Attribute):
        parts.append(one.attr)
        one = one.value
    return ".".join([one.id, *reversed(parts)]) if isinstance(one, ast.Name) else ""


def strings(one: ast.expr) -> tuple[str, ...] | None:
    """The strings of a list or tuple that is written out."""
    if not isinstance(one, ast.List | ast.Tuple):
        return None
    return tuple(part.value for part in one.elts if isinstance(part, ast.Constant) and isinstance(part.value, str))


def begin(one: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """The first line, that of its first decorator."""
    return min([one.lineno, *(name.lineno for name in one.decorator_list)])


def first_line(doc: str) -> str:
    """The first line that says something."""
    return cut(next((line.strip() for line in doc.splitlines() if line.strip()), ""), LINE)


def _doc(one: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    return (ast.get_docstring(one) or "")[:DOC]
