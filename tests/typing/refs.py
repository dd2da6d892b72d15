"""What type checkers must see of references. Checked, never run: `tests/meta/test_typing.py`. See verbs.py."""

from __future__ import annotations

from typing import Any, assert_type

import beampy as bp
from beampy.refs.table import RefTable


class Table:
    rows: int = 0

    def filter(self, name: str) -> Table:
        return self


def head(table: Table, n: int = 5) -> list[str]:
    return [str(table)] * n


async def later(table: Table, url: str) -> bytes:
    return url.encode()


async def making(table: Table) -> None:
    assert_type(bp.put(table), bp.Handle[bp.RemoteRef[Table]])
    ref = await bp.put(table, node="b@localhost", label="mine")
    assert_type(ref, bp.RemoteRef[Table])
    assert_type(await bp.put(ref, node="c@localhost"), bp.RemoteRef[Table])
    assert_type(bp.remote(table), bp.RemoteRef[Table])
    assert_type(await bp.refs("b@localhost"), RefTable)
    for row in await bp.refs():
        assert_type(row.nbytes, int)
        assert_type(row.node, str)
    bp.put(table, 5)  # type: ignore[call-overload]  # pyright: ignore


async def calling(ref: bp.RemoteRef[Table]) -> None:
    assert_type(await bp.remote_call("b@localhost", head, ref), list[str])
    assert_type(await bp.remote_call("b@localhost", head, ref, n=3), list[str])
    assert_type(await bp.remote_call("b@localhost", later, Table(), await bp.put("a")), bytes)
    assert_type(await bp.remote_call("b@localhost", later, ref, "a"), bytes)
    bp.remote_call("b@localhost", head, "a")  # type: ignore[call-overload]  # pyright: ignore


async def using(ref: bp.RemoteRef[Table]) -> None:
    assert_type(ref.get(), bp.Handle[Table])
    assert_type(await ref.get(timeout=5), Table)
    assert_type(ref.get().result(timeout=5), Table)
    assert_type(ref.apply(head, 3), bp.Handle[list[str]])
    assert_type(await ref.apply(head, n=3), list[str])
    assert_type(await ref.apply(later, "a"), bytes)
    ref.apply(head, "3")  # type: ignore[call-overload]  # pyright: ignore
    ref.apply(later)  # type: ignore[call-overload]  # pyright: ignore
    assert_type(await ref.do.filter(name="x"), Any)
    assert_type(await ref.keep.filter(name="x"), bp.RemoteRef[Any])
    assert_type(await ref.keep.rows, bp.RemoteRef[Any])
    with ref as held:
        assert_type(held, bp.RemoteRef[Table])
    ref.filter  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018
    len(ref)  # type: ignore[arg-type]  # pyright: ignore
    ref[0]  # type: ignore[index]  # pyright: ignore
