"""What a cell's names are to an editor: of a cell that runs here, and of one that runs on a node.

Rule: the cell's own text comes first, then the namespace that it will run in, then builtins. In a cell that runs here
only what IPython cannot know is answered: objects behind references, functions that are given to pools and nodes,
modules that only runners have; for anything else the answer is None, and IPython's own stands.

Place: between scope.py (texts), questions.py (nodes), and completion.py and inspection.py, which show what is found.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from beampy.code.browse_objects import Live
from beampy.code.browse_paths import Read, Search
from beampy.code.browse_signature import class_dict, mro
from beampy.notebook import remote_names as named
from beampy.notebook.on_run import NoTarget, target_of
from beampy.notebook.parameters import without_first
from beampy.notebook.questions import is_local_module
from beampy.notebook.remote_names import Facts, Made
from beampy.notebook.scope import Meaning, Scope, Target, bound

if TYPE_CHECKING:
    from beampy.code.browse_source import Item
    from beampy.notebook.cursor import Call, Spot
    from beampy.notebook.on import OnCell
    from beampy.notebook.questions import Questions

    Rows = list[tuple[Any, ...]]

NODE: Final = re.compile(r"[\w.+-]+@[\w.:-]+")
DOTTED: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
PATH: Final = re.compile(r"[^\W\d]\w*(?:[.:][^\W\d]\w*)*")

WHOLE: Final = 5.0  # seconds for the details of beampy's own names, which are looked at once

# Verbs whose arguments are those of a function that they are given: at which place it stands.
POOL_VERBS: Final = {"call": 0, "submit": 0, "keep": 0, "cast": 0, "stream": 0, "place_child": 0}
POOL_FUNCTIONS: Final = {*POOL_VERBS, "map", "scatter"}  # those that take a function's name
CALLER_VERBS: Final = {"remote_call": 1, "remote_cast": 1, "multicall": 1, "stream": 1}


class Verb(NamedTuple):
    """A call of beampy that is given a function. `of`: a pool, a reference, or the text of the node."""

    kind: str  # "pool", "caller" or "ref"
    name: str
    at: int | None  # where the function stands; None: its arguments are not this call's
    of: Any


class There:
    """A cell that runs on a node, or on a runner of a pool. `node` is None where there is none to ask."""

    here = False

    def __init__(
        self, cell: OnCell, names: dict[str, Any], questions: Questions, spot: Spot, line: int, until: float
    ) -> None:
        self.questions = questions
        self.until = until
        self.locals = {name: names[name] for name in cell.send if name in names}
        self.scope = Scope(cell.body, spot.line, line)
        self.node, self.pool = node_of(cell.target, names, questions)

    def meaning(self, expression: str) -> tuple[Meaning, tuple[Target, ...]]:
        """What an expression is: by the text, and what else it may be."""
        meaning = self.scope.expression(expression)
        if meaning.item is not None:
            return meaning, ()
        targets = [] if meaning.target is None else [meaning.target]
        if DOTTED.fullmatch(expression):  # as it was when the cell ran before
            first, *rest = expression.split(".")
            old: Target | None = Target("name", first)
            for part in rest:
                old = None if old is None else old.then("attr", part)
            if old is not None and old not in targets:
                targets.append(old)
        return meaning, tuple(targets)

    def rows(self, expression: str) -> Rows | None:
        """What is in an expression."""
        meaning, targets = self.meaning(expression)
        if meaning.item is not None:
            return rows_of_item(meaning)
        if self._sent(targets):
            return local_rows(self.locals, targets)
        found = self.questions.names(self.node, targets, self.until) if self.node and targets else None
        return local_rows({}, targets) if found is None and not_asked(targets) else found

    def facts(self, expression: str, detail: int = 0) -> Facts | None:
        """What there is to say about an expression."""
        meaning, targets = self.meaning(expression)
        if meaning.item is not None:
            return facts_of_item(expression, meaning)
        if self._sent(targets):
            return named.facts(self.locals, targets, Search(), detail)
        found = self.questions.facts(self.node, targets, detail, self.until) if self.node and targets else None
        return named.facts({}, targets, Search(), detail) if found is None and not_asked(targets) else found

    def names(self) -> Rows:
        """All names of the cell's namespace."""
        found = self.questions.space(self.node, self.until) if self.node and self.pool is None else None
        own = named.rows_of(named.Space(self.locals), Search())
        return [*own, *(found or ())]

    def module_rows(self, module: str) -> Rows | None:
        """What is in a module."""
        targets = (Target("module", module),)
        found = self.questions.names(self.node, targets, self.until) if self.node else None
        return local_rows({}, targets) if found is None else found

    def modules(self, package: str) -> list[str]:
        """The modules in a package."""
        found = self.questions.modules(self.node, package, self.until) if self.node else None
        return named.modules_here(package) if found is None else found

    def keys(self, expression: str) -> list[str]:
        """The text keys of a dict."""
        _, targets = self.meaning(expression)
        if self._sent(targets):
            return named.keys(self.locals, targets, Search())
        return (self.questions.keys(self.node, targets, self.until) if self.node and targets else None) or []

    def called(self, call: Call) -> tuple[str | None, int]:
        """The signature of what is called, and how many arguments are before the cursor."""
        found = self.facts(call.callee)
        return (None if found is None else found.signature), call.position

    def _sent(self, targets: tuple[Target, ...]) -> bool:
        """Whether it is a variable that goes there with the cell."""
        return bool(targets) and targets[0].root == "name" and targets[0].name in self.locals


