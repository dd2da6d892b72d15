"""handshake: somebody without the cookie sends again, sends back, changes and pretends. Nobody believes him."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from beampy.errors import BeampyError, CookieMismatch, HandshakeFailed, NameInUse, RemoteProtocolError
from beampy.wire import greeting, transcript
from beampy.wire.handshake import Acceptor, Alive, Authenticated, Identity, Initiator, Status

COOKIE = b"k3Jt0cXnq9Vb2mZr7LwYdA"
OTHER = b"Qh8sT1zFvE5oGx6uPy4iWj"
A = Identity("a@h", 77, frozenset({"bulk", "fast"}))
B = Identity("b@h", 78, frozenset({"bulk", "fast"}))
N1, N2, N3 = (bytes([n]) * 32 for n in (1, 2, 3))


def initiator(me: Identity = A, cookies: Any = (COOKIE,), **options: Any) -> Initiator:
    return Initiator(me, cookies, **{"peer": "b@h", "nonce": N1, **options})


def acceptor(me: Identity = B, cookies: Any = (COOKIE,), **options: Any) -> Acceptor:
    return Acceptor(me, cookies, **{"nonce": N2, **options})


def take(machine: Any, data: bytes, status: Status) -> None:
    """Feed a machine and answer what it asks. It keeps its error."""
    with suppress(BeampyError):
        for event in machine.feed(data):
            if isinstance(event, Authenticated):
                machine.answer(status)
            elif isinstance(event, Alive):
                machine.answer(True)
    assert machine.error is None or not machine.done


def relay(i: Any, a: Any, status: Status, change: Any = lambda turn, data: data) -> list[bytes]:
    """Carry each message across, as `change(turn, data)` has it, then close. What each turn said."""
    said: list[bytes] = []
    for turn in range(5):
        here, there = ((i, a), (a, i))[turn % 2]
        said.append(here.output())
        if there.done or there.error:
            continue
        data = change(turn, said[turn])
        if data:
            take(there, data, status)
    for side in (i, a):
        if not side.done and side.error is None:
            with pytest.raises(HandshakeFailed):
                side.eof()
    return said


@pytest.mark.parametrize("status", [Status.OK, Status.ALIVE])
def test_no_flipped_bit_is_believed(status):
    """Every bit of every message, both ways: who gets it is not convinced, nor who said something after it."""
    plain = relay(initiator(), acceptor(), status)
    assert [bool(data) for data in plain] == [True, True, True, True, status == Status.ALIVE]
    for turn, data in enumerate(plain):
        for at in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[at // 8] ^= 1 << at % 8
            i, a = initiator(), acceptor()
            relay(i, a, status, lambda t, d, turn=turn, flipped=flipped: bytes(flipped) if t == turn else d)
            fooled, other = (a, i) if turn % 2 == 0 else (i, a)
            assert fooled.error is not None, (turn, at)
            assert fooled.result is None, (turn, at)
            # Before the last message of a side, the other one can still say that something is wrong.
            if turn < 2:
                assert other.error is not None, (turn, at)


def test_a_flip_in_a_proof_that_nobody_reads_is_found_by_who_sent_it():
    """The seal for a cookie that the acceptor lacks: it cannot know it, but seals what it got."""

    def change(turn: int, data: bytes) -> bytes:
        return data[:-1] + bytes([data[-1] ^ 1]) if turn == 2 else data

    i, a = initiator(cookies=[COOKIE, OTHER]), acceptor()
    relay(i, a, Status.OK, change)
    assert type(i.error) is CookieMismatch


@pytest.mark.parametrize("status", [Status.OK, Status.ALIVE])
def test_no_truncated_message_is_believed(status):
    plain = relay(initiator(), acceptor(), status)
    for turn, data in enumerate(plain):
        for end in range(len(data)):
            i, a = initiator(), acceptor()
            relay(i, a, status, lambda t, d, turn=turn, end=end: d[:end] if t == turn else d)
            fooled = (a, i)[turn % 2]
            assert type(fooled.error) is HandshakeFailed, (turn, end)


def test_messages_in_another_order_are_refused():
    plain = relay(initiator(), acceptor(), Status.ALIVE)
    for turn in range(5):
        for instead in range(5):
            if instead == turn or plain[turn] == plain[instead]:
                continue
            i, a = initiator(), acceptor()
            relay(i, a, Status.ALIVE, lambda t, d, turn=turn, instead=instead: plain[instead] if t == turn else d)
            assert (a, i)[turn % 2].error is not None, (turn, instead)


@pytest.mark.parametrize("status", [Status.OK, Status.ALIVE])
def test_a_recorded_initiator_convinces_nobody(status):
    plain = relay(initiator(), acceptor(), status)
    a = acceptor(nonce=N3)
    for said in plain[::2]:
        if a.error is None:
            take(a, said, status)
    assert type(a.error) is CookieMismatch


def test_a_recorded_acceptor_convinces_nobody():
    plain = relay(initiator(), acceptor(), Status.OK)
    i = initiator(nonce=N3)
    for said in plain[1::2]:
        take(i, said, Status.OK)
    assert type(i.error) is CookieMismatch


def test_a_claim_of_another_handshake_replaces_nothing():
    claim = relay(initiator(), acceptor(), Status.ALIVE)[4]
    i, a = initiator(nonce=N3), acceptor()
    relay(i, a, Status.ALIVE, lambda turn, data: claim if turn == 4 else data)
    assert type(a.error) is CookieMismatch


def test_a_claim_turned_around_replaces_nothing():
    """The answer is sealed: a no cannot be made a yes."""
    i, a = initiator(), acceptor()
    for here, there in ((i, a), (a, i), (i, a)):
        take(there, here.output(), Status.ALIVE)
    i.feed(a.output())
    i.answer(False)
    said = i.output()
    assert said.count(b"\x92\x05\xc2") == 1
    with pytest.raises(CookieMismatch):
        a.feed(said.replace(b"\x92\x05\xc2", b"\x92\x05\xc3"))


@pytest.mark.parametrize("status", ["nok_simultaneous", "alive", "ok"])
def test_a_status_made_another_is_not_believed(status):
    i, a = initiator(), acceptor()
    for here, there in ((i, a), (a, i), (i, a)):
        take(there, here.output(), Status.OK_SIMULTANEOUS)
    said = a.output().replace(b"\xafok_simultaneous", bytes([0xA0 + len(status)]) + status.encode())
    with pytest.raises(CookieMismatch):
        i.feed((len(said) - 2).to_bytes(2, "big") + said[2:])


# --- sent back


def test_what_an_initiator_says_sent_back_to_it():
    for messages in (1, 2):
        i = initiator()
        hello = i.output()
        if messages == 1:
            with pytest.raises(RemoteProtocolError):
                i.feed(hello)
            continue
        challenge = transcript.Transcript(b"")
        challenge.say(greeting.CHALLENGE, 1, 1, [], [], N2)
        i.feed(challenge.take_output())
        with pytest.raises(CookieMismatch, match="could not prove"):
            i.feed(i.output())


def test_our_own_nonce_sent_back():
    i = initiator()
    said = transcript.Transcript(b"")
    said.say(greeting.CHALLENGE, 1, 1, [], [], N1)
    with pytest.raises(RemoteProtocolError, match="nonce"):
        i.feed(said.take_output())
    a = acceptor()
    with pytest.raises(RemoteProtocolError, match="nonce"):
        a.feed(initiator(nonce=N2).output())


def test_a_node_does_not_authenticate_somebody_with_its_own_words():
    """Both roles of one node, and somebody who carries everything from the one to the other."""
    i, a = initiator(), acceptor(Identity("a@h", 77))
    relay(i, a, Status.OK)
    assert isinstance(i.error, HandshakeFailed)
    assert isinstance(a.error, HandshakeFailed)
    i, a = initiator(), acceptor(Identity("a@h", 78))
    relay(i, a, Status.OK)
    assert type(i.error) is NameInUse
    assert type(a.error) is NameInUse


def test_two_initiators_and_two_acceptors_get_nowhere():
    i, j = initiator(), initiator(B, peer="a@h", nonce=N2)
    with pytest.raises(RemoteProtocolError):
        i.feed(j.output())
    a = acceptor()
    assert a.output() == b""  # it says nothing first, so two of them say nothing ever


# --- pretended


class Puppet:
    """Says whatever a test wants said, in either role, sealed with whatever cookies and labels."""

    def __init__(self, cookies: Any = (COOKIE,), binding: bytes = b"") -> None:
        self.said = transcript.Transcript(binding)
        self.keys = list(transcript.keys_of(cookies))

    def hear(self, data: bytes) -> None:
        self.said.push(data)
        heard = self.said.pull()
        assert heard is not None
        self.said.hear(heard)

    def say(self, kind: int, *fields: object, label: bytes = b"", seals: int = 1) -> bytes:
        self.said.say(kind, *fields, keys=self.keys * seals if label else (), label=label)
        return self.said.take_output()

    def challenge(self, i: Initiator) -> None:
        """Take the acceptor's part, up to the proof."""
        self.hear(i.output())
        i.feed(self.say(greeting.CHALLENGE, 1, 1, [], [], N2))
        self.hear(i.output())

    def greet(self, a: Acceptor) -> None:
        """Take the initiator's part, up to the challenge."""
        a.feed(self.say(greeting.HELLO, 1, 1, [], [], "main", "a@h", 77, False, "b@h", N1))
        self.hear(a.output())


