"""Suggestions: what completes a cell at the cursor, of what runs on nodes.

    %%on b@localhost            pool.call(train, l⇥        ref.do.⇥
    model.fi⇥                                              bp.remote_call("b@localhost", "app.mod⇥

Rule: in a cell for a node nothing of the kernel's names is suggested. Keywords of a call come first, then what the cell
and its namespace bind, then Python's own. Of other cells only what IPython cannot know is answered here; None leaves
the rest to it.

Place: under completion.py, which hands it to frontends. views.py says what things are. It does not know IPython.
"""

from __future__ import annotations

import builtins
import keyword
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from beampy.code.browse_objects import Live
from beampy.notebook import on
from beampy.notebook.cursor import LONGEST, look
from beampy.notebook.parameters import left
from beampy.notebook.scope import Target
from beampy.notebook.views import PATH, Here, There, home_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beampy.notebook.cursor import Spot
    from beampy.notebook.questions import Questions

MOST: Final = 500  # items of an answer: IPython's own limit
SOFT_KEYWORDS: Final = ("match", "case", "type")

# The words of jedi, for which JupyterLab has its icons.
TYPES: Final = {"method": "function", "value": "instance", "import": "instance", "lazy": "instance"}


class Item(NamedTuple):
    """One suggestion. `signature` is shown beside it."""

    text: str
    type: str
    signature: str = ""


class Completions(NamedTuple):
    """What may stand from `start` to `end` of the code. `alone`: nobody else is asked."""

    start: int
    end: int
    items: list[Item]
    alone: bool = True


def complete(
    code: str, position: int, names: dict[str, Any], questions: Questions, until: float | None = None
) -> Completions | None:
    """What completes a cell at a position, in a notebook with these names. None: IPython knows better.

    until: when the answer has to be there, by the questions' clock.
    """
    if len(code) > LONGEST:
        return None
    until = questions.until() if until is None else until
    cell = on.parse(code)
    if cell is None:
        return _here(code, position, names, questions, until)
    inside = position - cell.body_offset
    if inside < 0 or code[cell.body_offset - 1] != "\n":
        return None  # the first line is on_magic.py's
    spot = look(cell.body, inside)
    line = cell.body.count("\n", 0, inside)
    view = There(cell, names, questions, spot, line, until)
    found = _there(view, spot)
    if not found:
        return Completions(position, position, [])
    begin, end = spot.start + _last_part(spot), max(spot.end, inside)
    return Completions(begin + cell.body_offset, end + cell.body_offset, found)


def _there(view: There, spot: Spot) -> list[Item]:
    match spot.kind:
        case "attribute":
            return items_of(view.rows(spot.base) or (), spot.prefix)
        case "name":
            arguments = keywords(view, spot)
            return [*arguments, *_names(view.names(), view.scope.names(), spot.prefix, {one.text for one in arguments})]
        case "import" | "from" | "member":
            return _imports(view, spot)
        case "key":
            return [Item(key, "instance") for key in view.keys(spot.base) if key.startswith(spot.prefix)][:MOST]
    return []


def _here(code: str, position: int, names: dict[str, Any], questions: Questions, until: float) -> Completions | None:
    spot = look(code, position)
    if spot.kind in ("", "key") or code.lstrip().startswith("%%"):
        return None
    if spot.kind == "name" and (spot.call is None or not spot.call.fresh):
        return None
    view = Here(code, names, questions, spot, code.count("\n", 0, position), until)
    match spot.kind:
        case "attribute":
            rows = view.rows(spot.base)
            return None if rows is None else Completions(spot.start, spot.end, items_of(rows, spot.prefix))
        case "name":
            arguments = keywords(view, spot)
            if not arguments:
                return None
            found = _space(names, spot.prefix)
            more = _names(found, view.scope.names(), spot.prefix, {one.text for one in arguments})
            return Completions(spot.start, spot.end, [*arguments, *more])
        case "import" | "from" | "member":
            items = _imports(view, spot)
            return Completions(spot.start + _last_part(spot), spot.end, items, alone=False) if items else None
        case "text":
            return _text(view, spot)
    return None


def _last_part(spot: Spot) -> int:
    """Where the last part of a module's name begins in what is written of it."""
    return spot.prefix.rfind(".") + 1 if spot.kind in ("import", "from") else 0


# names


def keywords(view: There | Here, spot: Spot) -> list[Item]:
    """The keyword arguments that can stand at the cursor."""
    if spot.call is None or not spot.call.fresh:
        return []
    found = view.called(spot.call)
    if found is None or found[0] is None:
        return []
    signature, position = found[0], found[1]
    return [
        Item(f"{one.name}=", "param", one.text)
        for one in left(signature, position, spot.call.given)
        if one.name.startswith(spot.prefix)
    ]