class Here:
    """A cell that runs in the kernel."""

    here = True

    def __init__(
        self, code: str, names: dict[str, Any], questions: Questions, spot: Spot, line: int, until: float
    ) -> None:
        self.code = code
        self.space = names
        self.questions = questions
        self.until = until
        self.scope = Scope(code, spot.line, line)

    def rows(self, expression: str) -> Rows | None:
        """What is in the object of a reference, or in a module that only runners have."""
        target = self.scope.expression(expression).target
        if target is None:
            return None
        far = self.far_object(target)
        if far is not None:
            found = self.questions.names_of(*far, self.until) or []
            return [row for row in found if not row[0].startswith("_")]
        if is_ours(self.place(expression)):
            return local_rows(self.space, (target,))
        node = self._runner_for(target)
        return None if node is None else self.questions.names(node, (target,), self.until)

    def facts(self, expression: str, detail: int = 0) -> Facts | None:
        """The same, to be shown."""
        target = self.scope.expression(expression).target
        if target is None:
            return None
        far = self.far_object(target)
        if far is not None:
            return self.questions.facts_of(*far[:2], detail, self.until)
        node = self._runner_for(target)
        return None if node is None else self.questions.facts(node, (target,), detail, self.until)

    def where(self, expression: str) -> str:
        """The node that has what an expression is, where that is not this one."""
        target = self.scope.expression(expression).target
        far = None if target is None else self.far_object(target)
        if far is not None:
            return str(far[0].node)
        return "" if target is None else self._runner_for(target) or ""

    def module_rows(self, module: str) -> Rows | None:
        """What is in a module that only runners have."""
        node = self._runner_for(Target("module", module))
        return None if node is None else self.questions.names(node, (Target("module", module),), self.until)

    def modules(self, package: str) -> list[str]:
        """Modules that a runner has, and that cannot be imported here."""
        node = None if package and is_local_module(package) else self._runner()
        found = [] if node is None else self.questions.modules(node, package, self.until) or []
        known = {*named.modules_here(package)}
        return [name for name in found if name not in known]

    def called(self, call: Call) -> tuple[str | None, int] | None:
        """The signature that the arguments belong to, and how many are before the cursor; None: IPython knows."""
        verb = self.verb(call)
        if verb is not None and verb.at is not None and call.position > verb.at and len(call.first) > verb.at:
            signature = self.signature(call.first[verb.at], verb)
            if signature is not None and verb.kind == "ref":
                signature = without_first(signature)
            return signature, call.position - verb.at - 1
        target = self.scope.expression(call.callee).target
        if target is None:
            decorated = self.scope.expression(call.callee).item
            ours = decorated is not None and re.search(r"^\s*@[\w.]+\.remote\b", self.code, re.MULTILINE)
            return (decorated.signature, call.position) if decorated is not None and ours else None
        if self.far_object(target) is not None:
            found = self.facts(call.callee)
            return None if found is None else (found.signature, call.position)
        place = self.place(call.callee)
        if place is None or not (is_remote_function(place) or home_of(place).partition(".")[0] == "beampy"):
            return None
        return place.signature(), call.position

    def signature(self, function: str, verb: Verb | None = None) -> str | None:
        """How a function is called that is given to a pool or node: one of the cell, of the notebook, or a name."""
        if function[:1] in "'\"":
            path = function.strip("'\"")
            node = None if verb is None else self.node_for(verb)
            if node is None or not PATH.fullmatch(path):
                return None
            found = self.questions.facts(node, (Target("path", path),), 0, self.until)
            return None if found is None else found.signature
        meaning = self.scope.expression(function)
        if meaning.item is not None:
            return meaning.item.signature
        place = self.place(function)
        return None if place is None else place.signature()

    def verb(self, call: Call) -> Verb | None:
        """What a call of beampy is."""
        base, _, name = call.callee.rpartition(".")
        place = self.place(base) if base else None
        if place is not None and name in POOL_FUNCTIONS and is_pool(place):
            return Verb("pool", name, POOL_VERBS.get(name), value_of(place))
        if place is not None and name == "apply" and is_place_of(place, "beampy.refs.ref", "RemoteRef"):
            return Verb("ref", name, 0, value_of(place))
        whole = self.place(call.callee)
        if whole is None:
            return None
        caller = whole if name != "stream" else place
        if caller is not None and (
            is_place_of(caller, "beampy.otp.rpc", "RemoteCaller")
            or is_place_of(caller, "beampy.otp.rpc", "MultiCaller")
        ):
            return Verb("caller", "remote_call", 1, call.first[0] if call.first else "")
        if name in CALLER_VERBS and home_of(whole) == "beampy.otp.rpc":
            return Verb("caller", name, CALLER_VERBS[name], call.first[0] if call.first else "")
        if home_of(whole) == "beampy.code.browse":
            return Verb("caller", "browse", None, call.first[0] if call.first else "")
        return None

    def node_for(self, verb: Verb) -> str | None:
        """The node that a verb's function runs on."""
        if verb.kind == "pool":
            return self.questions.runner(verb.of) if verb.of is not None else None
        if verb.kind == "ref":
            return getattr(verb.of, "node", None) if verb.of is not None else None
        return node_of(verb.of.strip("'\""), self.space, self.questions)[0] if verb.of else None

    def place(self, expression: str) -> Any:
        """What an expression is in the kernel."""
        target = self.scope.expression(expression).target
        try:
            return None if target is None else named.find(self.space, (target,), Search())
        except LookupError:
            return None

    def far_object(self, target: Target) -> tuple[Any, tuple[tuple[str, str], ...]] | None:
        """A reference and the steps from its object on, of `ref.do.name`."""
        for at, step in enumerate(target.steps):
            if step[0] == "attr" and step[1] in ("do", "keep"):
                place = named.find(self.space, (target._replace(steps=target.steps[:at]),), Search())
                if not isinstance(place, Live) or not is_a(type(place.value), "beampy.refs.ref", "RemoteRef"):
                    continue
                rest = target.steps[at + 1 :]
                return None if rest and rest[-1][0] == "call" else (place.value, rest)
        return None

    def pools(self) -> list[Any]:
        """The pools of the notebook, those that the cell names first."""
        found = [
            (not re.search(rf"\b{re.escape(name)}\b", self.code), at, value)
            for at, (name, value) in enumerate(list(self.space.items()))
            if not name.startswith("_") and is_a(type(value), "beampy.pool.calls", "Calls")
        ]
        return [value for _, _, value in sorted(found, key=lambda one: one[:2])]

    def _runner(self) -> str | None:
        for pool in self.pools():
            node = self.questions.runner(pool)
            if node is not None:
                return node
        return None

    def _runner_for(self, target: Target) -> str | None:
        if target.root not in ("module", "from"):
            return None
        return None if is_local_module(target.name.partition(":")[0]) else self._runner()


