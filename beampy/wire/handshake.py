"""The handshake: two nodes agree on a version and prove to each other that they have the same cookie. Pure.

Rule: nobody is believed before a seal over every byte said so far, both ways, fits a cookie of ours. Place: above
`greeting.py`, the shapes of the messages, and `transcript.py`, the seals; below the shells that own sockets, nonces
and deadlines. Not known here: what the bytes travel on, what time it is, which other connections there are (the
acceptor asks for that).

    initiator                                              acceptor
    HELLO      versions, features, name, nonce        →
                                                      ←    CHALLENGE  versions, features, nonce
    PROOF      a seal for each of its cookies         →               (asks the node: `Authenticated`)
                                                      ←    WELCOME    status, name, creation | seal
    CLAIM      true or false, after "alive" | seal    →

The initiator proves first, so whoever connects to us gets nothing that a cookie could be guessed from. A seal is HMAC-
SHA256, keyed by the cookie, over a label of its message and the hash of everything before it; the hash begins with the
fingerprint of the TLS certificate, so a seal made for one connection fits no other. HANDSHAKE.md has every byte.

    machine = Initiator(me, cookies, peer="b@h", nonce=token_bytes(32))
    send(machine.output())
    while not machine.done:
        for event in machine.feed(receive()):      # raises when the handshake failed
            ...                                    # a question: machine.answer(…)
        send(machine.output())                     # also after an error: why it was refused
    next_protocol(machine.result, machine.rest)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

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
from beampy.wire.greeting import (
    CHALLENGE,
    CLAIM,
    HELLO,
    MAIN,
    NONCE,
    PROOF,
    REFUSED,
    SHAPES,
    TERMS,
    WELCOME,
    Hello,
    Identity,
    Peer,
    Status,
    Terms,
    agree,
    check,
    fields_of,
    is_name,
    is_word,
    simultaneous,
    terms_of,
    unpack,
)
from beampy.wire.transcript import (
    CLAIM_LABEL,
    MAX_COOKIES,
    PROOF_LABEL,
    WELCOME_LABEL,
    Heard,
    OtherFormat,
    Transcript,
    keys_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "MAX_COOKIES",
    "Acceptor",
    "Alive",
    "Authenticated",
    "Done",
    "Event",
    "Identity",
    "Initiator",
    "Peer",
    "Status",
    "simultaneous",
]

STRANGER = "an unknown node"  # who a side is before it said a name
OUT_OF_TURN = "the other side spoke out of turn"


class Authenticated(NamedTuple):
    """The acceptor's question: `peer` proved its cookie. Answer with a Status."""

    peer: Peer


class Alive(NamedTuple):
    """The initiator's question: the acceptor has a connection to our name already. Answer True when it is dead."""

    peer: Peer


class Done(NamedTuple):
    """Both are authenticated. With `replaces`, the acceptor's old connection to this name is dead: drop it first."""

    peer: Peer
    replaces: bool = False


Event: TypeAlias = Authenticated | Alive | Done
Failure: TypeAlias = NotConnected | RemoteProtocolError


