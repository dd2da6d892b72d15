"""Control arrays: signals there and back, and nothing else."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.core.ids import Pid, Ref
from beampy.core.signals import (
    DownSignal,
    ExitSignal,
    LinkSignal,
    MonitorSignal,
    UnlinkAckSignal,
    UnlinkSignal,
)
from beampy.errors import RemoteProtocolError
from beampy.wire import control
from beampy.wire.control import IGNORABLE, SHAPES, from_control, lost, nodes, to_control

A = Pid("a@h", 7, 1)  # one of the sender's
B = Pid("b@h", 9, 2)  # one of the receiver's


def own(serial, creation):
    return Pid("b@h", serial, creation)


def theirs(serial, creation):
    return Pid("a@h", serial, 1 if creation is None else creation)


def travel(args):
    return msgpack.unpackb(msgpack.packb(args))


SIGNALS = [
    LinkSignal(A, B),
    UnlinkSignal(A, B, 5),
    UnlinkAckSignal(A, B, (1 << 64) - 1),
    ExitSignal(A, B, None, True),
    ExitSignal(A, B, None, False),
    ExitSignal(Pid("a@h", 0, 1), B, None, False),
    DownSignal(B, Ref("b@h", 11, 2), None, A),
    DownSignal(B, Ref("b@h", 11, 2), None, None),
]


@pytest.mark.parametrize("signal", SIGNALS, ids=repr)
def test_a_signal_comes_back_without_its_reason(signal):
    sender, args = to_control(signal._replace(reason="secret") if hasattr(signal, "reason") else signal)
    assert "secret" not in args
    back = from_control(sender, travel(args), own, theirs)
    assert back == signal
    assert type(back) is type(signal)


def test_a_down_waits_behind_the_process_that_ended():
    assert to_control(SIGNALS[6])[0] == A.serial


def test_a_pid_of_an_earlier_start_stays_one():
    signal = from_control(7, [control.LINK, 9, 1], own, theirs)
    assert signal.to == Pid("b@h", 9, 1) != B


RECORDS = [
    ((control.SPAWN, 5, {"link": True}), 7, control.Spawn(5, {"link": True})),
    ((control.SPAWN_REPLY, 5, 0), 0, control.SpawnReply(5, 0)),
    ((control.SPAWN_REPLY, 5, 12), 12, control.SpawnReply(5, 12)),
    (nodes(["a@h", "b@10.0.0.1"]), 0, control.Nodes(["a@h", "b@10.0.0.1"])),
    (nodes(iter(())), 0, control.Nodes([])),
    (lost("a@h", 5), 0, control.Lost("a@h", 5)),
    ((control.REFS,), 0, control.Refs()),
    ((control.CODE,), 0, control.Code()),
    ((control.SHARED_OFFER, 4711, 9, 77, b"secret"), 0, control.SharedOffer(4711, 9, 77, b"secret")),
    ((control.SHARED_ANSWER, b"secret"), 0, control.SharedAnswer(b"secret")),
    ((control.SHARED_RELEASE, [1, 2], []), 0, control.SharedRelease([1, 2], [])),
    ((control.SHARED_SYNC, 5, True), 0, control.SharedSync(5, True)),
]


@pytest.mark.parametrize(("args", "sender", "record"), RECORDS)
def test_the_other_arrays(args, sender, record):
    assert from_control(sender, travel(args), own, theirs) == record


def test_very_many_nodes_are_cut():
    record = from_control(0, travel(nodes(f"n{i}@h" for i in range(5000))), own, theirs)
    assert len(record.names) == control.MAX_NODES


def test_what_a_later_release_adds_is_left_out():
    assert from_control(7, [control.LINK, 9, 2, "more"], own, theirs) == SIGNALS[0]
    assert from_control(7, [control.SPAWN_REPLY, 5, 6, "more"], own, theirs) == control.SpawnReply(5, 6)
    assert from_control(7, [IGNORABLE, "anything"], own, theirs) is None


@pytest.mark.parametrize("code", [0, 13, 127])
def test_an_unknown_code_is_an_error(code):
    with pytest.raises(RemoteProtocolError):
        from_control(7, [code], own, theirs)


@pytest.mark.parametrize("code", sorted(control.FROM_A_PROCESS))
def test_some_come_from_a_process(code):
    args = {control.LINK: [1, 9, 2]}.get(code, [code, 9, 2, 3])
    assert from_control(7, args, own, theirs)
    with pytest.raises(RemoteProtocolError):
        from_control(0, args, own, theirs)


@pytest.mark.parametrize(
    "args",
    [
        [control.LINK],
        [control.LINK, 9],
        [control.LINK, -1, 2],
        [control.LINK, 1 << 64, 2],
        [control.LINK, 9, 1 << 32],
        [control.LINK, True, 2],
        [control.LINK, "9", 2],
        [control.LINK, 9.0, 2],
        [control.UNLINK, 9, 2, None],
        [control.EXIT, 9, 2, 1],
        [control.DOWN, 9, 2],
        [control.SPAWN, 5, []],
        [control.SPAWN, 5, {b"k": 1}],
        [control.SPAWN_REPLY, 5, None],
        [control.NODES, "a@h"],
        [control.NODES, ["not a name"]],
        [control.NODES, ["a@h"] * 1025],
        [control.LOST, "nowhere", 1],
        [control.LOST, "a@h", -1],
        [control.SHARED_OFFER, 4711, 9, 77, "secret"],
        [control.SHARED_OFFER, 4711, -9, 77, b"secret"],
        [control.SHARED_OFFER, 4711, 9, 77, b""],
        [control.SHARED_ANSWER, b"x" * 65],
        [control.SHARED_RELEASE, [1]],
        [control.SHARED_SYNC, 5, 1],
        [control.SHARED_RELEASE, [-1], []],
        [control.SHARED_RELEASE, [1] * 4097, []],
    ],
    ids=repr,
)
def test_another_shape_is_an_error(args):
    with pytest.raises(RemoteProtocolError):
        from_control(7, args, own, theirs)


def test_only_some_signals_are_control_arrays():
    with pytest.raises(TypeError):
        to_control(MonitorSignal(A, B, Ref("a@h", 1, 1)))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1 << 64) | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(sender=st.integers(0, 3), code=st.sampled_from([*SHAPES, 0, 99, 200]), fields=st.lists(plain, max_size=5))
def test_anything_is_a_record_or_an_error(sender, code, fields):
    try:
        record = from_control(sender, [code, *fields], own, theirs)
    except RemoteProtocolError:
        return
    assert (record is None) == (code >= IGNORABLE)
