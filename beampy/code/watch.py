"""Watching definitions: whether anything that a version covers is another thing now.

This is what every message with a function costs, so it is a handful of C loops: all globals of one module that a
function and its helpers use are compared in one go, and so is the code of all these helpers.

Place: under definitions.py, which makes nodes and fills them. It knows nothing about what a node means.
"""

from __future__ import annotations

from itertools import repeat
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CODE = attrgetter("__code__")
DEFAULTS = attrgetter("__defaults__")
KWDEFAULTS = attrgetter("__kwdefaults__")
ABSENT = object()  # the value of a global that is bound to nothing


class Node:
    """One definition as it was when it was last looked at.

    `same()` says whether it still is, None: it cannot change. `names` are (globals, names, values) that are bound as
    they were as long as it is the same, and `plain` a weak reference to a function of which only the code matters:
    where one of these is there it says all that `same` does.
    """

    __slots__ = (
        *("__weakref__", "body", "compared", "digest", "head", "holds", "kind", "meant", "names", "owner", "plain"),
        *("recipe", "refs", "same", "shared", "stamp", "standins", "version", "watch"),
    )

    def __init__(self, kind: str, owner: Any) -> None:
        self.kind = kind
        self.owner = owner  # what it defines: see Definitions
        self.head: Any = None
        self.body = b""
        self.refs: list[Node] = []
        self.meant: tuple[tuple[str, int], ...] = ()  # modules, and their versions, that refs are found in by name
        self.same: Callable[[], bool] | None = None
        self.names: tuple[dict[str, Any], tuple[str, ...], list[Any]] | None = None
        self.plain: Any = None
        self.compared: set[tuple[bytes, int]] = set()  # values that it depends on, as they were compared
        self.shared: Any = None  # of a frame: what is known of its globals, kept as long as it is
        self.watch: Watch | None = None
        self.standins: list[Any] = []  # the remote references in it, while it is written
        self.holds = False  # whether there are such
        self.digest = b""
        self.version = b""
        self.recipe = b""
        self.stamp = 0  # how often it was filled


class Watch:
    """All that one node depends on, itself included."""

    __slots__ = (
        *("calls", "codes", "defaults", "fills", "functions", "globals", "holding", "kwdefaults", "nodes", "stamps"),
    )

    def __init__(self, root: Node, nodes: Iterable[Node], fills: int) -> None:
        self.nodes = tuple(nodes)
        self.holding = tuple([node for node in self.nodes if node.holds])
        self.stamps = [node.stamp for node in self.nodes]
        self.fills = fills
        self.calls: list[Callable[[], bool]] = []
        groups: dict[int, tuple[Any, list[str], list[Any]]] = {}
        functions = []
        for node in self.nodes:
            if node.names is not None:
                names, wanted, values = node.names
                group = groups.setdefault(id(names), (names.get, [], []))
                group[1].extend(wanted)
                group[2].extend(values)
            elif node.plain is not None and node is not root:  # who watches itself must not keep itself
                functions.append(node.plain())
            elif node.same is not None:
                self.calls.append(node.same)
        self.globals = [(get, *_once(names, values)) for get, names, values in groups.values()]
        self.functions = tuple(functions)
        self.codes = [*map(CODE, functions)]
        self.defaults = [*map(DEFAULTS, functions)]
        self.kwdefaults = [*map(KWDEFAULTS, functions)]

    def same(self, fills: int) -> bool:
        """Whether all is as it was. `fills`: how many nodes have been filled by now, in all."""
        for get, names, values in self.globals:
            if not all(map(is_, map(get, names, repeat(ABSENT)), values)):
                return False
        for call in self.calls:
            if not call():
                return False
        functions = self.functions
        if functions and not (
            all(map(is_, map(CODE, functions), self.codes))
            and all(map(is_, map(DEFAULTS, functions), self.defaults))
            and all(map(is_, map(KWDEFAULTS, functions), self.kwdefaults))
        ):
            return False
        if self.fills != fills:  # one of ours may have been filled on behalf of another
            for node, stamp in zip(self.nodes, self.stamps, strict=True):
                if node.stamp != stamp:
                    return False
            self.fills = fills
        return True


def _once(names: list[str], values: list[Any]) -> tuple[list[str], list[Any]]:
    found = dict(zip(names, values, strict=True))
    return [*found], [*found.values()]