class _Side:
    """What both sides are: bytes in, bytes out, one question at a time and one end.

    `question` is the event that waits for `answer`. `result` is the peer once `done`; `rest` are the bytes after the
    end, which belong to the next protocol. `error` is why it failed, None as long as it has not.
    """

    def __init__(self, me: Identity, nonce: bytes, binding: bytes) -> None:
        if len(nonce) != NONCE:
            raise ValueError(f"a nonce is {NONCE} random bytes")
        self.me = me
        self.nonce = nonce
        self.question: Authenticated | Alive | None = None
        self.result: Peer | None = None
        self.error: Failure | None = None
        self.rest = b""
        self._node = STRANGER
        self._bound = bool(binding)
        self._said = Transcript(binding)
        self._key: bytes | None = None  # of the cookie that both have

    @property
    def done(self) -> bool:
        """Whether both are authenticated, as far as this side can know."""
        return self.result is not None

    def output(self) -> bytes:
        """The bytes to send now. After an error it may hold a last message that tells the other side why."""
        return self._said.take_output()

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes that came; at most one event comes of them. Raises when the handshake failed, and ever after."""
        if self.error is not None:
            raise self.error
        if self.done:
            raise InternalError("the handshake is over: these bytes belong to the next protocol")
        try:
            self._said.push(data)
            if self.question is not None and data:
                raise RemoteProtocolError(OUT_OF_TURN)
            heard = self._said.pull()
            if heard is None:
                return []
            events = self._take(heard)
            if self.done:
                self.rest = self._said.take_rest()
            elif self._said.left():
                raise RemoteProtocolError(OUT_OF_TURN)
        except OtherFormat:
            raise self._fail(VersionMismatch(self._node, "its handshake has another format")) from None
        except (NotConnected, RemoteProtocolError) as error:
            self._fail(error)
            raise
        return events

    def eof(self) -> None:
        """The other side closed the connection. Raises, unless the handshake was over."""
        if self.error is None and not self.done:
            self._end(HandshakeFailed(self._node, "it closed the connection during the handshake"))
        if self.error is not None:
            raise self.error

    def _take(self, heard: Heard) -> list[Event]:
        raise NotImplementedError

    def _fail(self, error: Failure) -> Failure:
        """It failed for what the other side said."""
        return self._end(error)

    def _end(self, error: Failure) -> Failure:
        self.error = error
        self.question = None
        self._said.take_rest()
        return error

    def _ask(self, question: Authenticated | Alive) -> list[Event]:
        self.question = question
        return [question]

    def _asked(self) -> Peer:
        """The peer of the question, which is answered now."""
        if self.question is None:
            raise InternalError("there is nothing to answer")
        peer = self.question.peer
        self.question = None
        return peer

    def _done(self, peer: Peer, replaces: bool = False) -> list[Event]:
        self.result = peer
        return [Done(peer, replaces)]

    def _mismatch(self, why: str) -> CookieMismatch:
        middle = ", or something between the two nodes ends TLS" if self._bound else ""
        return CookieMismatch(self._node, f"{why}: the two have different cookies{middle}")


class Initiator(_Side):
    """The side that connects. `peer` is the name that the other side must have.

    `cookies` are the secrets for that node, newest first, 1 to 4, never empty: it proves them all, and takes any of
    them as the acceptor's proof. `nonce` is 32 random bytes, never used before. `binding` is the SHA-256 of the TLS
    server's certificate, b"" without TLS. Raises ValueError for arguments, BadName for `peer`.

    `feed` returns [Alive(peer)] when the acceptor asks whether its old connection is dead, and [Done(peer)] at the end.
    """

    def __init__(
        self,
        me: Identity,
        cookies: Sequence[bytes],
        *,
        peer: str,
        nonce: bytes,
        binding: bytes = b"",
        purpose: str = MAIN,
    ) -> None:
        super().__init__(me, nonce, binding)
        if not is_name(peer) or peer == me.name:
            raise BadName("node", peer, "the full name of another node, as in app@10.0.0.1")
        if not is_word(purpose):
            raise ValueError(f"a purpose is a word of a-z, 0-9 and _, not {purpose!r}")
        self.peer = self._node = peer
        self.purpose = purpose
        self._keys = keys_of(cookies)
        self._agreed: tuple[int, frozenset[str]] | None = None
        self._said.say(HELLO, *terms_of(me), purpose, me.name, me.creation, me.hidden, peer, nonce)

    def answer(self, dead: bool) -> list[Event]:
        """The answer to `Alive`: True when our end of the old connection is gone, and this one replaces it.

        [Done(peer)] after True. False ends the handshake: `error` is Superseded.
        """
        peer = self._asked()
        assert self._key is not None
        self._said.say(CLAIM, dead, keys=[self._key], label=CLAIM_LABEL)
        if dead:
            return self._done(peer)
        self._end(Superseded(self.peer, "the connection that is up stays"))
        return []

    def _take(self, heard: Heard) -> list[Event]:
        if self._agreed is None:
            return self._challenged(heard)
        return self._welcomed(heard, *self._agreed)

    def _challenged(self, heard: Heard) -> list[Event]:
        self._said.hear(heard)
        if heard.seals:
            raise RemoteProtocolError("a seal where none can be")
        fields = fields_of(heard.body, CHALLENGE, REFUSED)
        if fields[0] == REFUSED:
            self._refused(fields)
        terms, nonce = Terms(*fields[1:5]), fields[5]
        agreed = agree(self.me, self.peer, terms)
        if nonce == self.nonce:
            raise RemoteProtocolError("our own nonce came back")
        self._agreed = agreed
        self._said.say(PROOF, keys=self._keys, label=PROOF_LABEL)
        return []

    def _welcomed(self, heard: Heard, version: int, flags: frozenset[str]) -> list[Event]:
        if not heard.seals:
            self._refused(fields_of(heard.body, REFUSED))
        self._key = self._said.hear(heard, self._keys, WELCOME_LABEL)
        if self._key is None:
            raise self._mismatch("it could not prove that it has our cookie")
        status, name, creation, hidden = fields_of(heard.body, WELCOME)[1:5]
        peer = Peer(name, creation, flags, hidden, version, self.purpose)
        if status not in (Status.OK, Status.OK_SIMULTANEOUS, Status.ALIVE):
            raise self._denied(status, peer)
        if name != self.peer:
            raise HandshakeFailed(self.peer, f"the node there is {name}")
        return self._ask(Alive(peer)) if status == Status.ALIVE else self._done(peer)

    def _denied(self, status: str, peer: Peer) -> NotConnected:
        match status:
            case Status.NOK_SIMULTANEOUS:
                return Superseded(self.peer, "both connected at once, and its own attempt goes on")
            case Status.NOT_ALLOWED:
                return NotAllowed(self.peer, "it does not accept this node")
            case Status.NAME_IN_USE if (peer.name, peer.creation) == (self.me.name, self.me.creation):
                return HandshakeFailed(self.peer, "its address leads back to this node")
            case Status.NAME_IN_USE:
                return NameInUse(self.me.name, f"{peer.name} knows another node of this name")
            case Status.WRONG_NAME:
                return HandshakeFailed(self.peer, f"the node there is {peer.name}")
            case Status.UNAVAILABLE:
                return HandshakeFailed(self.peer, "it takes no connections now")
        return HandshakeFailed(self.peer, f"it said {status}")

    def _refused(self, fields: list[Any]) -> NoReturn:
        """A refusal without a seal: nobody vouches for it, but it ends the handshake all the same."""
        if fields[1] == "version":
            check(fields[1:], TERMS)
            agree(self.me, self.peer, Terms(*fields[2:6]))
            raise VersionMismatch(self.peer, f"it does not know the purpose {self.purpose!r}")
        if self._agreed is not None:
            raise self._mismatch("it does not accept our proof")
        raise HandshakeFailed(self.peer, "it refused")


class Acceptor(_Side):
    """The side that listens.

    `cookies` are the secrets, newest first, 1 to 4, or a function that gives those for the name a peer claims: a proof
    with any of them is accepted and answered with the same. `nonce` and `binding` are as the Initiator's; `binding` is
    that of our own certificate. `purposes` are those it serves.

    `feed` returns [Authenticated(peer)] once the peer has proved itself: `answer(status)`. [Done(peer)] comes of that
    answer, or of a later `feed` after `answer(Status.ALIVE)`.
    """

    def __init__(
        self,
        me: Identity,
        cookies: Sequence[bytes] | Callable[[str], Sequence[bytes]],
        *,
        nonce: bytes,
        binding: bytes = b"",
        purposes: frozenset[str] = frozenset({MAIN}),
    ) -> None:
        super().__init__(me, nonce, binding)
        self.purposes = purposes
        if callable(cookies):
            self._cookies = cookies
        else:
            keys_of(cookies)
            self._cookies = lambda _: cookies
        self._keys: tuple[bytes, ...] = ()
        self._agreed: tuple[int, frozenset[str]] = (0, frozenset())
        self._hello: Hello | None = None
        self._peer: Peer | None = None

    def answer(self, status: Status) -> list[Event]:
        """The answer to `Authenticated`. [Done(peer)] after OK and OK_SIMULTANEOUS; a refusal sets `error`."""
        peer = self._asked()
        self._welcome(status)
        match status:
            case Status.OK | Status.OK_SIMULTANEOUS:
                return self._done(peer)
            case Status.ALIVE:
                return []  # its claim comes next
            case Status.NOK_SIMULTANEOUS:
                self._end(Superseded(peer.name, "both connected at once, and this node's own attempt goes on"))
            case Status.NOT_ALLOWED:
                self._end(NotAllowed(peer.name, "this node does not accept it"))
            case Status.NAME_IN_USE:
                self._end(NameInUse(peer.name, "another node of this name is connected"))
            case _:
                self._end(HandshakeFailed(peer.name, f"this node said {status}"))
        return []

    def _take(self, heard: Heard) -> list[Event]:
        if self._hello is None:
            return self._greeted(heard)
        if self._peer is None:
            return self._proved(heard, self._hello)
        return self._claimed(heard, self._peer)

    def _greeted(self, heard: Heard) -> list[Event]:
        self._said.hear(heard)
        fields = unpack(heard.body)
        if heard.seals or type(fields[0]) is not int or fields[0] != HELLO:
            raise RemoteProtocolError("a handshake begins with hello")
        # The versions first: of a release too old or too new nothing else need be understood.
        check(fields, TERMS)
        self._agreed = agree(self.me, self._node, Terms(*fields[1:5]))
        check(fields, SHAPES[HELLO])
        hello = Hello(Terms(*fields[1:5]), *fields[5:11])
        self._node = hello.name
        if hello.purpose not in self.purposes:
            raise VersionMismatch(hello.name, f"this node does not know the purpose {hello.purpose!r}")
        if hello.nonce == self.nonce:
            raise RemoteProtocolError("our own nonce came back")
        try:
            self._keys = keys_of(self._cookies(hello.name))
        except ValueError as error:
            raise HandshakeFailed(hello.name, f"this node has no cookie for it: {error}") from None
        self._hello = hello
        self._said.say(CHALLENGE, *terms_of(self.me), self.nonce)
        return []

    def _proved(self, heard: Heard, hello: Hello) -> list[Event]:
        # No more seals are tried than a node of ours would send.
        known = self._keys if len(heard.seals) <= MAX_COOKIES else ()
        key = self._said.hear(heard, known, PROOF_LABEL)
        if key is None:
            raise self._mismatch("its proof does not fit")
        fields_of(heard.body, PROOF)
        self._key = key
        version, flags = self._agreed
        self._peer = Peer(hello.name, hello.creation, flags, hello.hidden, version, hello.purpose)
        if hello.name == self.me.name:
            self._welcome(Status.NAME_IN_USE)
            if hello.creation == self.me.creation:
                raise HandshakeFailed(hello.to, "its address leads back to this node")
            raise NameInUse(hello.name, "a node with the name of this one connected")
        if hello.to != self.me.name:
            self._welcome(Status.WRONG_NAME)
            raise HandshakeFailed(hello.name, f"it looks for {hello.to}, and this node is {self.me.name}")
        return self._ask(Authenticated(self._peer))

    def _claimed(self, heard: Heard, peer: Peer) -> list[Event]:
        assert self._key is not None
        if self._said.hear(heard, [self._key], CLAIM_LABEL) is None:
            raise self._mismatch("its claim is not sealed")
        if fields_of(heard.body, CLAIM)[1]:
            return self._done(peer, replaces=True)
        raise Superseded(peer.name, "the connection that is up stays")

    def _welcome(self, status: Status) -> None:
        assert self._key is not None
        me = self.me
        self._said.say(WELCOME, status, me.name, me.creation, me.hidden, keys=[self._key], label=WELCOME_LABEL)

    def _fail(self, error: Failure) -> Failure:
        # Who does not begin as a node gets no answer, and who was welcomed needs none. The others learn the versions
        # and features of this node, which every CHALLENGE says, or one word.
        if isinstance(error, VersionMismatch):
            self._said.say(REFUSED, "version", *terms_of(self.me))
        elif self._said.opened and self._key is None:
            self._said.say(REFUSED, "refused")
        return self._end(error)