# nodes


def node_of(text: str, names: dict[str, Any], questions: Questions) -> tuple[str | None, Any]:
    """The node that a target means, and its pool. No code runs for it: an expression with calls means nothing yet."""
    text = text.strip()
    if not text:
        return None, None
    space = names
    if not (NODE.fullmatch(text) or text.isidentifier() or re.fullmatch(r"[\w-]+", text)):
        target = Scope("", 0).expression(text).target
        place = None if target is None or any(kind == "call" for kind, _ in target.steps) else _found(names, target)
        if not isinstance(place, Live) or place.kind == "property":
            return None, None
        text, space = "it", {"it": place.value}
    try:
        found = target_of(text, space, questions.nodes())
    except (NoTarget, ValueError):
        return None, None
    if found.pool is not None:
        return questions.runner(found.pool), found.pool
    return found.node, None


def _found(names: dict[str, Any], target: Target) -> Any:
    try:
        return named.find(names, (target,), Search())
    except LookupError:
        return None


# classes, without importing what has them


def is_a(cls: type, module: str, name: str) -> bool:
    """Whether a class is this one, or below it."""
    return any(class_dict(one).get("__module__") == module and one.__name__ == name for one in mro(cls))


def is_place_of(place: Any, module: str, name: str) -> bool:
    """Whether it is an object of this class, or will be one."""
    if isinstance(place, Made):
        of = place.of
        return is_a(of.value, module, name) if isinstance(of, Live) else of.module.name == module
    return isinstance(place, Live) and is_a(type(place.value), module, name)


