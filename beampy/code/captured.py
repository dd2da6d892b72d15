"""What functions capture together: globals that one of them assigns, and globals that share an object.

Both are seen when the definitions of a message are looked at, and count from then on for all functions of these
globals: one that mentions a name that another one assigns has its globals in common with it, and names whose values
share an object travel as one value.

What is bound to a global and is no definition of its own is written here, too. Place: under definitions.py. It knows no
versions.
"""

from __future__ import annotations

import datetime
import enum
import itertools
import logging
import sys
import weakref
from operator import is_
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from beampy.code import closures, contextvars
from beampy.code.named import name_of
from beampy.code.origin import here
from beampy.code.watch import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from beampy.code.definitions import Definitions

log = logging.getLogger("beampy.code")

# Immutable: small ones are part of the definition that has them, where other values have a version of their own.
ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, type(Ellipsis)})
ATOM = 1024  # bytes, or characters
LARGE = 1024 * 1024  # bytes of a captured value that are worth a warning
MOST = 1_000_000  # objects in one value that are compared with those in others: some 100 MB while that is done
# Two values that have the same one of these share nothing that can change.
FIXED = (
    *(type, FunctionType, BuiltinFunctionType, ModuleType, enum.Enum, logging.Logger, datetime.tzinfo),
    *(type(...), type(NotImplemented)),
)


class Assigned:
    """The names of one module's globals that functions assign."""

    __slots__ = ("__weakref__", "globals", "names", "number")

    def __init__(self, of: dict[str, Any], number: int) -> None:
        self.globals = of  # kept, so that nothing else has its id
        self.number = number  # among all globals that say that they are of this module
        self.names: set[str] = set()


class Values:
    """What some globals are bound to, (globals, name) each; several where they share an object."""

    __slots__ = ("__weakref__", "fn", "members", "module")

    def __init__(self, members: Sequence[tuple[dict[str, Any], str]], fn: str, module: str) -> None:
        self.members = members
        self.fn = fn
        self.module = module

    def get(self) -> tuple[Any, ...]:
        """The values as they are now."""
        return tuple([names.get(name) for names, name in self.members])

    @property
    def text(self) -> str:
        """Their names, for people."""
        names = [repr(name) for _, name in self.members[:5]]
        return f"the global{'s' * (len(names) > 1)} {', '.join(names)} of function {self.fn}"


class Captured:
    """What is known of all globals. `changes` counts what was found."""

    def __init__(self) -> None:
        self.changes = 0
        self.numbers = itertools.count(2)
        self.assigned: weakref.WeakValueDictionary[int, Assigned] = weakref.WeakValueDictionary()
        self.together: weakref.WeakValueDictionary[tuple[int, str], Values] = weakref.WeakValueDictionary()
        self.warned: set[str] = set()

    def assigns(self, of: dict[str, Any], names: frozenset[str]) -> Assigned | None:
        """A function with these globals assigns these. What there is to be kept with it."""
        found = self.assigned.get(id(of))
        if names and found is None:
            home = sys.modules.get(of.get("__name__", ""))
            number = 1 if getattr(home, "__dict__", None) is of else next(self.numbers)
            found = self.assigned[id(of)] = Assigned(of, number)
        if found is not None and not names <= found.names:
            found.names |= names
            self.changes += 1
        return found

    def shared(self, of: dict[str, Any], names: Iterable[str]) -> int:
        """The number of these globals where a function assigns one of the names; or 0."""
        found = self.assigned.get(id(of))
        return 0 if found is None or found.names.isdisjoint(names) else found.number

    def is_apart(self, values: Values) -> bool:
        """Whether one of these was found to share an object with others after they were put together."""
        get = self.together.get
        return any(get((id(names), name), values) is not values for names, name in values.members)

    def compare(self, written: Sequence[tuple[Values, dict[int, tuple[int, Any]]]]) -> list[Values]:
        """Put together those that share an object. Each comes with the memo of its pickle; all memos are alive.

        Returns those that are no longer alone: to be kept until their functions keep them.
        """
        first: dict[int, int] = {}  # where each object was met first, by its id
        groups: list[set[int]] = [{at} for at in range(len(written))]
        for at, (values, memo) in enumerate(written):
            if len(memo) > MOST:
                self.warn(values)
                continue
            for key in first.keys() & memo.keys():
                other = first[key]
                if groups[other] is not groups[at] and is_state(memo[key][1]):
                    groups[other] |= groups[at]
                    for one in groups[at]:
                        groups[one] = groups[other]
            first.update(dict.fromkeys(memo.keys() - first.keys(), at))
        found = []
        for group in {id(group): group for group in groups if len(group) > 1}.values():
            some = [written[at][0] for at in sorted(group)]
            members = {(id(names), name): (names, name) for values in some for names, name in values.members}
            ordered = sorted(members.items(), key=lambda member: member[1][1])
            made = Values([member for _, member in ordered], some[0].fn, some[0].module)
            self.together.update(dict.fromkeys(members, made))
            found.append(made)
            self.changes += 1
        return found

    def tell(self, function: str, memo: dict[int, Any], written: Sequence[tuple[Values, dict[int, Any]]]) -> None:
        """Say it once where a function holds what a global holds, too: they do not share it elsewhere."""
        for values, other in written:
            text = f"function {function} and {values.text}"
            if text not in self.warned and any(is_state(memo[key][1]) for key in memo.keys() & other.keys()):
                self.warned.add(text)
                log.warning(
                    "%s hold the same object (%s): on other nodes each has a copy of its own. Let the function use the "
                    "global instead of a default or a variable around it",
                    text,
                    values.module,
                )

    def warn(self, values: Values) -> None:
        """What is too large to be compared."""
        if values.text not in self.warned:
            self.warned.add(values.text)
            log.warning(
                "%s (%s) has over %d objects: if other globals share some, they are copied",
                values.text,
                values.module,
                MOST,
            )


