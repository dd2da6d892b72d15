"""What nodes promise each other, beside what OTP 25 answered: vectors/probes_nodes.erl. beam.md 4.9-4.38.

That processes of two nodes behave as those of one is held by the rest of this directory, whose tests run on two nodes
as well. Here is what exists with two nodes only: the dead there, nodes that are not, ends of connections, restarts.
"""

from __future__ import annotations

import asyncio

import beampy as bp
from beampy import api
from beampy.errors import BadFunction, CookieMismatch, NodeDown, NotAllowed, NotLocal
from beampy.testing import harness
from tests.conformance.nodes import (
    MISSING,
    NAMES,
    across,
    another,
    cut,
    early,
    echo,
    gone,
    is_up,
    mute,
    probe_across,
    shout,
    until,
)
from tests.conformance.vectors import BADARG
from tests.conformance.vocabulary import absent, c, ca, distinct, ex, get1, mailbox, reason

THERE = [("there", NAMES[1])]  # how the probes call the peer

# the dead, and what is only known there


@probe_across()
async def test_remote_monitor_dead(there):
    bp.monitor(await gone(there))
    return await get1()


@probe_across()
async def test_remote_link_dead_nontrapping(there):
    pid = await gone(there)

    async def body():
        assert bp.link(pid)
        await get1()
        bp.exit("survived")

    return await ex(body)


@probe_across()
async def test_remote_link_dead_trapping(there):
    pid = await gone(there)

    async def body():
        bp.trap_exit(True)
        bp.link(pid)
        bp.exit(await get1())

    return await ex(body)


@probe_across({"x": None})
async def test_remote_send_unregistered(there):
    return bp.send(("nobody", there.name), "x")


@probe_across(THERE)
async def test_remote_monitor_name_none(there):
    bp.monitor(("nobody", there.name))
    return await get1()


@probe_across(THERE)
async def test_remote_monitor_name(there):
    pid = await bp.spawn(mute, node=there.name, name="named")
    bp.monitor(("named", there.name))
    bp.exit(pid, "bye")
    return await get1()


@probe_across({BADARG: NotLocal})
async def test_remote_is_process_alive(there):
    pid = await gone(there)
    return c(lambda: bp.is_alive(pid))


@probe_across({BADARG: NotLocal})
async def test_remote_process_info(there):
    pid = await gone(there)
    return c(lambda: bp.process_info(pid))


@probe_across({BADARG: NotLocal})
async def test_remote_register(there):
    pid = await gone(there)
    return c(lambda: bp.register("foo", pid))


# starting there


@probe_across({"undef": BadFunction})
async def test_remote_spawn_undef(there):
    # Not a process that dies: the spawn itself says so, as on one node.
    return await ca(bp.spawn(len, node=there.name, monitor=True))


@probe_across()
async def test_dist_spawn_monitor(there):
    seen = []
    for _ in range(100):
        _, ref = await bp.spawn(early, node=there.name, monitor=True)
        seen.append(await reason(ref))
    return distinct(seen)


@probe_across()
async def test_dist_spawn_signals_after_reply(there):
    bp.trap_exit(True)
    seen = []
    for _ in range(100):
        spawning = bp.spawn(shout, bp.self(), node=there.name, link=True, monitor=True)
        order = []
        spawning.add_done_callback(lambda _, order=order: order.append("reply"))
        await spawning
        await asyncio.sleep(0)  # the callback
        kinds = {str: "message", bp.Exit: "end", bp.Down: "end"}
        order += [kinds[type(await get1())] for _ in range(3)]
        seen.append(order)
    return distinct(seen)


@probe_across()
async def test_dist_spawn_parent_ends(there):
    me = bp.self()

    async def parent():
        bp.send(me, await bp.spawn(mute, node=there.name, link=True))
        await harness.expect("go")
        bp.exit("oops")

    pid = bp.spawn(parent)
    ref = bp.monitor(await get1())
    bp.send(pid, "go")
    return await reason(ref)


