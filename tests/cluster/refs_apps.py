"""What the nodes of test_refs_leaks.py run: rounds of references between three nodes, and what is looked at after."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import os
import threading
from typing import Any

import beampy as bp
from beampy.core.current import here
from beampy.refs.service import Refs, refs_of

PAGE = os.sysconf("SC_PAGE_SIZE")

kept: list[Any] = []


class Item:
    """An object as many programs have them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.text = f"item {number}"

    def value(self) -> int:
        return self.number


def own_refs() -> Refs:
    """Those of this node."""
    return refs_of(here("refs").node)


async def make(count: int) -> list[bp.RemoteRef[Item]]:
    """New objects of this node."""
    return [bp.remote(Item(number)) for number in range(count)]


async def rounds(count: int, second: str, third: str) -> int:
    """Make objects, hand them over to a node, which hands them over to a third; all drop theirs."""
    return await bp.remote_call(second, hand_on, third, await make(count))


async def rounds_singly(count: int, second: str, third: str) -> int:
    """The same with a message for each."""
    return sum(await asyncio.gather(*[bp.remote_call(second, hand_on, third, [ref]) for ref in await make(count)]))


async def hand_on(third: str, refs: list[Any]) -> int:
    return await bp.remote_call(third, counted, refs)


async def counted(refs: list[Any]) -> int:
    return len(refs)


async def keep(refs: list[Any]) -> int:
    """Hold them until the end, or `drop`."""
    kept.extend(refs)
    return len(kept)


async def drop() -> None:
    kept.clear()


async def usable(refs: list[Any]) -> int:
    """How many of these can be used."""
    return sum([await ref.do.value() == ref_number for ref_number, ref in enumerate(refs)])


async def kept_usable() -> int:
    return await usable(kept)


def tables(refs: Refs) -> tuple[int, ...]:
    """The sizes of all that a node knows of references."""
    ledger = refs.ledger
    pages = ledger._pages.values()
    lent, held = sum(len(page.lent) for page in pages), sum(len(page.kept) for page in pages)
    asked = sum(len(page.asked) for page in pages)
    return (
        len(refs.objects),
        len(refs.holds),
        len(refs.news),
        len(ledger._entries),
        len(ledger._graves),
        lent,
        held,
        asked,
    )


async def empty(timeout: float = 10.0) -> tuple[int, ...]:
    """The sizes of the tables as soon as nothing is in them, else as they are after `timeout` seconds."""
    refs = own_refs()
    end = asyncio.get_running_loop().time() + timeout
    while any(tables(refs)) and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
    return tables(refs)


def figures() -> dict[str, int]:
    """What this process has. The C library gives back what it can before its memory is counted."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as statm:
        rss = int(statm.read().split()[1]) * PAGE
    return {"rss": rss, "fds": len(os.listdir("/proc/self/fd")), "threads": threading.active_count()}


# ---- forks ----


def _let_go(refs: list[Any]) -> None:
    """What a child does to handles that it has copies of: all that would free the objects in its parent."""
    first = refs[0].refs
    refs[0].drop()
    refs.clear()
    kept.clear()
    gc.collect()
    first._sweep()
    first._arm()
    first._sweep()


def _in_child(refs: list[Any]) -> int:
    """The exit status of a forked child that drops them."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _let_go(refs)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def forks(refs: list[Any]) -> list[int]:
    """The exit statuses of children that drop what this process holds, by the system's fork and multiprocessing's."""
    kept.extend(refs)
    statuses = [_in_child(refs)]
    child = multiprocessing.get_context("fork").Process(target=_let_go, args=(refs,))
    child.start()
    await asyncio.to_thread(child.join)
    statuses.append(child.exitcode if child.exitcode is not None else -1)
    child.close()
    return statuses
