"""What a node answers about code: the questions of entry.Source, as functions for remote calls.

Each runs in a thread of its own, which ends with it: the threads of the event loop's executor may all be waiting for
code themselves, from the node that asks. Place: the other end of link.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from beampy import api
from beampy.code import deps, relay
from beampy.code.origin import Origin, here
from beampy.code.origin_files import files, offered
from beampy.errors import OriginLost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


T = TypeVar("T")

MOST = 8  # questions answered at once; more wait

_places = threading.BoundedSemaphore(MOST)


async def origin() -> str:
    """Which process this node runs in."""
    return here().id


async def inventory(loaded: bool = False) -> tuple[dict[str, str], dict[str, str]]:
    """What this process runs on: see deps.Inventory. All packages, or those that it has imported."""
    return await _apart(lambda: (deps.profile(), deps.loaded_packages() if loaded else deps.packages()))


async def entries(origin: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """See entry.Source; as plain tuples, so that reading the answer needs nobody's code."""
    mine = offered(origin)
    if mine is not None:
        found = await _apart(mine.entries, names)
    else:
        found = await _apart(relay.entries, origin, names, api.node())
    return [tuple(entry) for entry in found]


async def contents(digests: Sequence[bytes], magic: bytes) -> dict[bytes, Any]:
    """See entry.Source."""
    return await _apart(_contents, digests, magic)


async def resources(origin: str, package: str) -> list[str]:
    """See entry.Source."""
    return await _apart(_of(origin).resources, package)


async def resource(origin: str, package: str, path: str) -> bytes:
    """See entry.Source."""
    return await _apart(_of(origin).resource, package, path)


async def metadata(distribution: str) -> dict[str, str]:
    """See entry.Source."""
    return await _apart(here().metadata, distribution)


async def definitions(versions: Sequence[bytes]) -> dict[bytes, bytes]:
    """See entry.Source."""
    from beampy.code.table import table

    return await _apart(table().recipes_for, versions)


def _contents(digests: Sequence[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
    found = here().contents(digests, magic)
    for other in (files().contents, relay.contents):
        missing = [digest for digest in digests if digest not in found]
        if missing:
            found |= other(missing, magic)
    return found


def _of(origin: str) -> Origin:
    mine = offered(origin)
    if mine is None:  # of a process that had this node's name before
        raise OriginLost(api.node(), "code", "that node has been started anew since")
    return mine


async def _apart(fn: Callable[..., T], *args: Any) -> T:
    """`fn(*args)` in a thread of its own."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(how: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            how(value)

    def run() -> None:
        with _places:
            how: Callable[[Any], None] = done.set_result
            value: Any = None
            try:
                value = fn(*args)
            except BaseException as error:  # whatever an import hook raises
                how, value = done.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, how, value)

    threading.Thread(target=run, name="beampy-code", daemon=True).start()
    return await done