@probe_across({"noconnection": NodeDown})
async def test_dist_spawn_nodedown(there):
    _, ref = await bp.spawn(mute, node=there.name, monitor=True)
    await there.stop()
    await reason(ref)
    return await ca(bp.spawn(mute, node=there.name))


# a node that is not there


@probe_across({"noconnection": NodeDown}, count=1)
async def test_spawn_nonode_monitor():
    return await ca(bp.spawn(mute, node=MISSING, monitor=True))


@probe_across(count=1)
async def test_monitor_nonode():
    bp.monitor(("x", MISSING))
    return await get1()


@probe_across()
async def test_link_nonode(there):
    bp.trap_exit(True)
    pid = await bp.spawn(mute, node=there.name)
    bp.monitor_nodes()
    await there.stop()
    await harness.expect(bp.NodeDown)
    bp.link(pid)
    return await get1()


@probe_across({"hello": None}, count=1)
async def test_send_nonode():
    return bp.send(("x", MISSING), "hello")


# the end of a connection


@probe_across([(("nodedown", "there"), "nodedown")])
async def test_on_node_halt_messages(there):
    bp.trap_exit(True)
    bp.monitor_nodes()
    await bp.spawn(mute, node=there.name, link=True, monitor=True)
    cut(there)
    order = [bp.NodeDown, bp.Exit, bp.Down]
    seen = sorted([await get1() for _ in range(3)], key=lambda message: order.index(type(message)))
    assert seen[0].node == there.name
    return ["nodedown", *seen[1:]]


@probe_across()
async def test_nodes_after_nodedown(there):
    bp.monitor_nodes()
    assert bp.nodes() == [there.name]
    cut(there)
    await harness.expect(bp.NodeDown)
    return there.name in bp.nodes()


@probe_across()
async def test_disconnect_DOWN(there):
    await bp.spawn(echo, node=there.name, monitor=True)
    assert bp.disconnect(there.name)
    return await get1()


async def tied(to: bp.Pid) -> None:
    """Linked with `to` and watching it: tells afterwards how both ended."""
    bp.trap_exit(True)
    bp.link(to)
    bp.monitor(to)
    bp.send(to, "ready")
    ends = (await harness.expect(bp.Exit)).reason, (await harness.expect(bp.Down)).reason
    await harness.expect("seen")
    bp.send(to, ends)


@probe_across()
async def test_disconnect_both_ends(there):
    bp.trap_exit(True)
    pid = await bp.spawn(tied, bp.self(), node=there.name)
    await harness.expect("ready")
    bp.disconnect(there.name)
    assert await get1() == bp.Exit(pid, "noconnection")
    bp.send(pid, "seen")
    return await get1()


@probe_across()
async def test_proc_survives_disconnect_and_autoreconnect(there):
    pid = await bp.spawn(echo, node=there.name)
    bp.send(pid, (bp.self(), 1))
    assert await get1() == 1
    bp.disconnect(there.name)
    bp.send(pid, (bp.self(), 2))
    return await get1()


@probe_across()
async def test_monitor_not_reestablished(there):
    pid, _ = await bp.spawn(echo, node=there.name, monitor=True)
    bp.disconnect(there.name)
    assert (await get1()).reason == "noconnection"
    ref = bp.monitor(pid)
    bp.send(pid, (bp.self(), "die"))
    return (await reason(ref), await absent())


@probe_across()
async def test_lost_exit(there):
    # However the exit and the break race: one Exit each.
    me = bp.self()

    async def linked():
        bp.trap_exit(True)
        pid = await bp.spawn(echo, node=there.name, link=True)
        bp.send(me, ("up", pid))
        await harness.expect(bp.Exit)
        await harness.expect("count")
        bp.send(me, ("exits", 1 + len(await mailbox())))

    ours = [bp.spawn(linked) for _ in range(20)]
    theirs = [(await bp.receive(("up", bp.Pid)))[1] for _ in ours]
    for pid in theirs:
        bp.send(pid, (me, "die"))
    bp.disconnect(there.name)
    for pid in ours:
        bp.send(pid, "count")
    return distinct([(await bp.receive(("exits", int)))[1] for _ in ours])


# another start of the same node


