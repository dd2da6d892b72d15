"""RefTable: the answer of `bp.refs`, a list for programs and a table for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beampy.refs.kept import RefInfo
from beampy.refs.sizes import shown_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADS = (">NUMBER", "OWNER", "TYPE", ">SIZE", ">AGE", "HELD BY", "LABEL")
USUAL = ("connected", "held")  # states of a holder that are not worth a word
HOLDERS = 3  # that are named in a line; more are counted


class RefTable(list[RefInfo]):
    """Rows of `bp.refs`. `node` was asked; `total` is how many it has, where it was asked for fewer."""

    def __init__(self, node: str, total: int, rows: Iterable[RefInfo]) -> None:
        super().__init__(rows)
        self.node = node
        self.total = total

    @property
    def nbytes(self) -> int:
        """The bytes of those rows that the node owns."""
        return sum(row.nbytes for row in self if row.node == self.node)

    def cells(self) -> list[Sequence[str]]:
        """The text of each line, by HEADS."""
        return [
            (
                str(row.id.number),
                "here" if row.node == self.node else row.node,
                row.what,
                shown_size(row.nbytes) if row.nbytes else "",
                shown_age(row.age) if row.age else "",
                shown_holders(row, self.node),
                row.label or "",
            )
            for row in self
        ]

    def heading(self) -> str:
        """One line about all."""
        count = "1 object" if self.total == 1 else f"{self.total} objects"
        return f"{self.node}: {count}, {shown_size(self.nbytes)}"

    def footing(self) -> list[str]:
        """What is not shown."""
        more = self.total - len(self)
        return [f"… and {more} more (limit)"] if more > 0 else []

    def __str__(self) -> str:
        rows = [[head.lstrip(">") for head in HEADS], *self.cells()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if head.startswith(">") else cell.ljust(width)
                for head, cell, width in zip(HEADS, row, widths, strict=True)
            ).rstrip()
            for row in rows
        ]
        return "\n".join([self.heading(), *lines, *self.footing()])

    def __reduce__(self) -> tuple[type, tuple[str, int, list[RefInfo]]]:
        return type(self), (self.node, self.total, list(self))


def shown_age(seconds: float) -> str:
    """A time for people.

    >>> shown_age(5), shown_age(200), shown_age(9000), shown_age(200_000)
    ('5 s', '3 min', '2.5 h', '2.3 d')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


def shown_holders(row: RefInfo, node: str) -> str:
    """Who has it: the node that was asked, if it has handles, then the others; what is wrong, if it cannot be used."""
    names = ["here"] if row.local else []
    for holder, state in row.holders[:HOLDERS]:
        names.append(holder if state in USUAL else f"{holder} ({state})")
    if len(row.holders) > HOLDERS:
        names.append(f"{len(row.holders) - HOLDERS} more")
    return ", ".join(names) + (f": {row.state}" if row.state else "")
