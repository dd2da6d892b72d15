"""A table goes with its owner, and is found through it alone."""

from __future__ import annotations

from typing import Any

import pytest

import beampy as bp
from beampy.errors import NoProcess, NotLocal
from beampy.otp.tables import lives, own, table_of
from beampy.testing import harness


async def owner(tell: bp.Pid, table: Any) -> None:
    own(table)
    bp.send(tell, bp.spawn(idle))
    await idle()


async def idle() -> None:
    await bp.receive(("never",))


async def test_it_is_found_by_pid_and_name_and_goes_with_its_owner():
    async def body() -> None:
        table = {"a": 1}
        pid = bp.spawn(owner, bp.self(), table, name="owner")
        await harness.expect(bp.Pid)
        assert table_of(pid, dict) is table
        assert table_of("owner", dict) is table
        bp.exit(pid, "kill")
        for gone in (pid, "owner"):
            with pytest.raises(NoProcess):
                table_of(gone, dict)

    await harness.run(body)


async def test_a_child_of_the_owner_owns_nothing():
    async def body() -> None:
        bp.spawn(owner, bp.self(), {})
        child = await harness.expect(bp.Pid)
        with pytest.raises(NoProcess):
            table_of(child, dict)

    await harness.run(body)


async def test_a_process_without_a_table_of_the_kind_is_none():
    async def body() -> None:
        pid = bp.spawn(owner, bp.self(), {})
        await harness.expect(bp.Pid)
        for who, kind in ((pid, list), (bp.self(), dict), ("nobody", dict)):
            with pytest.raises(NoProcess):
                table_of(who, kind)

    await harness.run(body)


async def test_processes_of_other_nodes_are_not_asked():
    async def body() -> None:
        far = bp.Pid("far@localhost", 1, 7)
        with pytest.raises(NotLocal):
            table_of(far, dict)
        assert lives(far), "only its node knows"
        assert not lives(bp.Pid(bp.self().node, 1, 7)), "an earlier incarnation of this node"

    await harness.run(body)