LABELS = [transcript.PROOF_LABEL, transcript.WELCOME_LABEL, transcript.CLAIM_LABEL]
OK = (greeting.WELCOME, "ok", "b@h", 78, False)


@pytest.mark.parametrize("label", LABELS)
def test_a_seal_is_good_for_one_message_only(label):
    """The same transcript, the same cookie: with the label of another message it does not fit."""
    a, puppet = acceptor(), Puppet()
    puppet.greet(a)
    take(a, puppet.say(greeting.PROOF, label=label), Status.ALIVE)
    assert type(a.error) is (type(None) if label == transcript.PROOF_LABEL else CookieMismatch)

    i, puppet = initiator(), Puppet()
    puppet.challenge(i)
    take(i, puppet.say(*OK, label=label), Status.OK)
    assert type(i.error) is (type(None) if label == transcript.WELCOME_LABEL else CookieMismatch)

    a, puppet = acceptor(), Puppet()
    puppet.greet(a)
    take(a, puppet.say(greeting.PROOF, label=transcript.PROOF_LABEL), Status.ALIVE)
    puppet.hear(a.output())
    take(a, puppet.say(greeting.CLAIM, True, label=label), Status.OK)
    assert type(a.error) is (type(None) if label == transcript.CLAIM_LABEL else CookieMismatch)
    assert a.done == (label == transcript.CLAIM_LABEL)