def items_of(rows: Iterable[tuple[Any, ...]], prefix: str) -> list[Item]:
    """Those of an answer that fit; private names only where they are asked for."""
    fitting = [row for row in rows if fits(row[0], prefix)]
    if not fitting and prefix:
        low = prefix.lower()
        fitting = [row for row in rows if row[0].lower().startswith(low)]
    fitting.sort(key=lambda row: (row[0].startswith("_"), row[0]))
    return [Item(name, str(TYPES.get(kind, kind)), signature or "") for name, kind, signature, _ in fitting[:MOST]]


def fits(name: str, prefix: str) -> bool:
    """Whether a name is to be suggested for what is written."""
    if not name.startswith(prefix):
        return False
    return not name.startswith("_") or prefix.startswith("__") or (prefix.startswith("_") and not name.startswith("__"))


def _names(rows: list[tuple[Any, ...]], text: dict[str, Any], prefix: str, taken: set[str]) -> list[Item]:
    """All names that are seen in a cell: its own, those of its namespace, Python's."""
    own = [
        (name, "value" if meaning.item is None else meaning.item.kind, meaning.item and meaning.item.signature, "")
        for name, meaning in text.items()
    ]
    bound = {row[0] for row in own}
    found = items_of([*own, *(row for row in rows if row[0] not in bound)], prefix)
    known = {*taken, *(one.text for one in found)}
    more = [name for name in dir(builtins) if fits(name, prefix) and name not in known]
    found += [Item(name, _builtin_type(name)) for name in more]
    words = [*keyword.kwlist, *SOFT_KEYWORDS]
    found += [Item(word, "keyword") for word in words if word.startswith(prefix) and word not in known and prefix]
    return found[:MOST]


def _builtin_type(name: str) -> str:
    value = getattr(builtins, name)
    return "class" if isinstance(value, type) else "function" if callable(value) else "instance"


def _space(names: dict[str, Any], prefix: str) -> list[tuple[Any, ...]]:
    """The notebook's own names that fit."""
    found = [name for name in list(names) if type(name) is str and fits(name, prefix)]
    live = [(name, Live(names[name])) for name in found[:MOST] if name in names]
    return [(name, one.kind, one.signature() if one.kind in ("function", "class") else None, "") for name, one in live]


def _imports(view: There | Here, spot: Spot) -> list[Item]:
    """Modules, and names in modules. The items of "a.b" are last parts: "b"."""
    if spot.kind == "member":
        found = items_of(view.module_rows(spot.base) or (), spot.prefix)
        known = {one.text for one in found}
        modules = [name for name in view.modules(spot.base) if name not in known and fits(name, spot.prefix)]
        return [*found, *(Item(name, "module") for name in modules)][:MOST]
    package, _, prefix = spot.prefix.rpartition(".")
    return [Item(name, "module") for name in view.modules(package) if fits(name, prefix)][:MOST]


# texts


def _text(view: Here, spot: Spot) -> Completions | None:
    """Inside of a string: the name of a node, or of a function there."""
    call = spot.call
    if call is None:
        return None
    if call.named == "node" and home_of(view.place(call.callee)).partition(".")[0] == "beampy":
        return _one_of(view.questions.nodes(), spot)
    verb = None if call.named else view.verb(call)
    if verb is None:
        return None
    if verb.kind == "caller" and call.position == 0:
        return _one_of(view.questions.nodes(), spot)
    if call.position != (1 if verb.kind == "caller" else 0):
        return None
    node = view.node_for(verb)
    cut = max(spot.prefix.rfind("."), spot.prefix.rfind(":"))
    base, prefix = spot.prefix[: max(cut, 0)], spot.prefix[cut + 1 :]
    if node is None or (base and not PATH.fullmatch(base)):
        return None
    found: list[Item] = []
    if base:
        found = items_of(view.questions.names(node, (Target("path", base),), view.until) or (), prefix)
    if ":" not in spot.prefix:
        known = {one.text for one in found}
        modules = view.questions.modules(node, base, view.until) or []
        found += [Item(name, "module") for name in modules if fits(name, prefix) and name not in known]
    return Completions(spot.start + cut + 1, spot.end, found[:MOST])


def _one_of(names: Iterable[str], spot: Spot) -> Completions:
    return Completions(spot.start, spot.end, [Item(name, "text") for name in names if name.startswith(spot.prefix)])
