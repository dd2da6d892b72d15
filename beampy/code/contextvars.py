"""Context variables in messages: which one of this process a ContextVar of another process is.

Rule: a ContextVar is who it is, not what is in it. It goes by the module and the name that it is bound to: where that
module is installed, or is source that the other process can have, it is that module's own there. One of a cell or a
script is made once there for each (origin, module, name) and default, and kept. The values that contexts give it do not
travel with it.

How: a ContextVar says its name and its default and nothing else, so what it is bound to is looked for in the imported
modules and their classes, once. Two of one name in one module are told apart by what they are bound to. One that
nothing there has (of a closure, of an object) gets a number.

Place: beside closures.py, under definitions.py. It does not know versions, nor what carries values (pool/context.py).
"""

from __future__ import annotations

import asyncio
import importlib
import operator
import sys
from collections import OrderedDict
from contextvars import Context, ContextVar
from itertools import count, repeat
from types import ModuleType
from typing import TYPE_CHECKING, Any

from beampy.code.classify import INSTALLED, LIVE, LOCAL, SHIPPED, class_variables, is_class, is_everywhere, variables
from beampy.code.origin import here
from beampy.code.worlds import Box
from beampy.wire.codec_loads import loaded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from beampy.code.definitions import Definitions
    from beampy.code.watch import Node

KNOWN = 4096  # ContextVars remembered: programs have tens, and one that is forgotten is only looked for again
# Where several modules have one: it is the first kind's. All that import it from an installed module have its name.
BEST = (INSTALLED, LOCAL, SHIPPED, LIVE)


class Variable:
    """One ContextVar of this process, and the module and name that stand for it; ("", a made-up one): none has it."""

    __slots__ = ("box", "lost", "module", "name", "var")

    def __init__(self, var: ContextVar[Any], module: str, name: str) -> None:
        self.var = var
        self.module = module
        self.name = name
        self.box = Box(var)  # a ContextVar has no weak references
        self.lost = not module  # no module has it now: it keeps the name that it had

    def __call__(self) -> Box:
        """What stands for it where weak references are needed."""
        return self.box

    def get(self) -> ContextVar[Any]:
        """The ContextVar."""
        return self.var

    def is_bound(self) -> bool:
        """Whether it is what its module has under its name now."""
        names: Any = variables(sys.modules.get(self.module))
        name = self.name
        if "." in name:
            owner, _, name = name.partition(".")
            cls = names.get(owner)
            names = class_variables(cls) if is_class(cls) else {}
        return names.get(name) is self.var


_known: OrderedDict[int, Variable] = OrderedDict()  # by id; each keeps its ContextVar alive
_numbers = count(1)


def variable(var: ContextVar[Any]) -> Variable:
    """What stands for a ContextVar: always the same, as long as it is bound where it was.

    >>> one = ContextVar("one")
    >>> variable(one) is variable(one)
    True
    """
    key = id(var)
    found = _known.get(key)
    if found is not None and found.var is var:
        _known.move_to_end(key)
        if found.lost or found.is_bound():
            return found
        place = _home(var)  # a reload or a cell has bound another one there
        if place is None:
            found.lost = True
            return found
    else:
        place = _home(var)
    module, name = place or ("", f"{var.name}#{next(_numbers)}")
    found = _known[key] = Variable(var, module, name)
    if len(_known) > KNOWN:
        _known.popitem(last=False)
    return found


def _home(var: ContextVar[Any]) -> tuple[str, str] | None:
    """The module and qualified name that it is bound to: the best of them. Milliseconds, with many modules."""
    modules = [(module, variables(there)) for module, there in list(sys.modules.items())]
    found = {module: name for module, names in modules if (name := _name_in(names, var))}
    if not found:
        found = {module: name for module, names in modules if (name := _name_in_classes(module, names, var))}
    if not found:
        return None
    kind = here().kind
    module = min(found, key=lambda each: BEST.index(kind(each)))
    return module, found[module]


def _name_in(names: Mapping[str, Any], var: ContextVar[Any]) -> str:
    """The name that has it; "": none."""
    name: str = var.name
    if names.get(name) is var:
        return name
    if not any(map(operator.is_, tuple(names.values()), repeat(var))):  # a copy: other threads may import
        return ""
    return next((name for name, value in list(names.items()) if value is var and _is_name(name)), "")


def _name_in_classes(module: str, names: Mapping[str, Any], var: ContextVar[Any]) -> str:
    """The same, of an attribute of a class that the module defines: `Request.id`. Not where it is everywhere anyway."""
    if is_everywhere(module):
        return ""
    for name, value in list(names.items()):
        if is_class(value):
            attributes = class_variables(value)
            if attributes.get("__module__") == module and (attribute := _name_in(attributes, var)):
                return f"{name}.{attribute}"
    return ""


def _is_name(name: Any) -> bool:
    """Not `_`, `__` or `_12`, by which notebooks know what a cell's last line was."""
    return isinstance(name, str) and bool(name.strip("_0123456789"))


def where(obj: Any) -> tuple[str, str] | None:
    """Where a module or a ContextVar is found by name, as (module, name); None: by what it says itself."""
    if isinstance(obj, ModuleType):
        return obj.__name__, ""
    if type(obj) is ContextVar:
        found = variable(obj)
        return found.module, found.name
    return None


def by_name(obj: Any) -> Any:
    """How a module, or a ContextVar of an installed one, is written, as `__reduce__` says it; else NotImplemented."""
    place = where(obj)
    if place is None:
        return NotImplemented
    return (at, place) if place[1] else (importlib.import_module, place[:1])


def at(module: str, name: str) -> Any:
    """What a module has under a name. On an event loop it imports nothing: NeedsImport."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        there = importlib.import_module(module)
    else:
        there = loaded(module)
    return operator.attrgetter(name)(there)


def node(definitions: Definitions, var: ContextVar[Any], kind: str) -> Node | None:
    """The definition of a ContextVar; None: it goes by its name. `kind` is that of captured values."""
    found = variable(var)
    home = here().kind(found.module) if not found.lost else LIVE
    if home == INSTALLED:
        return None
    foreign = definitions.foreign(var)
    if foreign is not None:
        return foreign
    if home == LOCAL:
        return definitions.attribute(found.module, found.name)
    made = definitions.keyed(kind, (ContextVar, id(found)), found)
    if not made.stamp:
        definitions.recent.append(made)
    return made


def default(var: ContextVar[Any]) -> tuple[Any, ...]:
    """Its default, or nothing.

    >>> default(ContextVar("a")), default(ContextVar("b", default=1))
    ((), (1,))
    """
    try:
        return (Context().run(var.get),)
    except LookupError:
        return ()


def parts(var: ContextVar[Any]) -> Any:
    """A ContextVar made again, as `__reduce__` says it."""
    return made, (var.name, *default(var))


def made(name: str, *default: Any) -> ContextVar[Any]:
    """A ContextVar of this name and default."""
    return ContextVar(name, default=default[0]) if default else ContextVar(name)


def boxed(thing: Any) -> Any:
    """What can be weakly referred to: the thing, or a Box with the ContextVar."""
    return Box(thing) if type(thing) is ContextVar else thing


def subject(thing: Any) -> Any:
    """What has a version: the thing, or the ContextVar in a Box."""
    return thing.value if thing.__class__ is Box and type(thing.value) is ContextVar else thing
