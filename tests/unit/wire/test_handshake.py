"""handshake: who is believed, who is refused, and what each side says about it. Both machines, no sockets."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest

from beampy.errors import (
    BadName,
    CookieMismatch,
    HandshakeFailed,
    InternalError,
    NameInUse,
    NotAllowed,
    NotConnected,
    RemoteProtocolError,
    Superseded,
    VersionMismatch,
)
from beampy.wire import greeting, transcript
from beampy.wire.handshake import Acceptor, Alive, Authenticated, Done, Identity, Initiator, Peer, Status, simultaneous

COOKIE = b"k3Jt0cXnq9Vb2mZr7LwYdA"
OTHER = b"Qh8sT1zFvE5oGx6uPy4iWj"
THIRD = b"mB2nV4cX6zL8kJ0hG1fD3s"
A = Identity("a@h", 77, frozenset({"bulk", "only_a"}))
B = Identity("b@h", 78, frozenset({"bulk", "only_b"}), hidden=True)
N1, N2, N3 = (bytes([n]) * 32 for n in (1, 2, 3))


def initiator(me: Identity = A, cookies: Any = (COOKIE,), **options: Any) -> Initiator:
    return Initiator(me, cookies, **{"peer": "b@h", "nonce": N1, **options})


def acceptor(me: Identity = B, cookies: Any = (COOKIE,), **options: Any) -> Acceptor:
    return Acceptor(me, cookies, **{"nonce": N2, **options})


def talk(i: Initiator, a: Acceptor, status: Status = Status.OK, dead: bool = True) -> tuple[list[Any], list[Any]]:
    """Let them talk until nobody has anything to say, or one has failed. The events of both."""
    said: tuple[list[Any], list[Any]] = ([], [])
    sides: Any = (i, a)
    for turn in range(12):
        here, there = sides[turn % 2], sides[1 - turn % 2]
        data = here.output()
        if not data or there.done or there.error:
            continue
        with suppress(NotConnected, RemoteProtocolError):  # the machine keeps it
            for event in there.feed(data):
                said[1 - turn % 2].append(event)
                if isinstance(event, Authenticated):
                    said[1].extend(there.answer(status))
                elif isinstance(event, Alive):
                    said[0].extend(there.answer(dead))
    return said


def failed(machine: Any, kind: type[Exception]) -> str:
    """What a machine says about its end, which is of exactly this kind."""
    assert type(machine.error) is kind
    assert not machine.done
    assert machine.result is None
    assert machine.question is None
    return str(machine.error)


# --- it works out


def test_both_know_each_other_and_what_they_have_in_common():
    i, a = initiator(), acceptor()
    at_i, at_a = talk(i, a)
    to_b = Peer("b@h", 78, frozenset({"bulk"}), True, 1, "main")
    to_a = Peer("a@h", 77, frozenset({"bulk"}), False, 1, "main")
    assert at_i == [Done(to_b)]
    assert at_a == [Authenticated(to_a), Done(to_a)]
    assert (i.result, a.result) == (to_b, to_a)
    assert i.done
    assert a.done
    assert (i.rest, a.rest) == (b"", b"")
    i.eof()  # closing is no failure any more


def test_what_follows_the_end_belongs_to_the_next_protocol():
    i, a = initiator(), acceptor()
    a.feed(i.output())
    i.feed(a.output())
    a.feed(i.output())
    a.answer(Status.OK)
    i.feed(a.output() + b"frames")
    assert i.done
    assert i.rest == b"frames"
    with pytest.raises(InternalError):
        i.feed(b"more")


def test_what_follows_a_claim_belongs_to_the_next_protocol():
    i, a = initiator(), acceptor()
    a.feed(i.output())
    i.feed(a.output())
    a.feed(i.output())
    assert a.answer(Status.ALIVE) == []
    assert not a.done
    [question] = i.feed(a.output())
    assert isinstance(question, Alive)
    assert not i.done
    [done] = i.answer(True)
    assert done == Done(question.peer)
    [replaced] = a.feed(i.output() + b"frames")
    assert replaced == Done(Peer("a@h", 77, frozenset({"bulk"}), False, 1), replaces=True)
    assert a.rest == b"frames"


def test_the_acceptor_proves_nothing_to_who_has_not_proved_itself():
    i, a = initiator(), acceptor()
    a.feed(i.output())
    challenge = a.output()
    heard = transcript.Transcript(b"")
    heard.push(challenge)
    frame = heard.pull()
    assert frame is not None
    assert frame.seals == []
    assert B.name.encode() not in challenge


def test_a_cookie_is_never_on_the_wire():
    i, a = initiator(), acceptor()
    wire = i.output()
    a.feed(wire)
    for here, there in ((a, i), (i, a)):
        data: Any = here.output()
        wire += data
        there.feed(data)
    a.answer(Status.OK)
    wire += a.output()
    for secret in (COOKIE, *transcript.keys_of([COOKIE])):
        assert secret not in wire


def test_the_documented_bytes():
    """HANDSHAKE.md ends with them. Other bytes for the same are another format, and no release could connect."""
    document = Path(greeting.__file__).with_name("HANDSHAKE.md").read_text(encoding="utf-8")
    example = document.split("```text\n")[1].split("```")[0]
    rows = [line.split() for line in example.splitlines()]
    messages: list[bytes] = []
    for *name, octets in rows:
        messages += [b""] if name else []
        messages[-1] += bytes.fromhex(octets)
    bulk = frozenset({"bulk"})
    i = initiator(Identity("a@h", 77, bulk | {"fast"}, bulk), [b"new cookie", b"old cookie"], binding=N3)
    a = acceptor(Identity("b@h", 0xFEDCBA98, bulk, hidden=True, versions=(1, 2)), [b"old cookie"], binding=N3)
    said = [i.output()]
    a.feed(said[0])
    said.append(a.output())
    i.feed(said[1])
    said.append(i.output())
    a.feed(said[2])
    a.answer(Status.ALIVE)
    said.append(a.output())
    i.feed(said[3])
    i.answer(True)
    said.append(i.output())
    a.feed(said[4])
    assert a.done
    assert said == messages


def test_a_seal_is_what_the_document_says():
    """Computed here from the page alone, for the last seal of the example's kind: a WELCOME."""
    i, a = initiator(binding=N3), acceptor(binding=N3)
    said = b""
    for here, there in ((i, a), (a, i), (i, a)):
        data: Any = here.output()  # type: ignore[attr-defined]
        said += data
        there.feed(data)  # type: ignore[attr-defined]
    a.answer(Status.OK)
    welcome = a.output()
    key = hashlib.sha256(b"beampy cookie\0" + COOKIE).digest()
    everything = b"beampy handshake\0" + b"\x00\x20" + N3 + said + welcome[:-32]
    label = b"beampy handshake: the acceptor's welcome\0"
    assert welcome[-32:] == hmac.new(key, label + hashlib.sha256(everything).digest(), "sha256").digest()


