"""tls: handshakes over real sockets, somebody in the middle, and certificates of an authority."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import ssl
import stat
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from beampy.dist import tls
from beampy.dist.tls import Tls, TlsFiles, contexts, fingerprint, server_fingerprint
from beampy.errors import BeampyError, CookieMismatch, HandshakeFailed, InternalError
from beampy.wire.handshake import Acceptor, Authenticated, Identity, Initiator, Status

LONG = 10.0
COOKIE = [b"k3Jt0cXnq9Vb2mZr7LwYdA"]
A, B = Identity("a@h", 77), Identity("b@h", 78)
real_loops = pytest.mark.loops("asyncio", "uvloop")  # the simulator has no TLS

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext | None, serve: Any) -> Any:
    """A server on 127.0.0.1 for the block; its port. Every connection of it is closed at the end."""
    tasks = set()

    async def handle(*streams: Any) -> None:
        tasks.add(asyncio.current_task())
        async with closing(streams):
            await serve(*streams)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LONG)
        await server.wait_closed()


@contextlib.asynccontextmanager
async def closing(streams: Any) -> Any:
    try:
        yield streams
    finally:
        streams[1].close()
        with contextlib.suppress(OSError):
            await streams[1].wait_closed()


async def connect(port: int, context: ssl.SSLContext | None) -> Streams:
    options: Any = {} if context is None else {"ssl": context, "server_hostname": ""}
    if context is not None and context.check_hostname:
        options["server_hostname"] = "localhost"
    return await asyncio.open_connection("127.0.0.1", port, **options)


async def shake(machine: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> BeampyError | None:
    """Play one side to its end. Its error, if it has one."""
    with contextlib.suppress(BeampyError):
        while True:
            if out := machine.output():
                writer.write(out)
                await writer.drain()
            if machine.done:
                return None
            data = await asyncio.wait_for(reader.read(4096), LONG)
            if not data:
                machine.eof()
            for event in machine.feed(data):
                if isinstance(event, Authenticated):
                    machine.answer(Status.OK)
    with contextlib.suppress(OSError):
        writer.write(machine.output())
        await writer.drain()
    return machine.error  # type: ignore[no-any-return]


class Meeting:
    """An acceptor, and what came of the first connection to it."""

    def __init__(self, server: Tls | None) -> None:
        self.server = server
        self.over = asyncio.Event()
        self.machine: Any = None

    async def serve(self, *streams: Any) -> None:
        self.machine = Acceptor(
            B, COOKIE, nonce=os.urandom(32), binding=self.server.fingerprint if self.server else b""
        )
        await shake(self.machine, *streams)
        self.over.set()

    async def error(self) -> BeampyError | None:
        await asyncio.wait_for(self.over.wait(), LONG)
        return self.machine.error  # type: ignore[no-any-return]


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on every byte, and the end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    writer.close()


def initiate(writer: asyncio.StreamWriter) -> Initiator:
    ssl_object = writer.get_extra_info("ssl_object")
    binding = server_fingerprint(ssl_object) if ssl_object else b""
    return Initiator(A, COOKIE, peer="b@h", nonce=os.urandom(32), binding=binding)


# --- bound to the connection


@real_loops
async def test_two_nodes_meet_over_an_ephemeral_certificate():
    server, client = contexts(), contexts()
    meeting = Meeting(server)
    async with listening(server.server, meeting.serve) as port, closing(await connect(port, client.client)) as streams:
        ssl_object = streams[1].get_extra_info("ssl_object")
        assert ssl_object.version() == "TLSv1.3"
        assert server_fingerprint(ssl_object) == server.fingerprint != client.fingerprint
        machine = initiate(streams[1])
        assert await shake(machine, *streams) is None
        assert await meeting.error() is None
        assert (machine.result.name, meeting.machine.result.name) == ("b@h", "a@h")


@real_loops
async def test_somebody_in_the_middle_is_found_by_both():
    """He ends TLS with a certificate of his own, to both sides, and passes on every byte."""
    server, client, middle = contexts(), contexts(), contexts()
    meeting = Meeting(server)

    async with listening(server.server, meeting.serve) as behind:

        async def between(*near: Any) -> None:
            async with closing(await connect(behind, middle.client)) as far:
                await asyncio.gather(carry(near[0], far[1]), carry(far[0], near[1]))

        async with listening(middle.server, between) as port, closing(await connect(port, client.client)) as streams:
            machine = initiate(streams[1])
            at_initiator = await shake(machine, *streams)
            at_acceptor = await meeting.error()
    assert type(at_initiator) is CookieMismatch
    assert type(at_acceptor) is CookieMismatch
    for error in (at_initiator, at_acceptor):
        assert str(error).endswith("the two have different cookies, or something between the two nodes ends TLS")


@real_loops
async def test_the_same_without_anybody_who_ends_tls():
    """The one in the middle of the test above is not refused for carrying bytes."""
    server, client = contexts(), contexts()
    meeting = Meeting(server)

    async with listening(server.server, meeting.serve) as behind:

        async def between(*near: Any) -> None:
            async with closing(await connect(behind, None)) as far:
                await asyncio.gather(carry(near[0], far[1]), carry(far[0], near[1]))

        async with listening(None, between) as port, closing(await connect(port, client.client)) as streams:
            assert await shake(initiate(streams[1]), *streams) is None
            assert await meeting.error() is None


@real_loops
async def test_a_node_that_speaks_tls_to_one_that_does_not_hears_why():
    meeting = Meeting(None)
    async with listening(None, meeting.serve) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(port, contexts().client)
        error = await meeting.error()
    assert "speaks TLS" in str(error)


@real_loops
async def test_an_older_tls_is_refused():
    server = contexts()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(server.server, Meeting(server).serve) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(port, old)


def bios(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a connection in memory, after the handshake."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = server.wrap_bio(up, down, server_side=True), client.wrap_bio(down, up)
    for _ in range(3):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    for end in ends:
        with contextlib.suppress(ssl.SSLWantReadError):
            end.read(1)
    return ends


def test_no_session_can_be_taken_up_again():
    """One that is shows no certificate, so there would be nothing to be bound to."""
    ours = contexts()
    _, client = bios(ours.server, ours.client)
    assert client.session is None or not client.session.has_ticket
    ours.server.num_tickets = 2  # what it would be
    _, client = bios(ours.server, ours.client)
    assert client.session is not None
    assert client.session.has_ticket


# --- the certificate


def test_every_node_has_a_certificate_of_its_own():
    one, two = contexts(), contexts()
    assert len(one.fingerprint) == 32
    assert one.fingerprint != two.fingerprint
    for side in (one.server, one.client):
        assert side.minimum_version == ssl.TLSVersion.TLSv1_3


def test_a_certificate_says_nothing_and_does_not_expire():
    from cryptography import x509

    cert, key = tls.self_signed()
    found = x509.load_pem_x509_certificate(cert)
    assert found.not_valid_after_utc.year == 9999
    assert found.not_valid_before_utc.year == 2000
    assert found.subject.rfc4514_string() == "CN=beampy"
    assert fingerprint(ssl.PEM_cert_to_DER_cert(cert.decode())) != fingerprint(b"")
    assert b"PRIVATE KEY" in key


def test_the_key_never_lies_in_a_file(monkeypatch, tmp_path):
    if not hasattr(os, "memfd_create"):
        pytest.skip("only Linux has files in memory")

    def no(*args: Any, **kw: Any) -> Any:
        raise AssertionError("a directory was made")

    monkeypatch.setattr(tls.tempfile, "TemporaryDirectory", no)
    assert contexts().fingerprint


def test_where_there_is_no_memory_file_it_lies_there_for_a_moment(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tls.tempfile, "tempdir", str(tmp_path))
    with tls._as_file(b"key") as name:
        path = Path(name)
        assert path.read_bytes() == b"key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.is_relative_to(tmp_path)
    assert os.listdir(tmp_path) == []
    assert contexts().fingerprint
    assert os.listdir(tmp_path) == []


def test_a_connection_without_a_server_certificate_is_never_bound_to_nothing():
    class Nobody:
        def getpeercert(self, binary_form: bool = False) -> object:
            return None

    with pytest.raises(InternalError):
        server_fingerprint(Nobody())


# --- an authority


class Authority(NamedTuple):
    """A small one, for tests: its key signs, its certificate is in `path`."""

    path: Path
    cert: Any
    key: Any

    def sign(self, name: str, *, days: tuple[float, float] = (-1, 1), host: str = "localhost") -> TlsFiles:
        """A certificate for a node, good from `days[0]` to `days[1]`, counted from now."""
        from cryptography import x509

        cert, key = certificate(name, days, self, x509.SubjectAlternativeName([x509.DNSName(host)]))
        return TlsFiles(*put(self.path.parent / name, cert, key), self.path)


def certificate(name: str, days: tuple[float, float], by: Authority | None, *extensions: Any) -> tuple[Any, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(by.cert.subject if by else subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + datetime.timedelta(days[0]))
    builder = builder.not_valid_after(now + datetime.timedelta(days[1]))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(by.key if by else key, hashes.SHA256()), key


def put(stem: Path, cert: Any, key: Any) -> tuple[Path, Path]:
    from cryptography.hazmat.primitives import serialization

    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    paths = stem.with_suffix(".pem"), stem.with_suffix(".key")
    paths[0].write_bytes(cert.public_bytes(pem))
    paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return paths


def authority(directory: Path) -> Authority:
    from cryptography import x509

    directory.mkdir()
    cert, key = certificate("authority", (-1, 1), None, x509.BasicConstraints(ca=True, path_length=None))
    return Authority(put(directory / "ca", cert, key)[0], cert, key)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours")


@real_loops
async def test_two_nodes_of_one_authority_meet(ours):
    server, client = contexts(ours.sign("b")), contexts(ours.sign("a"))
    meeting = Meeting(server)
    async with listening(server.server, meeting.serve) as port, closing(await connect(port, client.client)) as streams:
        machine = initiate(streams[1])
        assert await shake(machine, *streams) is None
        assert await meeting.error() is None
        assert server_fingerprint(streams[1].get_extra_info("ssl_object")) == server.fingerprint


async def refused(server: Tls, client: ssl.SSLContext) -> BaseException:
    """What the client sees of a server that refuses its certificate, or that it refuses itself."""
    meeting = Meeting(server)
    async with listening(server.server, meeting.serve) as port:
        # TLS 1.3: the client is done before the server has looked at its certificate, and hears of it when it reads.
        with pytest.raises((ssl.SSLError, ConnectionError, HandshakeFailed)) as caught:
            async with closing(await connect(port, client)) as streams:
                error = await shake(initiate(streams[1]), *streams)
                assert error is not None
                raise error
    assert meeting.machine is None or meeting.machine.result is None
    return caught.value


@real_loops
async def test_a_server_of_another_authority_is_refused(ours, tmp_path):
    theirs = authority(tmp_path / "theirs")
    server = contexts(TlsFiles(*theirs.sign("b")[:2], ours.path))
    error = await refused(server, contexts(ours.sign("a")).client)
    assert isinstance(error, ssl.SSLCertVerificationError)


@real_loops
async def test_a_client_of_another_authority_is_refused(ours, tmp_path):
    theirs = authority(tmp_path / "theirs")
    client = contexts(TlsFiles(*theirs.sign("a")[:2], ours.path))
    await refused(contexts(ours.sign("b")), client.client)


@real_loops
async def test_certificates_of_themselves_are_refused(ours):
    verified = contexts(ours.sign("b"))
    await refused(verified, contexts().client)
    error = await refused(contexts(), contexts(ours.sign("a")).client)
    assert isinstance(error, ssl.SSLCertVerificationError)


@real_loops
@pytest.mark.parametrize("days", [(-2, -1), (1, 2)])
async def test_a_certificate_out_of_its_time_is_refused(ours, days):
    error = await refused(contexts(ours.sign("b", days=days)), contexts(ours.sign("a")).client)
    assert isinstance(error, ssl.SSLCertVerificationError)
    await refused(contexts(ours.sign("b2")), contexts(ours.sign("a2", days=days)).client)


@real_loops
async def test_the_host_is_looked_at_when_it_is_asked_for(ours):
    other = contexts(ours.sign("b", host="elsewhere"))
    picky = ours.sign("a")._replace(check_hostname=True)
    error = await refused(other, contexts(picky).client)
    assert isinstance(error, ssl.SSLCertVerificationError)
    right = contexts(ours.sign("b2"))
    meeting = Meeting(right)
    client = contexts(picky).client
    async with listening(right.server, meeting.serve) as port, closing(await connect(port, client)) as streams:
        assert await shake(initiate(streams[1]), *streams) is None


def test_the_first_certificate_of_a_chain_is_the_nodes_own(ours):
    files = ours.sign("a")
    alone = contexts(files).fingerprint
    cert = Path(files.cert)
    cert.write_bytes(b"a comment\n" + cert.read_bytes() + ours.path.read_bytes())
    assert contexts(files).fingerprint == alone


def test_files_that_are_not_there_or_no_certificates(ours, tmp_path):
    files = ours.sign("a")
    with pytest.raises(FileNotFoundError):
        contexts(files._replace(cert=tmp_path / "nowhere"))
    with pytest.raises(ssl.SSLError):
        contexts(files._replace(cert=files.key))
    with pytest.raises(ssl.SSLError):
        contexts(files._replace(key=ours.sign("b").key))
    with pytest.raises(ssl.SSLError):
        contexts(files._replace(ca=files.key))