def fill_value(definitions: Definitions, node: Node) -> None:
    owner: Any = node.owner
    bound: tuple[Any, ...] | None = None
    get: Any
    obj: Any
    if isinstance(owner, contextvars.Variable):
        get, obj, module, name, what = owner.get, owner.var, owner.module, owner.name, f"ContextVar {owner.var.name}"
    elif not isinstance(owner, Values):  # a function with a cache
        get, obj = owner, owner()
        module, name = obj.__module__, name_of(obj)
        what = f"{'type' if type(obj) in closures.NAMED else 'function'} {name}"
    else:
        get, bound, module, what = owner.get, owner.get(), owner.module, owner.text
        obj, name = (bound[0], owner.members[0][1]) if len(bound) == 1 else (bound, "")
    node.head = (here().id, module, name)
    node.refs = []
    definitions.write(node, obj, what, value=True)
    if len(node.body) > LARGE and (what, module) not in definitions.warned:
        definitions.warned.add((what, module))
        log.warning(
            "%s (%s) is %.1f MB, and every node that runs it gets a copy. Pass it as an argument of the first call "
            "and keep it there, or let the function load it itself",
            what,
            module,
            len(node.body) / 1e6,
        )
    if type(obj) in ATOMS:  # a large one
        node.same = lambda: get()[0] is obj
        return
    if isinstance(owner, contextvars.Variable) and all(map(is_atom, contextvars.default(owner.var))):
        return  # nothing of it can change
    kind, body, refs, values = node.kind, node.body, list(node.refs), isinstance(owner, Values)
    as_was = None if node.standins else bound  # nobody's references are kept here

    # A global may be bound anew; other things are seen through a weak reference: their node must not keep them.
    def same() -> bool:
        now = get()
        if values:
            if as_was is not None and not all(map(is_, now, as_was)):
                return False
            now = now if len(now) > 1 else now[0]
        probe = Node(kind, owner)  # not of `node`, which would keep itself
        definitions.write(probe, now, what, value=True)
        return probe.body == body and probe.refs == refs

    node.same = same


def is_atom(value: Any) -> bool:
    """Whether a value is part of the definition that has it.

    >>> is_atom(1), is_atom("a" * 2000), is_atom([])
    (True, False, False)
    """
    return type(value) in ATOMS and (not isinstance(value, (str, bytes)) or len(value) <= ATOM)


def is_state(value: Any) -> bool:
    """Whether it matters that two have the same object and not an equal one: it can change, or only equals itself.

    >>> is_state([]), is_state("text"), is_state(object()), is_state(len)
    (True, False, True, False)
    """
    kind: Any = type(value)
    if isinstance(value, FIXED) or kind.__module__ == "typing":
        return False
    return kind.__hash__ is None or kind.__hash__ is object.__hash__ or kind.__dictoffset__ != 0
