"""gen_server: what callbacks return, and what comes of it. beam.md 4.43, 3.5."""

from __future__ import annotations

import asyncio

import beampy as bp
from beampy.otp import debug
from tests.conformance.probed import BAD, answering, raising, say, start
from tests.conformance.vectors import crashed, differs, probe, process
from tests.conformance.vocabulary import absent, ca, get1, reason, until

# what callbacks return


@differs(
    otp=("exit", ("bad_return_value", "not_a_valid_return")),
    ours="not_a_valid_return",
)
async def test_gs_bad_return():
    return await ca(bp.call(await start(), "bad"))


@differs(
    otp=[("bad_return_value", "nonsense")] * 3,
    ours=[crashed(BAD.format(name)) for name in ("handle_cast", "handle_info", "handle_continue")],
)
async def test_gs_bad_returns():
    bad = answering("nonsense")
    then = answering(bp.NoReply(then=bad))
    found = []
    for to_send in (lambda s: bp.cast(s, bad), lambda s: bp.send(s, bad), lambda s: bp.cast(s, then)):
        server = await start()
        ref = bp.monitor(server)
        to_send(server)
        found.append(await reason(ref))
    return found


@differs(
    otp=["x", ("exit", ("bad_return_value", "ball"))],
    ours=["x", ValueError],
)
async def test_gs_throw_is_return():
    # Only Stop may be raised as well as returned; any other exception is a crash.
    server = await start()
    return [
        await ca(bp.call(await start(), raising(bp.Stop("normal", reply="x")))),
        await ca(bp.call(server, raising(ValueError("ball")))),
    ]


@probe
async def test_gs_continue_before_next_msg():
    server, me = await start(), bp.self()
    await debug.suspend(server)
    bp.cast(server, answering(bp.NoReply(then=say(me, "continued"))))
    bp.send(server, say(me, "info"))
    await debug.resume(server)
    return [await get1(), await get1()]


@probe
async def test_gs_reply_before_continue():
    server, me = await start(), bp.self()
    go = asyncio.Event()

    async def then(_):
        await go.wait()
        bp.send(me, "continued")

    answer = await bp.call(server, answering(bp.Reply("replied", then=then)))
    go.set()
    return [answer, await get1()]


@probe
async def test_gs_continue_chain():
    server, me = await start(), bp.self()
    ref = bp.monitor(server)
    await debug.suspend(server)
    two = say(me, "two")
    one = say(me, "one", bp.NoReply(then=two))
    bp.cast(server, say(me, "cast", bp.NoReply(then=one)))
    bp.cast(server, say(me, "last", bp.NoReply(then=answering(bp.Stop("done")))))
    await debug.resume(server)
    return [await get1() for _ in range(4)] + [await reason(ref)]


@probe
async def test_gs_reply_later_by_other():
    async def replier(from_):
        bp.reply(from_, "later")

    def request(_, from_):
        bp.spawn(replier, from_)
        return bp.NOREPLY

    return await bp.call(await start(), request)


@probe
async def test_gs_reply_twice():
    server = await start()
    go = asyncio.Event()

    async def request(_, from_):
        bp.reply(from_, "one")
        await go.wait()
        bp.reply(from_, "two")
        return bp.NOREPLY

    answer = await bp.call(server, request)
    go.set()
    await debug.get_state(server)
    return answer, await absent()


@probe
async def test_gs_stop_with_reply():
    server = await start()
    ref = bp.monitor(server)
    return await bp.call(server, answering(bp.Stop("bye", reply="reply"))), await reason(ref)


@probe
async def test_gs_idle_timeout():
    server = await start(info=bp.self())
    bp.cast(server, answering(bp.NoReply(timeout=0.01)))
    return await get1()


@probe
async def test_gs_idle_timeout_cancelled():
    server = await start(info=bp.self())
    await debug.suspend(server)
    bp.cast(server, answering(bp.NoReply(timeout=0.02)))
    bp.send(server, "hello")
    await debug.resume(server)
    return [await get1(), await absent()]


@probe
async def test_gs_idle_timeout_0():
    server = await start(info=bp.self())
    await debug.suspend(server)
    bp.cast(server, answering(bp.NoReply(timeout=0)))
    bp.send(server, "hello")
    await debug.resume(server)
    found = [await get1(), await absent()]
    bp.cast(server, answering(bp.NoReply(timeout=0)))
    return [*found, await get1()]


class Marked(bp.Server):
    """The same answers from marked methods."""

    def __init__(self, me):
        self.me = me

    @bp.cast
    async def later(self, answer):
        return answer

    @bp.call
    async def now(self, answer):
        return answer

    async def handle_info(self, message):
        bp.send(self.me, ("handle_info", message))

    async def handle_continue(self, then):
        bp.send(self.me, ("handle_continue", then))

    async def terminate(self, why):
        bp.send(self.me, ("terminate_called", why))


@process()
async def test_marked_methods_may_answer_the_same():
    server = await Marked.start(bp.self())
    assert await server.now(bp.Reply("value", then="a")) == "value"
    assert await get1() == ("handle_continue", "a")
    server.later(bp.NoReply(then="b"))
    assert await get1() == ("handle_continue", "b")
    server.later(bp.NoReply(timeout=0.001))
    assert await get1() == ("handle_info", "timeout")
    server.later("a value that a cast has no use for")
    assert await server.now("alive") == "alive"
    server.later(bp.Stop("normal"))
    assert await get1() == ("terminate_called", "normal")


@differs(otp="pong", ours="pong")
async def test_gs_hibernate():
    # There is no hibernation: an idle server keeps one frame, and asking for more is a BadReturn.
    server = await start()
    await until(lambda: bp.process_info(server).status == "waiting")
    return await bp.call(server, "ping")


@differs(otp="pong", ours="pong")
async def test_gs_hibernate_after():
    server = await start()
    bp.cast(server, answering(bp.NoReply(timeout=0.001)))
    await until(lambda: bp.process_info(server).message_queue_len == 0)
    return await bp.call(server, "ping")
