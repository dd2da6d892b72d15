"""What `%beampy` shows: a Status, in lines."""

from __future__ import annotations

from beampy.notebook.status import NOTHING, SHOWN, NodeStatus, Status, listed, look, stop, text
from beampy.pool.live_view import RunnerView, View


def test_nothing_runs():
    assert text(Status()) == NOTHING
    assert look() == Status()
    assert stop() == NOTHING


def test_a_node_with_all_that_it_may_have():
    b = {"node": "b@h", "hidden": False, "carrier": "unix", "queued": 0, "stalled": False}
    c = {"node": "c@box", "hidden": True, "carrier": "tls 10.0.0.2:4711", "queued": 70, "stalled": True}
    runners = [RunnerView("runner-1", "up", 100, 2), RunnerView("runner-2", "booting", 100, 0)]
    pool = View("p", max=4, runners=runners, waiting=12, running=2, finished=103, failed=1, cancelled=3)
    node = NodeStatus("notebook-1@localhost", True, 0.00021, [b, c], [pool])
    assert text(Status([node], 1234, ["helpers", "tools"])).splitlines() == [
        "node  notebook-1@localhost (hidden), answers in 0.2 ms",
        "      connected: b@h over unix, c@box over tls 10.0.0.2:4711, 70 bytes wait, stalled",
        "pool  p: 1 of at most 4 runners, 2 calls running, 12 waiting, 100 done, 1 of them failed, 3 cancelled",
        "      runner-1 up, 2 calls · runner-2 booting",
        "code  1.2 kB of functions and classes of cells; modules: helpers, tools",
    ]


def test_a_node_that_does_not_answer():
    assert text(Status([NodeStatus("a@h", False, None)])) == "node  a@h, does not answer"


def test_long_lists_are_cut():
    words = [str(number) for number in range(SHOWN + 5)]
    assert listed(words).endswith(f"{SHOWN - 1} and 5 more")
    assert listed(words[:SHOWN]).endswith(f"{SHOWN - 1}")
