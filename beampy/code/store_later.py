"""A store that is written to a moment later, by a thread of its own: files cost more time than the modules in them.

The rule: what was put is there at once for this process, and on disk soon. Place: between fetching.py and the store. It
does not know what the bytes are. What was not written yet when the process is killed is fetched again by the next one.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final, Protocol

from beampy.code.manifest import digest

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("beampy.code")

PAUSE: Final = 0.25  # s until it writes: about as long as it takes to import 200 modules, which the thread would slow
WAITING: Final = 32 << 20  # bytes not yet written; who puts more writes himself. 200 modules with their code have 8 MiB


class Store(Protocol):
    """What is kept by key on this machine."""

    def get(self, key: bytes) -> bytes | None: ...

    def put(self, data: bytes) -> bytes: ...

    def put_as(self, key: bytes, data: bytes) -> None: ...


class StoreLater:
    """`store`, with its writes put off. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reset()

    def reset(self) -> None:
        """In a forked child: its parent writes."""
        self._lock = threading.RLock()  # for dict operations only; a finalizer may run in between
        self._waiting: dict[bytes, tuple[bytes, Callable[[], object]]] = {}
        self._size = 0
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()

    def get(self, key: bytes) -> bytes | None:
        """What is kept under this key, written or not."""
        waiting = self._waiting.get(key)
        return waiting[0] if waiting is not None else self._store.get(key)

    def put(self, data: bytes) -> bytes:
        """Keep `data` under its digest, and return that."""
        key = digest(data)
        self._later(key, data, lambda: self._store.put(data))
        return key

    def put_as(self, key: bytes, data: bytes) -> None:
        """Keep `data` under `key`."""
        self._later(key, data, lambda: self._store.put_as(key, data))

    @property
    def waits(self) -> bool:
        """Whether something is not on disk yet."""
        return bool(self._waiting)

    def flush(self) -> None:
        """Write all of it now; come back when it is written."""
        thread = self._thread
        if thread is not None:
            self._hurry.set()
            thread.join()

    def _later(self, key: bytes, data: bytes, write: Callable[[], object]) -> None:
        with self._lock:
            fits = self._size + len(data) <= WAITING
            if fits and key not in self._waiting:
                self._waiting[key] = data, write
                self._size += len(data)
            if self._thread is None and self._waiting:
                self._hurry.clear()
                # Not a daemon: it ends by itself, and a short run's code is to be kept too.
                self._thread = threading.Thread(target=self._run, name="beampy code store")
                self._thread.start()
        if not fits:
            write()

    def _run(self) -> None:
        self._hurry.wait(PAUSE)
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                key, (data, write) = next(iter(self._waiting.items()))
            try:
                write()
            except Exception:  # nothing depends on a cache
                log.exception("code was not kept in the cache")
            with self._lock:
                self._size -= len(data)
                del self._waiting[key]
