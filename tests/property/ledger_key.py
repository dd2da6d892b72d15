"""The same world of ledgers under other numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.refs.ledger_messages import Ask, Gone, Lend, Question, Renew, Return, Statement, Void

if TYPE_CHECKING:
    from beampy.refs.ledger_messages import Message
    from tests.property.ledger_chains import Start, Transfer
    from tests.property.ledger_ground import World


def key(world: World) -> Any:
    """Equal for worlds that differ only in the numbers of their transfers."""
    numbers: dict[Start, set[int]] = {}
    asks: dict[Start, set[int]] = {}
    start, own = world.known, world.start
    for i, ledger in enumerate(world.ledgers):
        mine = numbers.setdefault(own(i), set())
        for page in ledger._pages.values():
            asks.setdefault(own(i), set()).update(page.asked.values())
            mine.update(page.lent)
            numbers.setdefault((world.index(page.name), page.creation), set()).update(page.kept)
        for _, lent in ledger._graves.values():
            mine.update(lent)
    for (i, j), messages in world.control.items():
        sender, receiver = numbers.setdefault(start(i, j), set()), numbers.setdefault(own(j), set())
        for message in messages:
            match message:
                case Return(transfers):
                    receiver.update(transfers)
                case Lend(ask, pairs):
                    sender.update(transfer for _, transfer in pairs)
                    asks.setdefault(own(j), set()).add(ask)
                case Renew(pairs):
                    sender.update(transfer for pair in pairs for transfer in pair)
                case Ask(ask, _, _):
                    asks.setdefault(start(i, j), set()).add(ask)
                case Void(transfers):
                    sender.update(transfers)
                case Statement(_, _, entries):
                    receiver.update(transfer for transfer, _ in entries)
    for way in (world.bag, world.waiting):
        for (i, j), letters in way.items():
            numbers.setdefault(start(i, j) if way is world.bag else own(i), set()).update(
                transfer for letter in letters for _, transfer in letter
            )
    for from_whom, to_whom in world.ghosts.values():
        for *space, transfer in [*from_whom, *(transfer for _, transfer in to_whom)]:
            numbers.setdefault((space[0], space[1]), set()).add(transfer)
    ranks = {
        # 0 is no transfer.
        space: {0: 0} | {number: rank for rank, number in enumerate(sorted(values - {0}), 1)}
        for space, values in numbers.items()
    }

    turns = {space: {number: rank for rank, number in enumerate(sorted(values))} for space, values in asks.items()}

    def below(space: Start, number: int) -> int:
        return sum(other <= number for other in ranks.get(space, ()))

    def place(transfer: Transfer) -> Transfer:
        return (*transfer[:2], ranks[transfer[:2]][transfer[2]])

    def said(i: int, j: int, message: Message) -> Any:
        ours, theirs = ranks[start(i, j)], ranks[own(j)]
        match message:
            case Return(transfers):
                return (1, *sorted(theirs[transfer] for transfer in transfers))
            case Ask(ask, creation, numbers):
                return (2, turns[start(i, j)][ask], creation, *sorted(numbers))
            case Lend(ask, pairs):
                return (3, turns[own(j)][ask], *sorted((number, ours[transfer]) for number, transfer in pairs))
            case Renew(pairs):
                return (8, *sorted((ours[old], ours[new]) for old, new in pairs))
            case Gone(creation, numbers):
                return (4, creation, *sorted(numbers))
            case Void(transfers):
                return (5, *sorted(ours[transfer] for transfer in transfers))
            case Question(upto):
                return (6, below(start(i, j), upto))
            case Statement(first, last, entries):
                listed = tuple((theirs[transfer], id) for transfer, id in entries)
                return (7, below(own(j), first - 1), below(own(j), last), listed)

    parts: list[Any] = []
    for i, ledger in enumerate(world.ledgers):
        mine = ranks[own(i)]
        for name in sorted(ledger._pages):
            page = ledger._pages[name]
            theirs = ranks[world.index(name), page.creation]
            parts.append(
                (
                    *(i, name, page.creation, page.open, page.dead, page.over and page.waits()),
                    below(own(i), page.begun),
                    tuple((mine[transfer], entry.id) for transfer, entry in page.lent.items()),
                    tuple(sorted((theirs[transfer], entry.id) for transfer, entry in page.kept.items())),
                    tuple(sorted((id, turns[own(i)][ask]) for id, ask in page.asked.items())),
                    None if page.doubtful is None else tuple(mine.get(t, 0) for t in page.doubtful),
                )
            )
        parts.append(tuple(sorted((id, e.own, e.held, e.trouble or "") for id, e in ledger._entries.items())))
        parts.append(tuple(sorted((key, tuple(mine[t] for t in lent)) for key, (_, lent) in ledger._graves.items())))
        parts.append(tuple(sorted(ledger._ended)))
    for pair in world.pairs:
        i, j = pair
        parts.append(
            (
                world.sees[pair],
                tuple(said(i, j, message) for message in world.control[pair]),
                tuple(sorted(tuple((id, ranks[start(i, j)][t]) for id, t in letter) for letter in world.bag[pair])),
                tuple(tuple((id, ranks[own(i)][t]) for id, t in letter) for letter in world.waiting[pair]),
            )
        )
    ghosts = (
        (key, tuple(sorted(map(place, a))), tuple(sorted((other, place(transfer)) for other, transfer in b)))
        for key, (a, b) in world.ghosts.items()
    )
    loose = ((id, (whose,) if isinstance(whose, int) else place(whose)) for id, whose in world.loose)
    parts.append((tuple(sorted(ghosts)), tuple(sorted(loose))))
    parts.append((tuple(sorted(world.freed)), tuple(sorted(world.crashed))))
    return tuple(parts)