async def restarted(there: bp.Node) -> bp.Pid:
    """The pid of a process of the node's first start; it has stopped."""
    pid = await bp.spawn(mute, node=there.name)
    bp.monitor_nodes()
    await there.stop()
    await harness.expect(bp.NodeDown)
    bp.monitor_nodes(False)
    return pid


@probe_across()
async def test_creation_differs_after_restart(there):
    one = (await restarted(there)).creation
    async with another(there.name):
        two = (await bp.spawn(mute, node=there.name)).creation
    return (one != two, one > 3, two > 3)


@probe_across()
async def test_monitor_pid_of_old_incarnation(there):
    pid = await restarted(there)
    async with another(there.name):
        bp.monitor(pid)
        return await get1()


@probe_across({"x": None})
async def test_send_pid_of_old_incarnation(there):
    # Whose serial is another process's now.
    pid = await restarted(there)
    async with another(there.name):
        now, ref = await bp.spawn(echo, node=there.name, monitor=True)
        for serial in range(pid.serial, now.serial + 1):
            bp.send(bp.Pid(pid.node, serial, pid.creation), (bp.self(), "die"))
        answer = bp.send(pid, "x")
        bp.send(now, (bp.self(), "alive"))
        assert await get1() == "alive"
        bp.demonitor(ref)
        return answer


@probe_across()
async def test_link_pid_of_old_incarnation_trapping(there):
    bp.trap_exit(True)
    pid = await restarted(there)
    async with another(there.name):
        bp.link(pid)
        return await get1()


@probe_across({True: None})
async def test_exit_pid_of_old_incarnation(there):
    pid = await restarted(there)
    async with another(there.name):
        return bp.exit(pid, "kill")


# who connects with whom


@probe_across(count=1)
async def test_wrong_cookie_connect():
    async with another(NAMES[1], cookie="quite another cookie"):
        assert await ca(bp.connect(NAMES[1])) is CookieMismatch
        return await bp.ping(NAMES[1])


@probe_across(count=1)
async def test_per_node_cookie_connect():
    async with another(NAMES[1], cookie="quite another cookie"):
        api.self_process().node.remote.options.cookies.set_for(NAMES[1], "quite another cookie")
        return await bp.ping(NAMES[1])


@probe_across(count=1)
async def test_hidden_connect():
    async with another(NAMES[1], hidden=True):
        await bp.connect(NAMES[1])
        return await bp.ping(NAMES[1])


@probe_across(count=1)
async def test_hidden_not_in_nodes():
    async with another(NAMES[1], hidden=True) as hidden:
        await bp.connect(hidden.name)
        return tuple(hidden.name in bp.nodes(kind) for kind in ("visible", "hidden", "all"))


@probe_across()
async def test_hidden_not_meshed_to_third(there):
    async with another(NAMES[2], hidden=True) as hidden:
        await bp.connect(hidden.name)
        await asyncio.sleep(0.1)
        return [name for name in there._peers.nodes("all") if name != bp.node()]


@probe_across()
async def test_transitive_mesh(there):
    async with another(NAMES[2]) as third:
        await bp.connect(third.name)
        await until(lambda: is_up(third, there) and is_up(there, third))
        return is_up(third, there)


@across(3)
async def test_no_overlapping_partitions_after_a_disconnect(there, third):
    # OTP 25 gave this, or no connection at all, as its nodes heard of it first from the one or from the other.
    bp.disconnect(there.name)
    await until(lambda: not is_up(third, there))
    await asyncio.sleep(0.1)
    assert (bp.nodes(), third._peers.nodes(), there._peers.nodes()) == ([third.name], [bp.node()], [])


@probe_across(count=1)
async def test_not_allowed_connect():
    async with another(NAMES[1], allowed=["only@127.0.0.1"]):
        assert await ca(bp.connect(NAMES[1])) is NotAllowed
        return await bp.ping(NAMES[1])


@probe_across(auto_connect="never")
async def test_auto_connect_never_monitor(there):
    bp.disconnect(there.name)
    bp.send(("nobody", there.name), "x")
    bp.monitor(("nobody", there.name))
    return (await get1()).reason
