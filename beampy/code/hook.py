"""The hooks of the codec: how functions and classes go into messages to one peer, and come out of those from it.

Rule: a definition travels as its version, 16 bytes. What the peer has not been told of is said the first time, before
the message (its recipe, and those of all that it refers to: telling.py), so a small function costs no question; what is
large is asked for. What a peer has is forgotten with the connection. On the event loop a version is looked up, and what
is said is put down, and nothing else: what has to be built is built in a thread.

Place: runtime gives each node a NodeCode, and the codec of each connection asks it for a hook.
"""

from __future__ import annotations

import contextlib
import sys
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

from beampy.code import closures, contested, contextvars, telling
from beampy.code.building import Frame
from beampy.code.closures import NotPortable
from beampy.code.definitions import ATTRIBUTE, CODE, FILLERS, FOREIGN, Inline
from beampy.code.origin import here
from beampy.code.recipe import Recipe, Unknown
from beampy.code.skew import compared
from beampy.code.space import spaces
from beampy.code.table import table
from beampy.code.watch import Node
from beampy.code.worlds import Box
from beampy.errors import CodeRefused, EncodeError, OriginLost
from beampy.wire.codec import DEFINED, MADE, NeedsImport
from beampy.wire.codec_loads import loads_any
from beampy.wire.codec_paths import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from beampy.code.node_code import NodeCode
    from beampy.code.space import Space
    from beampy.core.standin import StandIn

ALONG = 256 * 1024  # bytes of recipes that are said unasked: a few milliseconds on a slow line
ON_DISK = 64 * 1024  # bytes of a recipe that are worth a file: small ones come with the message as fast
TOLD = 100_000  # versions a peer is known to have, at some 100 bytes
ORIGINS = 1024  # that a peer named and nobody has met yet: more than any mesh that works has nodes
ROUNDS = 64  # questions for one definition: each brings all that it refers to