# --- statuses


@pytest.mark.parametrize(
    ("status", "at_initiator", "at_acceptor"),
    [
        (Status.NOK_SIMULTANEOUS, Superseded, Superseded),
        (Status.NOT_ALLOWED, NotAllowed, NotAllowed),
        (Status.NAME_IN_USE, NameInUse, NameInUse),
        (Status.UNAVAILABLE, HandshakeFailed, HandshakeFailed),
    ],
)
def test_a_refusal_is_the_same_error_on_both_sides(status, at_initiator, at_acceptor):
    i, a = initiator(), acceptor()
    at_i, at_a = talk(i, a, status)
    assert at_i == []
    assert [type(event) for event in at_a] == [Authenticated]
    failed(i, at_initiator)
    failed(a, at_acceptor)
    with pytest.raises(at_acceptor):
        a.feed(b"")


def test_a_name_in_use_is_our_own_at_the_initiator():
    i, a = initiator(), acceptor()
    talk(i, a, Status.NAME_IN_USE)
    assert failed(i, NameInUse) == "the name a@h is taken: b@h knows another node of this name"
    assert failed(a, NameInUse) == "the name a@h is taken: another node of this name is connected"


def test_simultaneous_attempts_leave_one():
    i, a = initiator(), acceptor()
    at_i, at_a = talk(i, a, Status.OK_SIMULTANEOUS)
    assert isinstance(at_i[-1], Done)
    assert isinstance(at_a[-1], Done)
    # As OTP: of two nodes that connect to each other, the one with the greater name says no and goes on.
    assert simultaneous("b@h", "a@h") == Status.NOK_SIMULTANEOUS
    assert simultaneous("a@h", "b@h") == Status.OK_SIMULTANEOUS


