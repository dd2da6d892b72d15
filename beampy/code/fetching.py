"""What a receiver knows of one origin's code, and how it asks for more: entries, contents, package data, metadata.

The rule: what was fetched is not asked for again, and two threads never ask for the same at the same time. A question
goes to the latest source, and to the next one when that is lost. Place: under space.py, above entry.py and the store.
It does not know what a module becomes here, nor under which name. No lock of it is held while a source is asked.
"""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from typing import TYPE_CHECKING, Any, Final, TypeVar

from beampy.code.entry import SOURCE
from beampy.code.manifest import digest
from beampy.errors import OriginLost

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from beampy.code.entry import Module, Source
    from beampy.code.store_later import Store

T = TypeVar("T")

SOURCES: Final = 8  # connections to one origin kept: each node of this process may have one, and few have more nodes
CHUNK: Final = 256  # digests asked for at once: 200 modules are one question, and an answer stays below some 10 MiB
WAIT: Final = 120.0  # s for another thread's question: twice a call's longest deadline; its source gives up before that
DATA: Final = 32 << 20  # bytes of package data kept per origin: templates, tables and type lists, not data sets
MAGIC: Final = importlib.util.MAGIC_NUMBER


def code_key(source: bytes) -> bytes:
    """Under which the compiled code of the source with this digest is kept, for this Python."""
    return digest(b"code" + MAGIC + source)


