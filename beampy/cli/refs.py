"""`beampy refs`: the objects that a node keeps for others, and those of others that it holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from beampy.cli.exits import OK
from beampy.cli.table import lines, width
from beampy.cli.visit import ask, visiting

if TYPE_CHECKING:
    import argparse

    from beampy.refs.table import RefTable


def run(options: argparse.Namespace) -> int:
    """One table."""
    return ask(_refs(options))


async def _refs(options: argparse.Namespace) -> int:
    from beampy.refs.verbs import refs

    async with visiting(options) as node:
        found = await refs(node, limit=options.limit)
    print(json.dumps(plain(found)) if options.json else "\n".join(picture(found, width())))
    return OK


def picture(found: RefTable, fits: int) -> list[str]:
    """The table as lines that fit."""
    from beampy.refs.table import HEADS

    return [found.heading(), *lines(HEADS, found.cells(), fits), *found.footing()]


def plain(found: RefTable) -> dict[str, Any]:
    """The table for programs."""
    rows = [
        {
            "number": row.id.number,
            "node": row.node,
            "type": row.what,
            "nbytes": row.nbytes,
            "age": row.age,
            "local": row.local,
            "holders": [{"node": node, "state": state} for node, state in row.holders],
            "label": row.label,
            "state": row.state,
        }
        for row in found
    ]
    return {"node": found.node, "objects": found.total, "rows": rows}