def test_an_old_connection_that_is_alive_stays():
    i, a = initiator(), acceptor()
    talk(i, a, Status.ALIVE, dead=False)
    assert "stays" in failed(i, Superseded)
    assert "stays" in failed(a, Superseded)


def test_a_status_of_a_later_release_is_a_refusal(monkeypatch):
    i, a = initiator(), acceptor()
    a.feed(i.output())
    i.feed(a.output())
    a.feed(i.output())
    a._welcome("too_late")  # type: ignore[arg-type]
    with pytest.raises(HandshakeFailed, match="it said too_late"):
        i.feed(a.output())


def test_only_a_question_can_be_answered():
    i, a = initiator(), acceptor()
    with pytest.raises(InternalError):
        i.answer(True)
    with pytest.raises(InternalError):
        a.answer(Status.OK)
    talk(i, a)
    with pytest.raises(InternalError):
        a.answer(Status.OK)


# --- cookies


def test_different_cookies_are_a_mismatch_on_both_sides():
    i, a = initiator(), acceptor(cookies=[OTHER])
    at_i, at_a = talk(i, a)
    assert (at_i, at_a) == ([], [])
    assert failed(a, CookieMismatch) == "no connection to a@h: its proof does not fit: the two have different cookies"
    assert "it does not accept our proof" in failed(i, CookieMismatch)


def test_with_tls_a_mismatch_may_be_somebody_in_the_middle():
    i, a = initiator(binding=N1), acceptor(binding=N2)
    talk(i, a)
    assert "something between the two nodes ends TLS" in failed(i, CookieMismatch)
    assert "something between the two nodes ends TLS" in failed(a, CookieMismatch)
    i, a = initiator(binding=N1), acceptor(binding=N1)
    talk(i, a)
    assert i.done
    assert a.done


def test_one_side_bound_and_the_other_not_is_a_mismatch():
    for at_i, at_a in ((b"", N1), (N1, b"")):
        i, a = initiator(binding=at_i), acceptor(binding=at_a)
        talk(i, a)
        failed(i, CookieMismatch)
        failed(a, CookieMismatch)


@pytest.mark.parametrize(
    ("mine", "yours"),
    [
        ([OTHER, COOKIE], [COOKIE]),  # only we have the new one
        ([COOKIE], [OTHER, COOKIE]),  # only the other has it
        ([OTHER, COOKIE], [OTHER, COOKIE]),
        ([OTHER], [OTHER, COOKIE]),  # we forgot the old one
        ([OTHER, COOKIE], [OTHER]),
        ([OTHER, COOKIE], [COOKIE, OTHER]),
        ([THIRD, OTHER, COOKIE], [COOKIE]),  # two rotations at once
    ],
)
def test_a_cookie_is_changed_without_a_restart(mine, yours):
    for status in (Status.OK, Status.ALIVE):
        i, a = initiator(cookies=mine), acceptor(cookies=yours)
        talk(i, a, status)
        assert i.done
        assert a.done


def test_cookies_that_overlap_nowhere_are_a_mismatch():
    i, a = initiator(cookies=[OTHER, THIRD]), acceptor(cookies=[COOKIE, b"x" * 22])
    talk(i, a)
    failed(i, CookieMismatch)
    failed(a, CookieMismatch)


def test_an_acceptor_asks_for_the_cookies_of_the_node_that_connects():
    asked = []

    def cookies(node: str) -> list[bytes]:
        asked.append(node)
        return [OTHER] if node == "a@h" else [COOKIE]

    i, a = initiator(cookies=[OTHER]), acceptor(cookies=cookies)
    talk(i, a)
    assert i.done
    assert asked == ["a@h"]
    i, a = initiator(Identity("c@h", 79), cookies=[OTHER]), acceptor(cookies=cookies)
    talk(i, a)
    failed(a, CookieMismatch)


def test_a_node_without_a_cookie_accepts_nobody():
    i, a = initiator(), acceptor(cookies=lambda _: [])
    talk(i, a)
    assert "no cookie" in failed(a, HandshakeFailed)
    assert failed(i, HandshakeFailed) == "no connection to b@h: it refused"