class PeerCode:
    """The codec's hook for one peer. `say(data)` writes a frame to it now; False: there is no connection."""

    kinds = frozenset({CellType, *closures.DEFINED_KINDS})

    def __init__(self, code: NodeCode, peer: str, say: Callable[[bytes], bool]) -> None:
        self.code = code
        self.peer = peer
        self.say = say
        self.told: set[bytes] = set()
        self.origin = ""  # of the peer, once it has said so
        self.named: dict[
            str, str
        ] = {}  # origins, and the nodes that run them, as the peer has said: they are to be met
        self.table = table()

    # out

    def encode(self, obj: Any) -> Any:
        """How an object travels, as `__reduce__` says it; NotImplemented: by its name. EncodeError."""
        if self.peer in self.code.without:
            return NotImplemented
        if obj.__class__ is CellType:
            return closures.empty_cell, ()
        table = self.table
        with table.lock:
            try:
                try:
                    node = table.definitions.node_of(obj)
                except Inline:
                    return self.function(obj)
                if node is None:
                    return contextvars.by_name(obj)
                version = node.version
                if version not in self.told:
                    self.tell(node)
                standins = self.standins(node)
                return MADE, (DEFINED, (version, standins) if standins else (version,))
            except NotPortable as error:
                raise EncodeError(described(obj), str(error)) from error

    def function(self, fn: FunctionType) -> Any:
        """A function that belongs to the message: what it runs is a definition, what it holds goes along."""
        node = self.table.definitions.frame_of(fn)
        if node.version not in self.told:
            self.tell(node)
        state = closures.function_state(fn)
        del state["__module__"]
        fields: tuple[Any, ...] = (node.version, fn.__name__, tuple(fn.__closure__ or ()))
        standins = self.standins(node)
        if standins:
            fields = (*fields, standins)
        return MADE, (DEFINED, fields), state, None, None, closures.set_function_state

    def standins(self, root: Node) -> list[Any]:
        """The remote references in a definition and in all that it refers to: they travel with every message."""
        watch, found = root.watch, list[Any]()
        for node in () if watch is None else watch.holding:
            again = Node(node.kind, node.owner)
            FILLERS[node.kind](self.table.definitions, again)
            found += again.standins
        built = self.table.builder.built.standins
        if not built:
            return found
        nodes = (root,) if watch is None else watch.nodes
        todo = [ref.version for node in nodes for ref in (node, *node.refs) if ref.kind == FOREIGN]
        seen = set(todo)
        while todo:
            version = todo.pop()
            if version not in built:
                continue
            found += built[version].values()
            recipe = self.table.recipe(version)
            refs = [] if recipe is None else [ref for ref in Recipe.read(recipe).refs if ref not in seen]
            seen.update(refs)
            todo += refs
        return found

    def tell(self, root: Node) -> None:
        """Say the recipes that the peer has not been told, and who their origins are.

        Where they are too many none is said: the peer asks.
        """
        recipes: dict[bytes, bytes] = {}
        origins: dict[str, str] = {here().id: self.code.node.name}
        size = 0
        for version, recipe in self.needed(root, origins):
            self.table.put(version, recipe)
            if version not in self.told:
                recipes[version] = recipe
                size += len(recipe)
        if len(self.told) > TOLD:
            self.told.clear()
        if size > ALONG:
            recipes = {}
        for data, versions in telling.frames(origins, recipes):
            if not self.say(data):
                return  # nor will the message be written
            self.told.update(versions)
        self.told.add(root.version)

    def needed(self, root: Node, origins: dict[str, str]) -> Iterator[tuple[bytes, bytes]]:
        """The recipes of a definition and of all that it refers to. Adds the origins of those that are not ours."""
        table = self.table
        seen = {root.version}
        ours, theirs = [root], list[bytes]()
        while ours:
            node = ours.pop()
            if node.kind == FOREIGN:
                theirs.append(node.version)
                continue
            yield node.version, table.definitions.recipe(node)
            for ref in node.refs:
                if ref.version not in seen:
                    seen.add(ref.version)
                    ours.append(ref)
        while theirs:
            version = theirs.pop()
            recipe = table.recipe(version)
            if recipe is None:
                continue
            yield version, recipe
            parts = Recipe.read(recipe)
            space = None if parts.kind == CODE else spaces().find(parts.head[0])
            if space is not None:
                origins[space.origin] = space.node
            for one in parts.refs:
                if one not in seen:
                    seen.add(one)
                    theirs.append(one)

    # in

    def heard(self, data: bytes) -> None:
        """What the peer says before its messages. Any Exception for what is no such thing. On the loop."""
        origins, recipes = telling.read(data)
        if len(self.told) > TOLD:
            self.told.clear()
        self.told.update(recipes)  # what it says it has
        for version, recipe in recipes.items():
            self.table.put(version, recipe)
        for origin, node in origins.items():
            if len(self.named) < ORIGINS:
                self.named[origin] = node

    def made(self, fields: Any, now: bool) -> Any:
        """What a reference in a message means. With `now` it never waits: NeedsImport."""
        version = fields[0]
        builder = self.table.builder
        found = builder.get(version)
        if now and (found is None or version in builder.ahead.things):
            raise NeedsImport("code of another node")
        if found is not None:
            builder.ahead.wait_for(version)
        else:
            standins = fields[-1] if len(fields) in (2, 4) else ()
            found = self.load(version, standins)
            if standins:
                self.code.passing()
        if found.__class__ is Box:
            return found.value
        if found.__class__ is not Frame:
            return found
        name, cells = fields[1:3]
        fn = FunctionType(found.code, found.names, name, None, cells)
        fn.__module__ = found.module
        return fn

    def load(self, version: bytes, standins: Sequence[StandIn] = ()) -> Any:
        """Have the thing of a version, wherever it comes from."""
        table = self.table
        self.told.add(version)  # what it sends it has
        self.meet_named()
        if not self.code.accept:
            return self.refused(version)
        if not self.origin:  # it has not said so
            self.meet(self.code.link(self.peer, "").ask_origin(), self.peer)
        needed: dict[bytes, Recipe] = {}
        there: dict[bytes, Any] = {}  # what is here of them; only kept by us, perhaps
        answers: dict[bytes, bytes] = {}  # the table may have forgotten them by now: a captured value can be large
        todo = [version]
        for _ in range(ROUNDS):
            missing: dict[bytes, None] = {}
            while todo:
                one = todo.pop()
                if one in needed or one in missing:
                    continue
                if (thing := table.builder.get(one)) is not None:
                    there[one] = thing
                    continue
                recipe = answers.get(one) or table.recipe(one)
                if recipe is None:
                    missing[one] = None
                    continue
                needed[one] = Recipe.read(recipe)
                todo += needed[one].refs
            if not missing:
                try:
                    with self.comparing():
                        return table.builder.build(version, needed, standins)
                except Unknown as unknown:  # another thread has given its names another meaning
                    todo = [*unknown.args]
                    continue
            answers = self.code.link(self.peer, self.origin).definitions([*missing])
            for one, recipe in answers.items():
                table.put(one, recipe)
                if len(recipe) >= ON_DISK:
                    table.store.put_as(one, recipe)
            if missing.keys().isdisjoint(answers):
                break
            todo = [*missing]
        raise OriginLost(self.peer, "a function or class in a message", "it does not know it any more")

    def meet(self, origin: str, node: str) -> None:
        """An origin was named, and a node that runs in it."""
        if node == self.peer:
            self.origin = origin
        if origin != here().id:
            if node != self.peer:
                self.code.link(self.peer, origin, node)  # who sent it on has what it is made of
            self.code.link(node, origin)  # asked first

    def meet_named(self) -> None:
        """Meet the origins that the peer has named. In a thread; two may do so at once."""
        for origin, node in [*self.named.items()] if self.named else ():
            self.meet(origin, node)
            self.named.pop(origin, None)  # now: whoever finds it gone may rely on it

    def refused(self, version: bytes) -> Any:
        """This node takes no code: what it has itself under that name, or CodeRefused."""
        data = self.table.recipe(version)
        if data is None:
            raise CodeRefused(self.code.node.name, "a function or class of another node")
        recipe = Recipe.read(data)
        if recipe.kind != ATTRIBUTE:
            what = recipe.head[2] if recipe.kind in ("function", "class", "value") else "a function"
            raise CodeRefused(self.code.node.name, f"{what} of {self.peer}")
        _, module, _, name, _ = recipe.head
        try:
            __import__(module)
            thing = sys.modules[module]
            for part in name.split(".") if name else ():
                thing = getattr(thing, part)
        except (ImportError, AttributeError):
            raise CodeRefused(self.code.node.name, f"{module}.{name}".rstrip(".")) from None
        return thing

    def loads_known(self, body: Any, buffers: Iterable[Any]) -> Any:
        """Unpickle on the loop: only with what is imported already. NeedsImport."""
        return contested.loads(self.origin, body, buffers, True)

    def loads(self, body: Any, buffers: Iterable[Any]) -> Any:
        """Unpickle in a thread: what a message names and is not here may be at the peer."""
        if not self.code.accept:
            return loads_any(body, buffers)
        self.meet_named()
        if not self.origin:
            try:
                return contested.loads("", body, buffers, False)
            except (ModuleNotFoundError, AttributeError, NeedsImport):
                pass
        with self.importing(), self.comparing():
            return contested.loads(self.origin, body, buffers, False)

    def comparing(self) -> AbstractContextManager[None]:
        """What is missing inside may be so because a package has another version at the peer."""
        space = spaces().get(self.origin)
        return contextlib.nullcontext() if space is None else compared(space, self.code.node.name)

    @contextlib.contextmanager
    def importing(self) -> Iterator[None]:
        """Imports of this thread may be had from the peer. In a thread."""
        if not self.origin:
            origin = self.code.link(self.peer, "").ask_origin()
            self.meet(origin, self.peer)
        if self.origin == here().id:
            yield
            return
        space: Space = spaces().of(self.origin, self.peer)
        with space.importing():
            yield