class Fetching:
    """The code of one origin, as far as it was fetched; `node` names it in errors.

    The methods that ask block as long as a source does, or another thread's question, 120 s at most. Thread-safe.
    Errors: OriginLost, and whatever a source raises.
    """

    def __init__(self, node: str, store: Store) -> None:
        self.node = node
        self.store = store
        self._sources: list[Source] = []
        self._contents: dict[bytes, bytes] = {}  # by digest; of the entries known now, see `keep_only`
        self._data: OrderedDict[tuple[str, int, str], bytes] = OrderedDict()
        self._data_size = 0
        self._listed: dict[tuple[str, int], list[str]] = {}
        self._described: dict[str, dict[str, str]] = {}
        self.reset()

    def reset(self) -> None:
        """In a forked child: the locks are new, and the connections are its parent's."""
        self._lock = threading.RLock()  # for dict operations only; a finalizer may run in between
        self._flights: dict[Hashable, Future[Any]] = {}
        self._sources = []

    def add(self, source: Source) -> None:
        """This one is asked first from now on."""
        with self._lock:
            self._sources = [source, *[each for each in self._sources if each is not source]][:SOURCES]

    # ---- questions ----

    def ask(self, what: str, question: Callable[[Source], T]) -> T:
        """The first answer. OriginLost: there is no source, or all are lost; `what` names what it was about."""
        lost: OriginLost | None = None
        try:
            for source in self._sources:
                try:
                    return question(source)
                except OriginLost as error:
                    lost = error
            why = lost.why if lost is not None else "nothing connects this process to it"
            raise OriginLost(self.node, what, why) from lost
        finally:
            lost = None  # its traceback has this frame, and those of the message that is read: they go at once

    def once(self, key: Hashable, what: str, work: Callable[[], T], wait: float = WAIT) -> T:
        """The result of `work`, or of another thread's that is doing it now, waited for `wait` seconds."""
        while True:
            with self._lock:
                flight: Future[T] | None = self._flights.get(key)
                if flight is None:
                    mine: Future[T] = Future()
                    self._flights[key] = mine
                    break
            try:
                return flight.result(wait)
            except WaitTimeout:
                why = f"a question of another thread got no answer in {wait:.0f} s"
                raise OriginLost(self.node, what, why) from None
            except Exception:
                raise
            except BaseException:  # that thread was interrupted, this one was not
                continue
        try:
            result = work()
        except BaseException as error:
            self._land(key)
            mine.set_exception(error)
            del mine  # as above
            raise
        self._land(key)
        mine.set_result(result)
        return result

    def _land(self, key: Hashable) -> None:
        with self._lock:
            self._flights.pop(key, None)

    def entries(self, names: Sequence[str]) -> list[Module]:
        """What the origin says about these modules now, and about all that come with them."""
        key = ("entries", *sorted(names))
        return self.once(key, _modules(names), lambda: self.ask(_modules(names), lambda source: source.entries(names)))

    # ---- sources of modules ----

    def have(self, key: bytes) -> bytes | None:
        """The source with this digest, if it was fetched at any time."""
        found = self._contents.get(key)
        if found is None:
            found = self.store.get(key)
            if found is not None:
                self._contents[key] = found
        return found

    def fetch(self, modules: Iterable[Module]) -> None:
        """Have the sources of all of these, in as few questions as can be. OriginLost: some are not to be had.

        What another thread is fetching is waited for.
        """
        wanted: dict[bytes, Module] = {}
        for module in modules:
            if module.kind == SOURCE and module.digest not in wanted and self.have(module.digest) is None:
                wanted[module.digest] = module
        while wanted:
            with self._lock:
                mine = [key for key in wanted if ("source", key) not in self._flights][:CHUNK]
                theirs = [(key, self._flights["source", key]) for key in wanted if ("source", key) in self._flights]
                self._flights.update({("source", key): Future() for key in mine})
            if mine:
                try:
                    self._fetch(mine, wanted[mine[0]].name)
                finally:
                    for key in mine:
                        with self._lock:
                            flight = self._flights.pop(("source", key))
                        flight.set_result(None)
                        wanted.pop(key)
            for key, flight in theirs:
                module = wanted[key]
                try:
                    flight.result(WAIT)
                except WaitTimeout:
                    why = f"another thread waits for it since {WAIT:.0f} s"
                    raise OriginLost(self.node, f"module {module.name}", why) from None
                if self.have(key) is not None:
                    wanted.pop(key)
                elif not mine:  # that thread failed: the next round asks anew
                    continue

    def _fetch(self, keys: list[bytes], name: str) -> None:
        what = f"module {name}" + (f" (and {len(keys) - 1} more)" if len(keys) > 1 else "")
        for key, (source, code) in self.ask(what, lambda asked: asked.contents(keys, MAGIC)).items():
            if digest(source) != key:
                continue
            self._contents[key] = source
            self.store.put(source)
            if code is not None:
                self.store.put_as(code_key(key), code)

    def keep_only(self, known: Iterable[Module]) -> None:
        """Forget the sources of what is no longer known; the store may still have them."""
        keys = {module.digest for module in known}
        for key in [key for key in self._contents if key not in keys]:
            self._contents.pop(key, None)

    # ---- what is beside the code ----

    def resources(self, package: Module) -> list[str]:
        """The paths of a package's data files."""
        key = (package.name, package.version)
        found = self._listed.get(key)
        if found is None:
            what = f"the data of {package.name}"
            found = self.once(("list", key), what, lambda: self.ask(what, lambda one: one.resources(package.name)))
            self._listed[key] = found
        return found

    def resource(self, package: Module, path: str) -> bytes:
        """One of them. FileNotFoundError."""
        key = (package.name, package.version, path)
        found = self._data.get(key)
        if found is None:
            what = f"{path} of {package.name}"
            found = self.once(("data", key), what, lambda: self.ask(what, lambda one: one.resource(package.name, path)))
            self._keep_data(key, found)
        return found

    def _keep_data(self, key: tuple[str, int, str], data: bytes) -> None:
        with self._lock:
            if len(data) <= DATA // 2 and key not in self._data:
                self._data[key] = data
                self._data_size += len(data)
                while self._data_size > DATA:
                    self._data_size -= len(self._data.popitem(last=False)[1])

    def metadata(self, distribution: str) -> dict[str, str]:
        """The texts that describe a distribution there; {}: it has none, or cannot be asked any more."""
        found = self._described.get(distribution)
        if found is None:
            what = f"the metadata of {distribution}"
            ask = lambda: self.ask(what, lambda source: source.metadata(distribution))  # noqa: E731
            found = self._described[distribution] = self.once(("metadata", distribution), what, ask)
        return found


def _modules(names: Sequence[str]) -> str:
    return f"module {names[0]}" + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")