@pytest.mark.parametrize("cookies", [[], [b""], [COOKIE, b""], COOKIE, [bytes([n]) for n in range(5)]])
def test_bad_cookies_are_refused(cookies):
    with pytest.raises(ValueError, match="secrets"):
        initiator(cookies=cookies)
    with pytest.raises(ValueError, match="secrets"):
        acceptor(cookies=cookies)


def test_cookies_that_hmac_would_take_for_the_same_differ():
    i, a = initiator(cookies=[COOKIE]), acceptor(cookies=[COOKIE + b"\0"])
    talk(i, a)
    failed(a, CookieMismatch)


# --- names


def test_the_other_node_is_not_the_one_we_looked_for():
    i, a = initiator(peer="c@h"), acceptor()
    talk(i, a)
    assert failed(i, HandshakeFailed) == "no connection to c@h: the node there is b@h"
    assert "it looks for c@h, and this node is b@h" in failed(a, HandshakeFailed)


def test_an_acceptor_that_says_ok_under_another_name_is_refused():
    i, a = initiator(), acceptor()
    a.feed(i.output())
    i.feed(a.output())
    a.feed(i.output())
    a.me = Identity("c@h", 80)
    a.answer(Status.OK)
    with pytest.raises(HandshakeFailed, match="the node there is c@h"):
        i.feed(a.output())


def test_a_node_of_our_own_name():
    i, a = initiator(), acceptor(Identity("a@h", 78))
    talk(i, a)
    failed(i, NameInUse)
    failed(a, NameInUse)


def test_an_address_that_leads_back_to_the_node_itself():
    i, a = initiator(), acceptor(A)
    talk(i, a)
    assert failed(i, HandshakeFailed) == "no connection to b@h: its address leads back to this node"
    assert failed(a, HandshakeFailed) == "no connection to b@h: its address leads back to this node"


@pytest.mark.parametrize("peer", ["a@h", "b", "", "b@", None, "b@h\n"])
def test_whom_nobody_can_connect_to(peer):
    with pytest.raises(BadName):
        initiator(peer=peer)


@pytest.mark.parametrize("name", ["a", "", "a@h h", 7, None])
def test_names_that_no_node_has(name):
    with pytest.raises(BadName):
        Identity(name, 77)


@pytest.mark.parametrize(
    "fields",
    [
        {"creation": 3},
        {"creation": 2**32},
        {"creation": True},
        {"creation": 77.0},
        {"flags": frozenset({"Bulk"})},
        {"flags": frozenset({"a" * 25})},
        {"flags": frozenset({f"f{n}" for n in range(65)})},
        {"required": frozenset({"bulk"})},
        {"versions": (0, 1)},
        {"versions": (2, 1)},
        {"versions": (1, 65536)},
    ],
)
def test_identities_that_no_node_has(fields):
    with pytest.raises(ValueError):
        Identity(**{"name": "a@h", "creation": 77, **fields})


@pytest.mark.parametrize("nonce", [b"", bytes(31), bytes(33)])
def test_a_nonce_is_32_bytes(nonce):
    with pytest.raises(ValueError, match="nonce"):
        initiator(nonce=nonce)
    with pytest.raises(ValueError, match="nonce"):
        acceptor(nonce=nonce)


# --- versions, features, purposes


@pytest.mark.parametrize(("mine", "yours", "agreed"), [((1, 3), (2, 5), 3), ((2, 2), (1, 9), 2), ((4, 9), (1, 4), 4)])
def test_the_last_version_that_both_speak(mine, yours, agreed):
    i, a = initiator(Identity("a@h", 77, versions=mine)), acceptor(Identity("b@h", 78, versions=yours))
    talk(i, a)
    assert i.result is not None
    assert a.result is not None
    assert (i.result.version, a.result.version) == (agreed, agreed)


def test_no_version_in_common():
    i = initiator(Identity("a@h", 77, versions=(1, 2)))
    a = acceptor(Identity("b@h", 78, versions=(3, 3)))
    talk(i, a)
    assert failed(i, VersionMismatch).endswith("it speaks version 3 of the protocol and this node 1 to 2")
    assert failed(a, VersionMismatch).endswith("it speaks version 1 to 2 of the protocol and this node 3")


