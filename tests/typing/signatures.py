"""More of what type checkers must see: optional values, literals that are checked, programs and handles.

Checked, never run: `tests/meta/test_typing.py`.
"""

from __future__ import annotations

from typing import Any, NoReturn, assert_type

import beampy as bp


class Shop(bp.Server):
    @bp.call(raises=(KeyError, ValueError))
    def price(self, name: str, *, discount: float = 0.0) -> float:
        return len(name) * (1 - discount)

    @bp.call
    async def names(self) -> list[str]:
        return []

    @bp.cast
    async def close(self) -> None: ...


class Bakery(Shop):
    """A subclass has the methods of its parents."""

    @bp.call
    async def ovens(self) -> int:
        return 3


async def receiving() -> None:
    assert_type(await bp.receive(), Any)
    assert_type(await bp.receive(("add", int)), Any)
    assert_type(await bp.receive(lambda m: m == 1, timeout=1.0), Any)
    assert_type(await bp.receive(timeout=None, default=None), Any)
    found: str | None = await bp.receive(str, timeout=1, default=None)
    assert_type(found, str | None)
    async for message in bp.mailbox():
        assert_type(message, Any)


async def verbs(pid: bp.Pid, info: bp.ProcessInfo) -> None:
    assert_type(bp.self(), bp.Pid)
    assert_type(bp.monitor(pid, alias="reply_demonitor"), bp.Ref)
    assert_type(bp.demonitor(bp.monitor("name"), flush=True), bool)
    assert_type(bp.alias("reply"), bp.Ref)
    assert_type(bp.send_after(1, "name", ("any", "term")), bp.Ref)
    assert_type(bp.cancel_timer(bp.start_timer(0.5, pid, "x")), float | None)
    assert_type(bp.process_info(pid), bp.ProcessInfo | None)
    assert_type(bp.processes(), list[bp.Pid])
    assert_type(bp.registered(), list[str])
    assert_type(bp.trap_exit(), bool)
    assert_type(bp.ancestors(), tuple[bp.Pid, ...])
    assert_type(info.links, tuple[bp.Pid, ...])
    assert_type(info.memory, int)
    bp.monitor(pid, alias="nonsense")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bp.alias("demonitor")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bp.send_after("1", pid, "x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bp.whereis(pid)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bp.register(pid, "name")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bp.exit(pid, "reason")


def leaves() -> NoReturn:
    bp.exit("reason")


async def clients() -> None:
    shop = await Shop.start()
    assert_type(await shop.price("bread"), float)
    assert_type(await shop.price("bread", discount=0.5), float)
    assert_type(await shop.names(), list[str])
    shop.close()
    bakery = await Bakery.start_link(name="bakery", timeout=5.0)
    assert_type(bakery, Bakery)
    assert_type(await bakery.ovens(), int)
    assert_type(await bakery.options(timeout=None).price("bun"), float)
    assert_type(bakery.stop(), bp.Handle[None])
    assert_type(Bakery.client("bakery"), Bakery)
    assert_type(bp.call(bakery, "request"), bp.Handle[Any])
    bp.cast(bakery, "request")
    await shop.price("bread", 0.5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await shop.price("bread", discount="half")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await shop.ovens()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    bakery.options(5)  # type: ignore[call-arg,misc,unused-ignore]  # pyright: ignore[reportCallIssue]


async def value(n: int) -> str:
    return str(n)


async def nothing() -> None: ...


async def in_a_node() -> None:
    async with bp.Node("a@127.0.0.1", strict=True, exit_grace=1.0, max_mailbox=(1000, 10**6)) as node:
        assert_type(node, bp.Node)
        assert_type(node.name, str)
        assert_type(await node.run(value, 1), str)
        assert_type(node.spawn(nothing, monitor=True), tuple[bp.Pid, bp.Ref])
        assert_type(node.statistics(), dict[str, int])


def in_a_script() -> None:
    with bp.start("script") as node:
        handle = node.run(value, 1)
        assert_type(handle, bp.Handle[str])
        assert_type(handle.result(timeout=1), str)
        assert_type(handle.exception(), BaseException | None)
        assert_type((handle.done(), handle.cancelled(), handle.cancel()), tuple[bool, bool, bool])
        assert_type(Shop.start().result().price("bread").result(1), float)
    assert_type(bp.run(value, 1, name="program"), str)