def is_pool(place: Any) -> bool:
    """Whether it is a pool."""
    return is_place_of(place, "beampy.pool.calls", "Calls") or is_place_of(place, "beampy.pool.pool", "Pool")


def home_of(place: Any) -> str:
    """The module that a function of beampy is written in."""
    if isinstance(place, Read):
        return place.module.name
    value = value_of(place)
    if type(value) is MethodType:
        value = value.__func__
    if issubclass(type(value), type) and isinstance(value, type):
        found = class_dict(value).get("__module__")
    else:
        kind: type = type(value)
        found = value.__module__ if kind is FunctionType else class_dict(kind).get("__module__")
    return found if type(found) is str else ""


def value_of(place: Any) -> Any:
    """The object itself, where there is one."""
    return place.value if isinstance(place, Live) else None


def is_ours(place: Any) -> bool:
    """Whether it is the package itself, or an object of a class of beampy: a pool, a handle, a client."""
    if isinstance(place, Made):
        return home_of(place.of).partition(".")[0] == "beampy"
    if not isinstance(place, Live) or place.kind not in ("value", "module", "function"):
        return False
    if place.kind == "module":
        return place.value is sys.modules.get("beampy")
    if place.kind == "value" and "__get__" in class_dict(type(place.value)):
        return False  # a descriptor: what it gives is known by running it, or from its types, which IPython reads
    module = class_dict(type(place.value)).get("__module__")
    return type(module) is str and module.partition(".")[0] == "beampy"


def local_rows(space: dict[str, Any], targets: tuple[Target, ...]) -> Rows | None:
    """What the kernel itself knows to be in something."""
    place = named.find(space, targets, Search())
    if place is None:
        return None
    return own_names() if value_of(place) is sys.modules.get("beampy", space) else named.rows_of(place, Search())


def is_remote_function(place: Any) -> bool:
    """Whether it is what `@pool.remote` makes."""
    return isinstance(place, Live) and is_a(type(place.value), "beampy.pool.remote_function", "RemoteFunction")


@cache
def own_names() -> Rows:
    """What `import beampy as bp` gives: nothing of it is imported for this. IPython's completer would import it all."""
    return named.rows_of(Live(sys.modules["beampy"]), Search(), WHOLE)


# what the text defines


def not_asked(targets: tuple[Target, ...]) -> bool:
    """Whether what the node did not say in time can be said here: of modules and builtins."""
    return any(target.root in ("module", "from", "class") for target in targets) or all(
        target.root == "name" and target.name in named.BUILTINS for target in targets
    )


def rows_of_item(meaning: Meaning) -> Rows:
    """What a definition of the cell has."""
    item: Item | None = meaning.item
    members = {} if item is None or item.kind != "class" else item.members or {}
    found = [(name, bound(one) if meaning.made else one) for name, one in sorted(members.items())]
    return [(name, one.kind, one.signature, one.doc.partition("\n")[0]) for name, one in found]


def facts_of_item(expression: str, meaning: Meaning) -> Facts | None:
    """What a definition of the cell says."""
    item = meaning.item
    if item is None:
        return None
    name = expression.rpartition(".")[2]
    if meaning.made:
        return Facts(name, "value", None, item.doc, "", "", "this cell", None)
    return Facts(name, item.kind, item.signature, item.doc, "", "", "this cell", None)