def test_of_another_version_nothing_else_is_looked_at():
    """A release with another idea of what a name or a flag is gets the same clear answer."""
    a = acceptor()
    said = transcript.Transcript(b"")
    said.say(greeting.HELLO, 7, 8, [], [], {"something": "else"})
    with pytest.raises(VersionMismatch):
        a.feed(said.take_output())


def test_a_feature_that_one_side_needs_and_the_other_lacks():
    needs = frozenset({"bulk", "later"})
    i, a = initiator(Identity("a@h", 77, needs, needs)), acceptor()
    talk(i, a)
    assert failed(i, VersionMismatch).endswith("it lacks what this node needs: later")
    assert failed(a, VersionMismatch).endswith("this node lacks what it needs: later")
    i, a = initiator(), acceptor(Identity("b@h", 78, needs, needs))
    talk(i, a)
    assert failed(i, VersionMismatch).endswith("this node lacks what it needs: later")
    assert failed(a, VersionMismatch).endswith("it lacks what this node needs: later")


def test_a_purpose_that_both_know():
    i, a = initiator(purpose="code"), acceptor(purposes=frozenset({"main", "code"}))
    talk(i, a)
    assert i.result is not None
    assert a.result is not None
    assert (i.result.purpose, a.result.purpose) == ("code", "code")


def test_a_purpose_that_the_acceptor_does_not_know():
    i, a = initiator(purpose="code"), acceptor()
    talk(i, a)
    assert "purpose 'code'" in failed(i, VersionMismatch)
    assert "purpose 'code'" in failed(a, VersionMismatch)
    with pytest.raises(ValueError, match="purpose"):
        initiator(purpose="No Word")


def test_a_later_release_may_say_more(monkeypatch):
    """Elements that follow the known ones are ignored, and they are sealed like all others."""
    plain = greeting.frame
    more = ["more", {"of": 7}, [1, None]]
    monkeypatch.setattr(transcript, "frame", lambda seals, kind, *fields: plain(seals, kind, *fields, *more))
    i, a = initiator(), acceptor()
    talk(i, a, Status.ALIVE)
    assert i.done
    assert a.done


def test_another_format_of_the_handshake_itself(monkeypatch):
    monkeypatch.setattr(transcript, "OPENING", greeting.MAGIC + b"\x02")
    i = initiator()
    hello = i.output()
    monkeypatch.undo()
    a = acceptor()
    with pytest.raises(VersionMismatch, match="another format"):
        a.feed(hello)
    answer = a.output()  # enough for the other to see the same
    monkeypatch.setattr(transcript, "OPENING", greeting.MAGIC + b"\x02")
    with pytest.raises(VersionMismatch, match="another format"):
        i.feed(answer)


# --- strangers


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
        (b"SSH-2.0-OpenSSH", "no beampy node"),
        (b"\x00\x15N\x00\x00", "no beampy node"),  # Erlang's send_name
        (b"\x8bbeamer..", "no beampy node"),
        (b"\x00", "no beampy node"),
    ],
)
def test_other_protocols_fail_at_once_and_get_no_answer(said, why):
    for machine in (acceptor(), initiator()):
        machine.output()
        with pytest.raises(RemoteProtocolError, match=why):
            machine.feed(said)
        assert machine.output() == b""
        with pytest.raises(RemoteProtocolError, match=why):
            machine.feed(b"more")


@pytest.mark.parametrize("size", [0, 1, 4095, 65535])
def test_a_message_too_long_or_too_short_fails_before_it_is_read(size):
    a = acceptor()
    with pytest.raises(RemoteProtocolError, match="bytes"):
        a.feed(greeting.OPENING + size.to_bytes(2, "big"))


def body(*fields: Any) -> bytes:
    return greeting.OPENING + greeting.frame(0, *fields)


GOOD: list[Any] = [1, 1, 1, [], [], "main", "a@h", 77, False, "b@h", N1]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 2),
        (0, True),
        (0, "hello"),
        (1, 0),
        (1, 1.0),
        (2, 2**16),
        (3, "bulk"),
        (3, ["Bulk"]),
        (3, [7]),
        (4, [["bulk"]]),
        (5, "Main"),
        (5, b"main"),
        (6, "a"),
        (6, "a@h\n"),
        (6, b"a@h"),
        (7, 3),
        (7, -77),
        (7, 2**32),
        (7, True),
        (8, 0),
        (9, "b"),
        (10, bytes(31)),
        (10, "a" * 32),
    ],
)
def test_a_hello_of_the_wrong_shape(at, value):
    a = acceptor()
    assert a.feed(body(*GOOD)) == []
    a = acceptor()
    with pytest.raises(RemoteProtocolError):
        a.feed(body(*GOOD[:at], value, *GOOD[at + 1 :]))
    # It began as a node does, so it may know that it is not wanted, and no more.
    assert a.output() == body(greeting.REFUSED, "refused")


