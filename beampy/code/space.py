"""Spaces: the code of other Python processes in this one, one space for each, and where each module came from.

The rule: a plain name belongs to one origin at a time. Place: what readers and writers of messages ask, by origin or by
a module's name. shipped.py is one space; this is all of them, and their places in sys.meta_path and sys.path_hooks. It
does not know what a message is, nor how an origin is reached.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from beampy.code.finder import SCHEME, EndFinder, PathHook
from beampy.code.here import Here
from beampy.code.loader import hide
from beampy.code.mapped import ByName
from beampy.code.missing import Load, Missing, Refused
from beampy.code.shipped import Shipped, Space
from beampy.code.store_later import StoreLater

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.code.store_later import Store

__all__ = ["Load", "Missing", "Refused", "Shipped", "Space", "Spaces", "spaces"]

DROPPED: Final = 32  # origins that are gone and whose sources are kept for code that goes on running: a day's notebooks
DIGITS: Final = 6  # hexadecimal ones of an origin in a space's name: people read it; more if another one has the same


class Spaces:
    """The spaces of this Python process. `imported` gives the digest of the source of an own module, as imported.

    What is fetched is kept in `store`, a moment later on disk. Thread-safe; nothing here asks or imports, except that
    `close` waits until the store is written.

    >>> from beampy.code.store import Store
    >>> made = Spaces(Store(None), lambda name: None)
    >>> made.of("3f2a9c0000000000", "nb@host").label, made.shipped("json")
    ('nb_3f2a9c', None)
    >>> made.close()
    """

    def __init__(self, store: Store, imported: Callable[[str], bytes | None]) -> None:
        self.node = "this node"  # in errors: the name of this process's node
        self.missing: Missing = Load()  # of each space that is made from now on
        self.store = StoreLater(store)
        self.here = Here(imported)
        self.tops: set[str] = set()  # top-level names that some origin has told of
        self._spaces: dict[str, Space] = {}
        self._dropped: OrderedDict[str, Space] = OrderedDict()
        self._labels: dict[str, Space] = {}
        self._holders: dict[str, Space] = {}  # units by plain name
        self._shipped: dict[str, Shipped] = {}  # by name in sys.modules
        self._files: dict[str, tuple[Space, bytes]] = {}  # whose source linecache shows for a path
        self._lock = threading.RLock()  # for dict operations only; a finalizer may run in between
        self._finder = EndFinder(self)
        self._hook = PathHook(self)
        self._by_name = ByName(self)
        _all.add(self)

    def __bool__(self) -> bool:
        """Whether there is, or was, any code of others here."""
        return bool(self._labels)

    def of(self, origin: str, node: str) -> Space:
        """The space of this origin, whose node's name is `node`; made on first use."""
        found = self._spaces.get(origin)
        if found is None:
            with self._lock:
                found = self._spaces.get(origin)
                if found is None:
                    if not self._labels:
                        self._install()
                    found = self._dropped.get(origin) or self._new(origin, node)
                    self._spaces[origin] = found
                    self._dropped.pop(origin, None)
                    found.again()
        return found

    def _new(self, origin: str, node: str) -> Space:
        short = re.sub(r"[^0-9A-Za-z_]", "_", node.partition("@")[0]) or "node"
        if short[0].isdigit():
            short = f"_{short}"
        digits = DIGITS
        label = f"{short}_{origin[:digits]}"
        while label in self._labels or label in sys.modules:
            digits += 1
            label = f"{short}_{origin[:digits]}" if digits <= len(origin) else f"{label}_"
        space = self._labels[label] = Space(self, origin, node, label)
        return space

    def get(self, origin: str) -> Space | None:
        """The space of this origin; None: it never sent code here, or it was dropped."""
        return self._spaces.get(origin)

    def several(self) -> bool:
        """Whether more than one origin has sent code here."""
        return len(self._spaces) > 1

    def find(self, origin: str) -> Space | None:
        """The same, and one that was dropped too, while it is remembered."""
        return self._spaces.get(origin) or self._dropped.get(origin)

    def labelled(self, label: str) -> Space | None:
        """The space whose modules lie in the package of this name."""
        return self._labels.get(label)

    def drop(self, origin: str) -> None:
        """This origin is gone for good: its modules leave sys.modules. Objects that use them go on working.

        What was fetched is kept for imports in such code, of the last 32 origins.
        """
        with self._lock:
            space = self._spaces.get(origin)
            if space is None:
                return
            self._dropped[origin] = space  # before it goes from the others: finders look without the lock
            del self._spaces[origin]
            forgotten = [self._dropped.popitem(last=False)[1] for _ in range(len(self._dropped) - DROPPED)]
        for each in (space, *forgotten):
            each.leave()
        for each in forgotten:
            self._forget_space(each)

    def _forget_space(self, space: Space) -> None:
        with self._lock:
            self._labels.pop(space.label, None)
            for unit in [unit for unit, holder in self._holders.items() if holder is space]:
                del self._holders[unit]
            for path in [path for path, (owner, _) in self._files.items() if owner is space]:
                del self._files[path]
                hide(path)

    def shipped(self, module_name: str) -> Shipped | None:
        """Where the module of this name in sys.modules came from; None: it is this process's own.

        It says so of the newest version, also while that is yet to be loaded: an object of an older one is not in it.
        """
        return self._shipped.get(module_name)

    def close(self) -> None:
        """Drop everything, and leave the import system as it was."""
        for origin in list(self._spaces):
            self.drop(origin)
        while self._dropped:
            space = self._dropped.popitem()[1]
            space.leave()
            self._forget_space(space)
        self.store.flush()
        self._by_name.remove()
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        if self._hook in sys.path_hooks:
            sys.path_hooks.remove(self._hook)

    def _install(self) -> None:
        if self._finder not in sys.meta_path:
            sys.meta_path.append(self._finder)
            sys.path_hooks.append(self._hook)
            self._by_name.install()
        for path in [path for path in list(sys.path_importer_cache) if path.startswith(SCHEME)]:
            sys.path_importer_cache.pop(path, None)

    # ---- for the spaces ----

    def hold(self, space: Space, unit: str) -> bool:
        """Take a plain name for this space; False: another one has it, or its code may still import it."""
        with self._lock:
            holder = self._holders.get(unit)
            if holder is not None and holder is not space and (holder.origin in self._spaces or holder.alive()):
                return False
            self._holders[unit] = space
            return True

    def filename(self, space: Space, path: str, digest: bytes) -> str:
        """Under which file name this source is shown: its path, or one of its own if another origin has that path."""
        with self._lock:
            owner = self._files.get(path)
            if owner is not None and owner[0] is not space and owner[1] != digest and owner[0].alive():
                return f"{os.sep}{space.label}{path}"
            self._files[path] = (space, digest)
            return path

    def register(self, name: str, shipped: Shipped) -> None:
        self._shipped[name] = shipped

    def forget(self, name: str) -> None:
        self._shipped.pop(name, None)

    def forget_all(self, origin: str) -> None:
        for name in [name for name, shipped in list(self._shipped.items()) if shipped.origin == origin]:
            self._shipped.pop(name, None)

    def forked(self) -> None:
        """In a forked child: the parent's threads are not here, and its connections are not ours."""
        self._lock = threading.RLock()
        self.store.reset()
        for space in [*self._spaces.values(), *self._dropped.values()]:
            space.forked()


_all: weakref.WeakSet[Spaces] = weakref.WeakSet()
_default: Spaces | None = None
_making = threading.Lock()


def spaces() -> Spaces:
    """Those of this Python process."""
    global _default
    if _default is None:
        from beampy.code import origin
        from beampy.code.store import Store, default_directory

        made = Spaces(Store(default_directory()), lambda name: origin.here().digest(name))
        with _making:
            if _default is None:
                _default = made
    return _default


def _drop_default() -> None:
    """Forget what this process was sent, for tests: the next `spaces()` begins with nothing."""
    global _default
    if _default is not None:
        _default.close()
        _default = None


def _forked() -> None:
    global _making
    _making = threading.Lock()
    for each in list(_all):
        each.forked()


os.register_at_fork(after_in_child=_forked)
