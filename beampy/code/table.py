"""The table of definitions of this process: its own, those that it has built of others, and the recipes of both.

One object for a Python process, like sys.modules: what code there is belongs to the process, whichever of its nodes it
came to. Place: under hook.py. It asks no other node.
"""

from __future__ import annotations

import marshal
import os
import pickle
import sys
from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING, Any

from beampy.code import contextvars, manifest
from beampy.code.building import Builder, Frame
from beampy.code.definitions import ATTRIBUTE, CODE, FOREIGN, FRAME, Definitions
from beampy.code.origin import here
from beampy.code.recipe import Recipe
from beampy.code.space import spaces
from beampy.code.watch import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from beampy.code.entry import Module
    from beampy.code.space import Space
    from beampy.code.store_later import StoreLater

MEMORY = 64 * 1024 * 1024  # bytes of recipes: some 30 000 functions


class Table:
    """What this process knows of definitions."""

    def __init__(self, store: StoreLater) -> None:
        self.store = store
        self.definitions = Definitions()
        self.definitions.foreign = self.foreign
        self.lock = self.definitions.lock
        self.builder = Builder(self.space, self.mine)
        self.recipes: OrderedDict[bytes, bytes] = OrderedDict()
        self.size = 0

    def space(self, origin: str) -> Space:
        """Where an origin's modules are."""
        found = spaces().get(origin)
        return spaces().of(origin, "somewhere") if found is None else found

    # recipes

    def put(self, version: bytes, recipe: bytes) -> None:
        """Remember a recipe, in memory and, where it is worth it, on disk."""
        with self.lock:
            if version in self.recipes:
                self.recipes.move_to_end(version)
                return
            self.recipes[version] = recipe
            self.size += len(recipe)
            while self.size > MEMORY and len(self.recipes) > 1:
                self.size -= len(self.recipes.popitem(last=False)[1])

    def recipe(self, version: bytes) -> bytes | None:
        """The recipe of a version, where it is known."""
        with self.lock:
            found = self.recipes.get(version)
            if found is not None:
                self.recipes.move_to_end(version)
                return found
            node = self.definitions.past.nodes.get(version)
            if node is not None and node.version == version:
                return self.definitions.recipe(node)
        return self.store.get(version)

    def recipes_for(self, versions: Iterable[bytes]) -> dict[bytes, bytes]:
        """The recipes of these versions and of all that they refer to, as far as they are known here."""
        found: dict[bytes, bytes] = {}
        todo = [*versions]
        while todo:
            version = todo.pop()
            if version not in found:
                recipe = self.recipe(version)
                if recipe is not None:
                    found[version] = recipe
                    todo += Recipe.read(recipe).refs
        return found

    # what is ours

    def mine(self, version: bytes) -> Any:
        """The thing of a version of our own, while it lives."""
        original = self.definitions.past.things.get(version)
        if original is not None:
            return original
        node = self.definitions.past.nodes.get(version)
        if node is None:
            return None
        if node.kind == CODE:
            return node.owner
        if node.kind == FRAME:
            code, names, module, _ = node.owner
            return Frame(code, names, module)
        if node.kind == ATTRIBUTE and node.version == version:
            _, module, number, name, _ = node.head
            return here().attribute(module, number, name) if name else sys.modules.get(module)
        return None

    # what is not

    def foreign(self, obj: Any, frame: bool = False) -> Node | None:
        """The definition that something was built of here; with `frame`, that of what a function runs."""
        built = self.builder.built
        if frame:
            version = built.frame_of(obj)
        else:
            version = built.version_of(obj)
            if version is None:
                return self.shipped(obj)
        return None if version is None else self.fixed(version)

    def fixed(self, version: bytes) -> Node:
        """A node that stands for a version of another process."""
        node = Node(FOREIGN, None)
        node.version = version
        return node

    def shipped(self, obj: Any) -> Node | None:
        """The definition of something in a module that another process has sent."""
        module, name = contextvars.where(obj) or (getattr(obj, "__module__", None), getattr(obj, "__qualname__", ""))
        if not isinstance(module, str) or (known := spaces().shipped(module)) is None:
            return None
        if name and not _is_there(module, name, obj):
            return None
        recipe = Recipe(ATTRIBUTE, (known.origin, known.module, known.version, name, known.digest), b"", [])
        own = manifest.digest(ATTRIBUTE.encode() + marshal.dumps(recipe.head, 2))
        version = manifest.versions({0: (own, [])})[0]
        if version not in self.recipes:
            self.put(version, pickle.dumps(tuple(recipe), 5))
            box = contextvars.boxed(obj)
            self.builder.built.add(version, box, None if box is obj else (known.origin, module, name))
        return self.fixed(version)


def _is_there(module: str, name: str, obj: Any) -> bool:
    there: Any = sys.modules.get(module)
    for part in name.split("."):
        there = getattr(there, part, None)
    return there is obj


class Offer:
    """All that this process gives to others who ask for code: a entry.Source."""

    def entries(self, names: Sequence[str]) -> list[Module]:
        """Of this process's modules."""
        return here().entries(names)

    def contents(self, digests: Sequence[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
        """Of this process's modules."""
        return here().contents(digests, magic)

    def resources(self, package: str) -> list[str]:
        """Of this process's packages."""
        return here().resources(package)

    def resource(self, package: str, path: str) -> bytes:
        """Of this process's packages."""
        return here().resource(package, path)

    def metadata(self, distribution: str) -> dict[str, str]:
        """Of what is installed here."""
        return here().metadata(distribution)

    def definitions(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Of all that is known here."""
        return table().recipes_for(digests)


@cache
def table() -> Table:
    """The table of this process."""
    return Table(spaces().store)


os.register_at_fork(after_in_child=table.cache_clear)
