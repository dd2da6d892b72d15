"""Definitions: what this process can send of its own code, each part with a version made of what it does.

A *definition* is a function, a class, a captured value, what a function runs (its *frame*: code and globals), or a
reference to an attribute of a module that has source. Its version covers itself and, transitively, every definition
that it refers to: a changed helper is a new version of all its callers, and a cell that is run again unchanged makes
none. A getattr with a computed name is not followed.

How: each definition is a Node of a graph, written without the others (closures.py). A Node knows how to see that it is
no longer what it was; the versions are a Merkle tree over strongly connected components (manifest.py).

Rule: nothing here asks another node or reads a file, and no version is trusted that was not looked at again: globals
may be bound anew, and lists appended to, between any two messages. Place: under hook.py. Any thread; one at a time.
"""

from __future__ import annotations
import __future__

import marshal
import pickle
import sys
import weakref
from collections import deque
from contextvars import ContextVar
from importlib.util import MAGIC_NUMBER
from itertools import repeat
from operator import is_
from threading import RLock
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from beampy.code import closures, contextvars, manifest
from beampy.code.alike import Alike
from beampy.code.captured import ATOMS, Captured, Values, fill_value, is_atom
from beampy.code.closures import NotPortable
from beampy.code.methods import Methods
from beampy.code.named import belongs, look_up, name_of, place_of
from beampy.code.origin import here
from beampy.code.passing import let_go
from beampy.code.past import Past
from beampy.code.repair import replaced
from beampy.code.sourcelines import starts_at, statement
from beampy.code.watch import ABSENT, Node, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Kinds of definitions, as they travel.
ATTRIBUTE, CODE, FRAME, FUNCTION, CLASS, VALUE = "attribute", "code", "frame", "function", "class", "value"
IMPORT = "import"  # of a module, in the body of a function: which version of it is meant
FOREIGN = "foreign"  # made here of another process's definition: it has a version already

FUTURES = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
KEPT = 4096  # definitions of objects that cannot be weakly referenced, and of captured values