def test_an_acceptor_without_the_cookie_is_not_believed():
    i, puppet = initiator(), Puppet([OTHER])
    puppet.challenge(i)
    with pytest.raises(CookieMismatch, match="could not prove"):
        i.feed(puppet.say(*OK, label=transcript.WELCOME_LABEL))


def test_an_acceptor_that_has_another_certificate_is_not_believed():
    i, puppet = initiator(binding=N1), Puppet(binding=N2)
    puppet.challenge(i)
    with pytest.raises(CookieMismatch, match="ends TLS"):
        i.feed(puppet.say(*OK, label=transcript.WELCOME_LABEL))


def test_a_welcome_without_a_seal_is_no_welcome():
    i, puppet = initiator(), Puppet()
    puppet.challenge(i)
    with pytest.raises(RemoteProtocolError):
        i.feed(puppet.say(*OK))


def test_a_claim_without_a_seal_is_no_claim():
    a, puppet = acceptor(), Puppet()
    puppet.greet(a)
    take(a, puppet.say(greeting.PROOF, label=transcript.PROOF_LABEL), Status.ALIVE)
    puppet.hear(a.output())
    with pytest.raises(CookieMismatch):
        a.feed(puppet.say(greeting.CLAIM, True))
    assert a.output() == b""  # the connection closes, and that says it


@pytest.mark.parametrize("seals", [0, transcript.MAX_COOKIES, transcript.MAX_COOKIES + 1])
def test_only_so_many_guesses_are_tried(seals):
    """One seal too many, and not even the right ones count."""
    a, puppet = acceptor(), Puppet()
    puppet.greet(a)
    take(a, puppet.say(greeting.PROOF, label=transcript.PROOF_LABEL, seals=seals), Status.OK)
    assert a.done == (seals == transcript.MAX_COOKIES)


def test_a_stranger_does_not_make_us_hold_much():
    """Lists of lists that say they are long, in one message of 4 KiB."""
    arrays = b"\xdc\x0f\xf0" * ((greeting.MAX_FRAME - greeting.HEADER) // 3)
    hello = greeting.OPENING + (len(arrays) + 1).to_bytes(2, "big") + b"\0" + arrays
    a = acceptor()
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError):
            a.feed(hello)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * 2**20  # 4080 pointers for each of the 1024 levels that msgpack allows would be 32 MiB


def test_what_a_stranger_said_is_not_kept():
    a = acceptor()
    with pytest.raises(RemoteProtocolError):
        a.feed(b"GET /" + bytes(2**20))
    assert a._said.left() == 0
    assert a.rest == b""
