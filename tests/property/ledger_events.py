"""What may happen next in a world of ledgers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.property.ledger_ground import World


class Left(NamedTuple):
    """How often still."""

    sends: int
    losses: int
    crashes: int
    expiries: int
    duplicates: int
    overtakings: int
    failures: int
    reconnects: int


def events(world: World, left: Left) -> Iterator[tuple[tuple[object, ...], Left]]:
    """(the method of World and its arguments, what is left after it) of all that may happen now."""
    for i in range(world.size):
        for id in sorted(world.handles[i]):
            yield ("drop", i, id), left
            if left.sends:
                for j in range(world.size):
                    if j != i:
                        yield ("send", i, j, (id,)), left._replace(sends=left.sends - 1)
                        if left.failures:
                            yield ("send_too_large", i, j, (id,)), left._replace(failures=left.failures - 1)
        if left.expiries and world.can_expire(i):
            yield ("expire", i), left._replace(expiries=left.expiries - 1)
        if world.ledgers[i]._graves and world.is_calm():
            yield ("grace", i), left
        if left.crashes:
            yield ("crash", i), left._replace(crashes=left.crashes - 1)
    for i, j in world.pairs:
        if world.sees[j, i]:
            for k in range(len(world.bag[i, j])):
                yield ("receive", i, j, k), left
            if world.control[i, j]:
                yield ("deliver", i, j), left
                if left.duplicates:
                    yield ("deliver", i, j, 0, True), left._replace(duplicates=left.duplicates - 1)
                if left.overtakings:
                    for k in range(1, len(world.control[i, j])):
                        yield ("deliver", i, j, k), left._replace(overtakings=left.overtakings - 1)
        if world.sees[i, j]:
            if world.sees[j, i]:
                if left.losses:
                    yield ("close", i, j), left._replace(losses=left.losses - 1)
            else:
                yield ("close", i, j), left
                # What is known to be dead is the start that i was connected with, which need not be the last one.
                if (j, world.ledgers[i]._pages[world.names[j]].creation) in world.crashed:
                    yield ("close", i, j, True), left
        elif i < j and not world.sees[j, i] and left.reconnects:
            yield ("connect", i, j), left._replace(reconnects=left.reconnects - 1)
        if world.waiting[i, j] and left.failures:
            yield ("fail_to_connect", i, j), left._replace(failures=left.failures - 1)
        start = (j, world.creations[j] - 1)
        if start in world.crashed and (world.names[j], start[1]) not in world.ledgers[i]._ended:
            page = world.ledgers[i]._pages.get(world.names[j])
            if page is None or not page.dead:
                yield ("tell_dead", i, j), left