class Definitions:
    """The definitions of this process. One object; `lock` is held by whoever uses it."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.nodes: dict[int, tuple[Any, Node]] = {}  # weak references to functions and classes, by their id
        self.references: dict[int, tuple[Any, Node, int]] = {}  # the same, of what is in modules; their versions
        self.fills = 0
        self.named: dict[tuple[str, str], int] = {}  # the newest of each name: the one before is let go
        self.parts: weakref.WeakValueDictionary[Any, Node] = weakref.WeakValueDictionary()  # of all else, by what it is
        self.recent: deque[Node] = deque(maxlen=KEPT)  # frames that nothing else keeps
        self.captured = Captured()
        self.alike = Alike()
        self.memos: dict[int, Any] | None = None  # of what is written, by the id of its owner, while these are compared
        self.past = Past()
        self.warned: set[tuple[str, str]] = set()
        # What was made here of others' definitions has their versions: building.py sets this.
        self.foreign: Callable[..., Node | None] = lambda obj, frame=False: None

    # what is asked

    def node_of(self, obj: Any) -> Node | None:
        """The definition of a function, class, module or cached function, up to date; None: it goes by its name."""
        node = self.place(obj)
        if node is not None:
            self.refresh(node)
        return node

    def frame_of(self, fn: FunctionType) -> Node:
        """What a function runs, up to date."""
        node = self.frame(fn)
        if not node.stamp:
            self.recent.append(node)
        self.refresh(node)
        return node

    def refresh(self, root: Node) -> None:
        """Make a node's version, and those that it depends on, what they are now."""
        if root.kind == FOREIGN:
            return
        watch = root.watch
        if watch is not None and watch.same(self.fills):
            return
        reached = self.settled(root)
        let_go(reached)
        graph: dict[Node, tuple[bytes, Sequence[Node | bytes]]] = {
            node: (node.digest, [ref.version if ref.kind == FOREIGN else ref for ref in node.refs]) for node in reached
        }
        for node, version in manifest.versions(graph).items():
            if node.version != version:
                node.version = version
                node.recipe = b""
                it = node.kind in (FUNCTION, CLASS) or (node.kind == VALUE and not isinstance(node.owner, Values))
                owner: Any = node.owner
                self.past.add(node, owner() if it else None)
        root.watch = Watch(root, reached, self.fills)

    def settled(self, root: Node) -> dict[Node, None]:
        """The same as `reach`, when all frames know what they have in common."""
        kept: list[Values] = []
        while True:
            changes, self.memos = self.captured.changes, {}
            try:
                reached = self.reach(root)
                values = [node for node in reached if node.owner.__class__ is Values]
                looked = {(node.digest, node.stamp) for node in values}
                if values and looked != root.compared:
                    written = [(node.owner, self.memos.get(id(node.owner)) or self.memo(node)) for node in values]
                    kept += self.captured.compare(written)
                    for node in reached:
                        if node.kind == FUNCTION and id(node.owner) in self.memos:
                            self.captured.tell(node.head[2], self.memos[id(node.owner)], written)
                root.compared = looked
            finally:
                self.memos = None
            if self.captured.changes == changes:
                return reached
            for node in filter(lambda node: self.captured.is_apart(node.owner), values):
                node.stamp += 1  # others that refer to it are to look again
                self.fills += 1

    def memo(self, node: Node) -> dict[int, Any]:
        """What objects are in a captured value that was written before."""
        probe = Node(VALUE, node.owner)
        probe.stamp = 1
        fill_value(self, probe)
        return self.memos.get(id(node.owner), {}) if self.memos else {}

    def reach(self, root: Node) -> dict[Node, None]:
        """All that a node refers to, itself too, each as it is now."""
        reached: dict[Node, None] = {root: None}
        todo = [root]
        while todo:
            node = todo.pop()
            if not node.stamp or (node.same is not None and not node.same()) or _moved(node) or self.apart(node):
                self.fill(node)
            for ref in node.refs:
                if ref not in reached and ref.kind != FOREIGN:
                    reached[ref] = None
                    todo.append(ref)
        return reached

    def apart(self, node: Node) -> bool:
        """Whether a frame does not have in common what it was found to share with others after it was filled."""
        if node.kind != FRAME or node.head[2] != "own":
            return False
        code, names, *_ = node.owner
        new = not node.head[-1] and self.captured.shared(names, manifest.globals_of(code)) != 0
        return new or any(self.captured.is_apart(ref.owner) for ref in node.refs if ref.owner.__class__ is Values)

    def recipe(self, node: Node) -> bytes:
        """What another process makes the definition of: a pickle of plain data."""
        if not node.recipe:
            parts = (node.kind, node.head, node.body, [ref.version for ref in node.refs])
            node.recipe = pickle.dumps((*parts, True) if node.holds else parts, 5)
        return node.recipe

    # what is what

    def place(self, obj: Any) -> Node | None:
        """The node of an object, not yet looked at; None where its name is enough."""
        key = id(obj)
        found = self.nodes.get(key)
        if found is not None and found[0]() is obj:
            return found[1]
        known = self.references.get(key)
        if known is not None and known[0]() is obj and here().version(known[1].owner[0]) == known[2]:
            return known[1]
        if isinstance(obj, ModuleType):
            return self.module(obj.__name__, obj)
        if type(obj) is ContextVar:
            return contextvars.node(self, obj, VALUE)
        module, name = getattr(obj, "__module__", None), name_of(obj)
        if not isinstance(module, str) or not isinstance(name, str):
            return None
        kind = here().kind(module)
        if kind == "installed" and look_up(module, name) is obj:
            return None
        if type(obj) is closures.ALIAS:
            if kind == "source" and look_up(module, name) is obj:
                return self.attribute(module, name)
            raise Inline
        foreign = self.foreign(obj)
        if foreign is not None:
            return foreign
        if kind == "source" and look_up(module, name) is obj:
            return self.referred(module, name, obj)
        if type(obj) is FunctionType:
            if kind == "installed" or self.is_value(obj):
                raise Inline
            return self.of(FUNCTION, obj)
        if isinstance(obj, type):
            if kind == "installed" and module == "builtins":
                return None  # NoneType and the like
            return self.of(CLASS, obj)
        if type(obj) is closures.Cached or (type(obj) in closures.NAMED and kind != "installed"):
            return self.of(VALUE, obj)
        return None

    def is_value(self, fn: FunctionType) -> bool:
        """Whether a function is data of whoever has it, like what it closes over, and no definition of its own."""
        if look_up(fn.__module__, fn.__qualname__) is fn:
            return False
        return bool(fn.__closure__ or fn.__defaults__ or fn.__kwdefaults__ or fn.__dict__)

    def is_fixed(self, value: Any) -> bool:
        """Whether all there is to a value is which one it is, or it has a version of its own."""
        if type(value) is FunctionType:
            return not self.is_value(value)
        return type(value) in ATOMS or isinstance(value, (type, ModuleType, ContextVar))

    def module(self, name: str, obj: ModuleType | None = None) -> Node | None:
        """The node of a module; None: it is imported there as here."""
        kind = here().kind(name)
        if kind == "installed":
            return None
        if kind == "shipped":
            return self.foreign(obj if obj is not None else sys.modules[name])
        if kind == "live":
            raise NotPortable(f"the module {name}, which has no source that could be sent")
        return self.attribute(name, "")

    def referred(self, module: str, name: str, obj: Any) -> Node:
        """The node of an attribute of a module, remembered by what it is as long as the module has this version."""
        node, key = self.attribute(module, name), id(obj)

        def forget(_: Any, key: int = key) -> None:
            self.references.pop(key, None)

        self.references[key] = weakref.ref(obj, forget), node, here().version(module)
        return node

    def of(self, kind: str, obj: Any) -> Node:
        """The node of a function or a class, by its identity."""
        key = id(obj)
        node = Node(kind, weakref.ref(obj))

        def forget(_: Any, key: int = key, node: Node = node) -> None:
            if key in self.nodes and self.nodes[key][1] is node:
                del self.nodes[key]

        self.nodes[key] = weakref.ref(obj, forget), node
        if look_up(obj.__module__, name_of(obj)) is obj:  # not what a decorator has wrapped
            # A function that calls itself is kept by its own node: it is free once its name means another one.
            before = self.named.get((obj.__module__, name_of(obj)), key)
            if before != key:
                held = self.nodes.pop(before, None)
                if held is not None and kind == CLASS:
                    replaced(held[0](), obj)
            self.named[obj.__module__, name_of(obj)] = key
        return node

    def keyed(self, kind: str, key: Any, owner: Any) -> Node:
        """The node of what has no identity of its own. `owner` keeps alive what the key names by id."""
        node = self.parts.get(key)
        if node is None:
            node = self.parts[key] = Node(kind, owner)
        return node

    def attribute(self, module: str, name: str) -> Node:
        """The node of something in a module that has source."""
        return self.keyed(ATTRIBUTE, (module, name), (module, name))

    def frame(self, fn: FunctionType) -> Node:
        """The node of what a function runs: its code in its globals."""
        code, names = fn.__code__, fn.__globals__
        foreign = self.foreign(fn, True)
        if foreign is not None:
            return foreign
        return self.keyed(FRAME, (id(code), id(names)), (code, names, fn.__module__, fn.__qualname__))

    # how each is written

    def fill(self, node: Node) -> None:
        """Write a node anew, as it is now."""
        node.stamp += 1
        self.fills += 1
        node.names, node.plain, node.refs, node.standins = None, None, [], []
        node.same = _never  # what cannot be written is tried again
        FILLERS[node.kind](self, node)
        node.same = None if node.same is _never else node.same
        node.holds, node.standins = len(node.standins) > 0, []
        # marshal's format 2 writes equal heads as equal bytes, where pickle looks which strings are the same object.
        own = manifest.code_digest(node.owner) if node.kind == CODE else marshal.dumps(node.head, 2) + node.body
        node.digest = manifest.digest(node.kind.encode() + own)
        named = {ref.owner[0] for ref in node.refs if ref.kind == ATTRIBUTE and ref.owner[1]}
        node.meant = tuple((module, here().version(module)) for module in named)

    def fill_attribute(self, node: Node) -> None:
        module, name = node.owner
        origin = here()
        origin.changed(module)  # says so, where it was edited
        version = origin.version(module)
        # What the source is, is said beside the version: who has the same module uses his own.
        node.head = (origin.id, module, version, name, origin.digest(module) or b"")

        def same() -> bool:
            origin.changed(module)
            return here() is origin and origin.version(module) == version

        node.same = same

    def fill_code(self, node: Node) -> None:
        code = node.owner
        text, first = statement(code)
        future = code.co_flags & FUTURES
        node.head = (
            *(MAGIC_NUMBER, sys.version.split()[0], code.co_filename, text, first),
            *(code.co_qualname, code.co_firstlineno, future, starts_at(code)),
        )
        node.body = marshal.dumps(code)

    def fill_frame(self, node: Node) -> None:
        code, names, module, qualname = node.owner
        node.refs = [self.keyed(CODE, (id(code),), code)]
        home = sys.modules.get(module)
        if here().kind(module) != "live" and getattr(home, "__dict__", None) is names:
            there = self.module(module)  # it runs in the module itself, there too
            if there is not None:
                node.refs.append(there)
            node.head = (here().id, module, "named" if there is None else "module", (), (), (), (), 0)
            return
        wanted = manifest.globals_of(code)
        values = [*map(names.get, wanted, repeat(ABSENT))]
        atoms, referred, by_name = [], [], []
        for name, value in zip(wanted, values, strict=True):
            if value is ABSENT:
                continue
            if is_atom(value):
                atoms.append((name, value))
                continue
            target = self.global_value(names, name, value, qualname, module)
            if isinstance(target, Node):
                members: Any = target.owner.members if target.owner.__class__ is Values else ()
                at = next((at for at, one in enumerate(members) if one[1] == name and one[0] is names), -1)
                referred.append((name, at if len(members) > 1 else -1))
                node.refs.append(target)
            else:
                by_name.append((name, *target))
        package = names.get("__package__") or ""
        imported = manifest.imports_of(code, package)
        if package and imported != manifest.imports_of(code, ""):  # of `python -m package`: its imports are relative
            atoms.append(("__package__", package))
        for each in sorted(imported):
            if here().kind(each) == "source":
                node.refs.append(self.keyed(IMPORT, (IMPORT, each), (each, "")))
        imports = closures.submodules(code, values, sys.modules)
        node.shared = self.captured.assigns(names, manifest.stored_globals(code))
        shared = self.captured.shared(names, wanted)
        node.head = (here().id, module, "own", tuple(atoms), tuple(referred), tuple(by_name), tuple(imports), shared)

        node.names = names, wanted, values
        node.same = lambda get=names.get: all(map(is_, map(get, wanted, repeat(ABSENT)), values))

    def global_value(
        self, names: dict[str, Any], name: str, value: Any, fn: str, module: str
    ) -> Node | tuple[str, str]:
        """The node of what a global is bound to; or where it is found by name: (module, qualname)."""
        if isinstance(value, (FunctionType, type)) or type(value) in closures.DEFINED_KINDS:
            try:
                node = self.place(value)
            except Inline:
                pass
            except NotPortable as error:
                raise NotPortable(f"the global {name!r} of function {fn} is {error}") from None
            else:
                if node is not None:
                    return node
                if (by_name := place_of(value)) is not None:
                    return by_name
        together = self.captured.together.get((id(names), name))
        if together is not None:
            return self.keyed(VALUE, id(together), together)
        return self.keyed(VALUE, (id(names), name), Values([(names, name)], fn, module))

    def fill_function(self, node: Node) -> None:
        fn = node.owner()
        code, what = fn.__code__, f"function {fn.__qualname__}"
        again = code is closures._dispatching
        node.refs = [] if again else [self.frame(fn)]
        frame = list(node.refs)
        node.head = (here().id, fn.__module__, fn.__qualname__, "" if again else fn.__name__)

        def parts(fn: Any) -> Any:
            return closures.dispatching_parts(fn) if again else closures.function_state(fn)

        self.write(node, parts(fn), what)
        held = None if again else closures.held_by(fn)
        alive = node.owner  # it must not be kept by its own node
        if held is not None and all(map(self.is_fixed, held)):
            defaults, kwdefaults = fn.__defaults__, fn.__kwdefaults__
            if not fn.__closure__ and not fn.__dict__:
                node.plain = alive

            def same() -> bool:
                fn = alive()
                if fn.__code__ is not code or fn.__defaults__ is not defaults or fn.__kwdefaults__ is not kwdefaults:
                    return False
                now = closures.held_by(fn)
                return len(now) == len(held) and all(map(is_, now, held))

        else:
            body, refs = node.body, list(node.refs)

            def same() -> bool:
                fn = alive()
                probe = Node(FUNCTION, alive)
                probe.refs = list(frame)
                self.write(probe, parts(fn), what)
                return fn.__code__ is code and probe.body == body and probe.refs == refs

        node.same = same

    def fill_class(self, node: Node) -> None:
        cls = node.owner()
        # A decorator may have made another class of this one: only one of them has the name.
        found = look_up(cls.__module__, cls.__qualname__) is cls
        node.head = (here().id, cls.__module__, cls.__qualname__, found)
        node.refs = []
        self.write(node, cls, f"class {cls.__qualname__}", within=cls)
        local = not found and "<locals>" in cls.__qualname__
        content = manifest.digest(marshal.dumps(node.head, 2) + node.body)
        node.head = (*node.head, self.alike.number(cls, content) if local else 0)
        methods, alive = Methods(cls), node.owner
        node.same = lambda: methods.same(alive())

    def write(self, node: Node, obj: Any, what: str, *, within: type | None = None, value: bool = False) -> None:
        """Fill a node's body, and add the references in it."""
        refs = node.refs
        places = {id(ref): at for at, ref in enumerate(refs)}

        def number(part: Any) -> Any:
            if part is within or (value and part is obj) or (within is not None and belongs(part, within)):
                return None
            try:
                found = self.place(part)
            except Inline:
                return None
            if found is None:
                return NotImplemented
            return place(found)

        def place(found: Node) -> int:
            at = places.get(id(found))
            if at is None:
                at = places[id(found)] = len(refs)
                refs.append(found)
            return at

        memos: list[Any] | None = [] if node.stamp and self.memos is not None else None  # not of a probe
        try:
            node.body = closures.write(obj, number, lambda fn: place(self.frame(fn)), memos, node.standins)
        except NotPortable as error:
            raise NotPortable(f"{what}: {error}") from error
        except RecursionError:
            raise NotPortable(f"{what} is nested too deeply") from None
        except Exception as error:
            said = str(error) if isinstance(error, (TypeError, pickle.PickleError)) else repr(error)
            raise NotPortable(f"{what}: {said}") from error
        if memos and self.memos is not None:
            self.memos[id(node.owner)] = memos[0]


class Inline(Exception):
    """A function is part of whatever has it."""


FILLERS: dict[str, Callable[[Definitions, Node], None]] = {
    ATTRIBUTE: Definitions.fill_attribute,
    IMPORT: Definitions.fill_attribute,
    CODE: Definitions.fill_code,
    FRAME: Definitions.fill_frame,
    FUNCTION: Definitions.fill_function,
    CLASS: Definitions.fill_class,
    VALUE: fill_value,
}


def _never() -> bool:
    return False


def _moved(node: Node) -> bool:
    """Whether a module was reloaded that something in this one was found in by name: it may not be there any more."""
    return any(here().version(module) != version for module, version in node.meant)