@pytest.mark.parametrize("more", [[None] * 60, [msgpack.ExtType(5, b"x")], [[0] * 65], [{n: n for n in range(65)}]])
def test_a_hello_that_says_too_much_more(more):
    with pytest.raises(RemoteProtocolError):
        acceptor().feed(body(*GOOD, *more))


def test_a_hello_that_is_too_short():
    for end in range(len(GOOD)):
        with pytest.raises(RemoteProtocolError):
            acceptor().feed(body(*GOOD[:end]) if end else greeting.OPENING + b"\x00\x02\x00\x90")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80",  # a map
        b"\xc0",
        b"\xc1",  # no msgpack at all
        b"\x91",  # cut off
        b"\x90\x90",  # two
        b"\xdd\xff\xff\xff\xff",  # four thousand million elements
        b"\xdc\x00\x41" + b"\xc0" * 65,  # more elements than any message has
        b"\x91" * 3000 + b"\xc0",  # nested
        b"\x91\xd4\x00\x00",  # an extension type
        b"\x91\xa1\xff",  # text that is not UTF-8
    ],
)
def test_bodies_that_are_no_array(raw):
    with pytest.raises(RemoteProtocolError):
        acceptor().feed(greeting.OPENING + (len(raw) + 1).to_bytes(2, "big") + b"\0" + raw)


def test_the_largest_hello_fits():
    words = frozenset({f"f{n:023}" for n in range(64)})
    name, peer = "n" * 128 + "@" + "h" * 126, "p" * 128 + "@" + "h" * 126
    me = Identity(name, 2**32 - 1, words, words, True, (65534, 65535))
    i = initiator(me, peer=peer, purpose="p" * 24)
    a = acceptor(Identity(peer, 2**32 - 1, words, words, True, (65534, 65535)), purposes=frozenset({"p" * 24}))
    talk(i, a)
    assert i.done
    assert a.done


def test_who_speaks_out_of_turn_is_no_node():
    i, a = initiator(), acceptor()
    with pytest.raises(RemoteProtocolError, match="out of turn"):
        a.feed(i.output() + b"x")
    i, a = initiator(), acceptor()
    a.feed(i.output())
    i.feed(a.output())
    a.feed(i.output())
    with pytest.raises(RemoteProtocolError, match="out of turn"):
        a.feed(b"x")  # while the question is open
    assert a.question is None
    with pytest.raises(InternalError):
        a.answer(Status.OK)


def test_seals_where_none_can_be():
    a = acceptor()
    said = transcript.Transcript(b"")
    said.say(*GOOD, keys=[N1], label=b"")
    with pytest.raises(RemoteProtocolError):
        a.feed(said.take_output())
    i = initiator()
    said = transcript.Transcript(b"")
    said.say(greeting.CHALLENGE, 1, 1, [], [], N2, keys=[N1], label=b"")
    with pytest.raises(RemoteProtocolError, match="seal"):
        i.feed(said.take_output())


def test_a_message_that_is_all_seals():
    with pytest.raises(RemoteProtocolError, match="all seals"):
        acceptor().feed(greeting.OPENING + b"\x00\x05\xff1234")


def test_a_refusal_from_nobody_in_particular_ends_it():
    i = initiator()
    with pytest.raises(HandshakeFailed, match="it refused"):
        i.feed(body(greeting.REFUSED, "refused"))
    i = initiator()
    with pytest.raises(RemoteProtocolError):
        i.feed(body(greeting.REFUSED, "version", 1))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_connection_that_closes_too_early(turns):
    i, a = initiator(), acceptor()
    for turn in range(turns):
        here, there = ((i, a), (a, i))[turn % 2]
        there.feed(here.output())
    for machine in (i, a):
        with pytest.raises(HandshakeFailed, match="closed the connection"):
            machine.eof()
        with pytest.raises(HandshakeFailed):
            machine.feed(b"")
