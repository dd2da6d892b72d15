"""What a cell's own text says about its names: imports, definitions, parameters, what is assigned from what.

    names = Scope("import numpy as np\\nx = np.zeros(3)\\nx.", 2)
    names.meaning("x") == Meaning(Target("module", "numpy", (("attr", "zeros"), ("call", ""))))

Rule: the text is parsed without the statement that is being written; what cannot be parsed is left out, piece by
piece. A name means what the nearest binding says: of the function that the cursor is in, of those around it, of the
cell. What a name stands for elsewhere is written as a Target, which the node that knows it can follow; nothing is
looked up here. No effects. Place: between cursor.py, and remote_names.py, which follows targets.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final, NamedTuple

from beampy.code import browse_source
from beampy.code.browse_source import Item, Reader, function
from beampy.notebook.parameters import without_self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEEP: Final = 12  # names that stand for names
TRIES: Final = 12  # times that a text is parsed with more of it left out
NAMES: Final = 5000  # names of one text
STEPS: Final = 40  # steps of a target

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Target(NamedTuple):
    """How an object is reached: from a root, by steps. Hashable, and plain values only, so it travels.

    root    "name": a name of the cell's namespace, else a builtin; "module"; "from": "module:name", what `from module
            import name` gives; "class": an instance of a builtin class, as a literal is
    steps   ("attr", name), ("item", index as text), ("call", "") or ("await", "")
    """

    root: str
    name: str
    steps: tuple[tuple[str, str], ...] = ()

    def then(self, step: str, what: str = "") -> Target | None:
        """One step on."""
        return self._replace(steps=(*self.steps, (step, what))) if len(self.steps) < STEPS else None


class Meaning(NamedTuple):
    """What a name or expression is: something that the text defines (`item`), or something elsewhere (`target`).

    `made`: an instance of the class that `item` is. Neither: nothing is known, but that it is there.
    """

    target: Target | None = None
    item: Item | None = None
    made: bool = False


UNKNOWN: Final = Meaning()


class Scope:
    """The names that a text binds, as they are seen from a line of it (from 0)."""

    def __init__(self, text: str, line: int, last: int | None = None) -> None:
        self.levels: list[dict[str, _Binding]] = [{}]  # the cell's, then those of the functions around the cursor
        tree = parsed(text, line, line if last is None else last)
        if tree is not None:
            self._block(tree.body, self.levels[0])
            self._inside(tree, line + 1)

    def names(self) -> dict[str, Meaning]:
        """All that are seen, the nearest first."""
        found: dict[str, Meaning] = {}
        for level in reversed(self.levels):
            for name, binding in level.items():
                found.setdefault(name, Meaning(item=binding.item) if binding.item is not None else UNKNOWN)
        return found

    def bound(self, name: str) -> bool:
        """Whether the text binds a name."""
        return any(name in level for level in self.levels)

    def meaning(self, name: str) -> Meaning:
        """What a name is; of one that the text does not bind: the name of the namespace."""
        return self._name(name, DEEP)

    def expression(self, text: str) -> Meaning:
        """What an expression is, as far as it can be said."""
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return UNKNOWN
        return self._value(tree.body, DEEP)

    # what things are

    def _name(self, name: str, deep: int) -> Meaning:
        binding = next((level[name] for level in reversed(self.levels) if name in level), None)
        if binding is None:
            return Meaning(Target("name", name))
        if binding.item is not None:
            return Meaning(item=binding.item)
        if binding.target is not None:
            return Meaning(binding.target)
        if binding.value is None or not deep:
            return UNKNOWN
        found = self._value(binding.value, deep - 1, name)
        return self._called(found) if binding.called else found

    def _value(self, one: ast.expr, deep: int, but: str = "") -> Meaning:
        if not deep:
            return UNKNOWN
        match one:
            case ast.Name(id=name):
                return Meaning(Target("name", name)) if name == but else self._name(name, deep - 1)
            case ast.Attribute(value=base, attr=name):
                return self._attribute(self._value(base, deep - 1, but), name)
            case ast.Call(func=called):
                return self._called(self._value(called, deep - 1, but))
            case ast.Await(value=inner):
                found = self._value(inner, deep - 1, but)
                return self._step(found, "await") if found.target else found
            case ast.Subscript(value=base, slice=ast.Constant(value=int() | str() as key)):
                return self._step(self._value(base, deep - 1, but), "item", repr(key))
            case ast.Constant(value=value) if value is not None:
                return Meaning(Target("class", type(value).__name__))
            case ast.JoinedStr():
                return Meaning(Target("class", "str"))
            case ast.List() | ast.ListComp():
                return Meaning(Target("class", "list"))
            case ast.Dict() | ast.DictComp():
                return Meaning(Target("class", "dict"))
            case ast.Set() | ast.SetComp():
                return Meaning(Target("class", "set"))
            case ast.Tuple():
                return Meaning(Target("class", "tuple"))
        return UNKNOWN

    def _attribute(self, found: Meaning, name: str) -> Meaning:
        if found.item is None:
            return self._step(found, "attr", name)
        item = (found.item.members or {}).get(name)
        return UNKNOWN if item is None else Meaning(item=bound(item) if found.made else item)

    def _called(self, found: Meaning) -> Meaning:
        if found.item is not None:
            return Meaning(item=found.item, made=True) if found.item.kind == "class" and not found.made else UNKNOWN
        return self._step(found, "call")

    def _step(self, found: Meaning, step: str, what: str = "") -> Meaning:
        return UNKNOWN if found.target is None else Meaning(found.target.then(step, what))

    # what is bound

    def _inside(self, tree: ast.AST, line: int) -> None:
        """The functions around the line, from the outermost: what they bind."""
        for one in ast.iter_child_nodes(tree):
            first, last = getattr(one, "lineno", None), getattr(one, "end_lineno", None)
            if first is not None and last is not None and not first <= line <= last:
                continue
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and line >= first_of_body(one):
                level: dict[str, _Binding] = {}
                for arg in parameters(one.args):
                    level[arg.arg] = _Binding(value=arg.annotation, called=arg.annotation is not None)
                if isinstance(tree, ast.ClassDef) and level:
                    level[next(iter(level))] = _Binding(value=ast.Name(tree.name), called=True)  # self
                if not isinstance(one, ast.Lambda):
                    self._block(one.body, level)
                self.levels.append(level)
            self._inside(one, line)

    def _block(self, body: Sequence[ast.stmt], into: dict[str, _Binding]) -> None:
        for one in body:
            if len(into) > NAMES:
                return
            match one:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    into[one.name] = _Binding(function(one, False))
                case ast.ClassDef():
                    into[one.name] = _Binding(Reader("").class_(one, DEEP))
                case ast.Import():
                    for alias in one.names:
                        top = alias.name if alias.asname else alias.name.partition(".")[0]
                        into[alias.asname or top] = _Binding(target=Target("module", top))
                case ast.ImportFrom():
                    for alias in one.names:
                        if alias.name != "*" and not one.level:
                            target = Target("from", f"{one.module}:{alias.name}")
                            into[alias.asname or alias.name] = _Binding(target=target)
                case _:
                    for expression in _expressions(one):
                        self._assigned_inside(expression, into)
                    self._statement(one, into)

    def _statement(self, one: ast.stmt, into: dict[str, _Binding]) -> None:
        match one:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value, into)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=hint, value=made):
                into[name] = _Binding(value=made) if isinstance(made, ast.Call) else _Binding(value=hint, called=True)
            case ast.For(target=target) | ast.AsyncFor(target=target):
                self._bind(target, None, into)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for item in items:
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars, item.context_expr, into)
            case ast.Try(handlers=handlers) | ast.TryStar(handlers=handlers):
                for handler in handlers:
                    if handler.name:
                        into[handler.name] = _Binding(value=handler.type, called=True)
        for inner in _blocks(one):
            self._block(inner, into)

    def _assigned_inside(self, one: ast.expr, into: dict[str, _Binding]) -> None:
        """`:=`, and the names of comprehensions, which are seen where they are written."""
        for inner in ast.walk(one):
            if isinstance(inner, ast.NamedExpr):
                self._bind(inner.target, inner.value, into)

    def _bind(self, target: ast.expr, value: ast.expr | None, into: dict[str, _Binding]) -> None:
        match target:
            case ast.Name(id=name):
                into[name] = _Binding(value=value)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self._bind(part, None, into)
            case ast.Starred(value=part):
                self._bind(part, None, into)


class _Binding(NamedTuple):
    item: Item | None = None  # what the text defines
    target: Target | None = None  # what it imports
    value: ast.expr | None = None  # what it is assigned from
    called: bool = False  # an instance of `value`


def bound(item: Item) -> Item:
    """A method as an instance has it: without its self."""
    text = item.signature
    return item if item.kind != "method" or text is None else item._replace(signature=without_self(text))


def parameters(args: ast.arguments) -> Iterator[ast.arg]:
    """All of a function's, in order."""
    yield from args.posonlyargs
    yield from args.args
    if args.vararg is not None:
        yield args.vararg
    yield from args.kwonlyargs
    if args.kwarg is not None:
        yield args.kwarg


def first_of_body(one: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> int:
    """The line after its head."""
    if isinstance(one, ast.Lambda):
        return one.lineno
    last = max([one.lineno, *(arg.end_lineno or 0 for arg in parameters(one.args))])
    return min(one.body[0].lineno, last + 1)


def _blocks(one: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(one, field, None)
        if isinstance(inner, list):
            yield [part for part in inner if isinstance(part, ast.stmt)]
            yield from (part.body for part in inner if isinstance(part, ast.ExceptHandler | ast.match_case))


def _expressions(one: ast.stmt) -> Iterator[ast.expr]:
    for field in ("value", "test", "iter"):
        inner = getattr(one, field, None)
        if isinstance(inner, ast.expr):
            yield inner


# parsing what is not finished


def parsed(text: str, first: int, last: int) -> ast.Module | None:
    """The tree of a text whose lines `first` to `last` (from 0) are being written."""
    lines = [_plain(line) for line in text.split("\n")]
    if first < len(lines) and not lines[first].strip():
        lines[first] = _nothing(lines[first])  # it belongs to the block that it is indented like
    tree, wrong = _attempt(lines)
    if tree is None:
        for at in range(first, min(last + 1, len(lines))):
            lines[at] = _nothing(lines[at]) if at == first else ""
    for _ in range(TRIES):
        if tree is not None:
            return tree
        tree, wrong = _attempt(lines)
        if tree is not None or wrong is None or not 0 <= wrong < len(lines):
            continue
        if lines[wrong].strip() in ("", "pass"):
            del lines[max(1, min(wrong, first)) :]  # it is not where it says
        else:
            lines[wrong] = _nothing(lines[wrong])
    return _attempt(lines[:first])[0]


def _plain(line: str) -> str:
    """A line without what IPython adds to Python."""
    begin = line.strip()
    return _nothing(line) if begin.startswith(("%", "!", "?")) or begin.endswith("?") else line


def _nothing(line: str) -> str:
    return line[: len(line) - len(line.lstrip())] + "pass"


def _attempt(lines: list[str]) -> tuple[ast.Module | None, int | None]:
    """The tree, or the line (from 0) that is wrong."""
    try:
        return browse_source._parse("\n".join(lines)), None
    except SyntaxError as error:
        return None, None if error.lineno is None else error.lineno - 1
    except ValueError:  # a null character
        return None, None
