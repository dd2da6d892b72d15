"""TLS between nodes: contexts, an ephemeral certificate, and the fingerprint that a handshake is bound to.

Rule: TLS 1.3 only, no resumption, and every handshake is bound to the certificate that the server showed. Place: the
shells that own sockets ask for contexts; `wire/handshake.py` gets the fingerprint. Not known here: cookies, names.

**Why the client does not verify by default.** A node's certificate is its own work, made at start, so there is no
authority to ask. TLS alone would then hide the bytes from those who only listen, and not from one who answers in the
other's place. The handshake closes that: both sides seal the fingerprint of the certificate with their cookie, each
the one that it sees. Somebody in the middle must show a certificate of his own, the two fingerprints differ, and no
seal fits. So who has the cookie is authenticated, and who has not is refused, without any authority.

With `TlsFiles` an authority of your own decides as well: each side refuses a certificate that is not signed by it or
has expired, before the first byte of the handshake.

The key of an ephemeral certificate never touches a disk where the system has memfd (Linux). `ssl` reads keys from files
only, so elsewhere it lies for a moment in a file of mode 0600 in a directory of mode 0700.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from beampy.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Iterator

# RFC 5280, 4.1.2.5: the date for "no end". Nobody looks at it, and a node may run for years.
NEVER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
LONG_AGO = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)  # whatever a clock says that is not set yet


class TlsFiles(NamedTuple):
    """Mutual TLS with certificates from an authority of your own. Paths of PEM files.

    `cert` is this node's certificate, followed by those between it and the authority; `key` is its private key without
    a password; `ca` holds the authorities that the other side's certificate must be signed by. With `check_hostname`
    the certificate must also be made out to the host that was connected to. That is off by default: nodes are reached
    through address maps and tunnels, and the handshake proves who they are.

    >>> TlsFiles("node.pem", "node.key", "ca.pem").check_hostname
    False
    """

    cert: str | os.PathLike[str]
    key: str | os.PathLike[str]
    ca: str | os.PathLike[str]
    check_hostname: bool = False


class Tls(NamedTuple):
    """The contexts of one node: `server` to listen with, `client` to connect with.

    `fingerprint` is that of its own certificate: the binding of its acceptors. An initiator's binding is
    `server_fingerprint` of its connection.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    fingerprint: bytes


class SSLInfo(Protocol):
    """What `transport.get_extra_info("ssl_object")` gives: an ssl.SSLObject or SSLSocket."""

    def getpeercert(self, binary_form: bool = False) -> object: ...


def fingerprint(der: bytes) -> bytes:
    """The SHA-256 of a certificate, 32 bytes."""
    return hashlib.sha256(der).digest()


def server_fingerprint(ssl_object: SSLInfo) -> bytes:
    """The fingerprint of the certificate that the server showed, at the client's end of a connection."""
    der = ssl_object.getpeercert(binary_form=True)
    if not isinstance(der, bytes):
        # TLS 1.3 has no servers without one. Never go on unbound.
        raise InternalError("this TLS connection has no server certificate")
    return fingerprint(der)


def contexts(files: TlsFiles | None = None) -> Tls:
    """The contexts of a node, with an ephemeral certificate, or from files where both sides verify.

    Blocks for 1 ms, and the first time for 60 ms more, to import `cryptography`; with files only to read them. Raises
    OSError for files that are not there and ssl.SSLError for those that are no certificate, key or authority.
    """
    if files is not None:
        return _verified(files)
    cert, key = self_signed()
    with _as_file(key + cert) as path:
        server = _context(ssl.PROTOCOL_TLS_SERVER, path)
    return Tls(server, _context(ssl.PROTOCOL_TLS_CLIENT), fingerprint(ssl.PEM_cert_to_DER_cert(cert.decode())))


def _context(protocol: int, cert: str | os.PathLike[str] | None = None) -> ssl.SSLContext:
    """A context that speaks TLS 1.3, resumes nothing and verifies nobody."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a session that is taken up again shows no certificate
    if cert is not None:
        context.load_cert_chain(cert)
    return context


def _verified(files: TlsFiles) -> Tls:
    server, client = _context(ssl.PROTOCOL_TLS_SERVER), _context(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.load_cert_chain(files.cert, files.key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files.ca)
    client.check_hostname = files.check_hostname
    text = Path(files.cert).read_text(encoding="ascii", errors="replace")
    start, end = text.index(ssl.PEM_HEADER), text.index(ssl.PEM_FOOTER)  # the first is the node's own
    return Tls(server, client, fingerprint(ssl.PEM_cert_to_DER_cert(text[start : end + len(ssl.PEM_FOOTER)])))


def self_signed() -> tuple[bytes, bytes]:
    """A new certificate and its private key, both PEM. Nothing in it says whose it is.

    P-256, which every TLS 1.3 speaks (RFC 8446, 9.1). Ed25519 takes as long: 0.06 ms to make, 0.4 ms a handshake.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "beampy")])
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(LONG_AGO)
        .not_valid_after(NEVER)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return cert.public_bytes(pem), key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@contextlib.contextmanager
def _as_file(secret: bytes) -> Iterator[str]:
    """A path at which `secret` can be read for as long as the block runs."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        with open(os.memfd_create("beampy", os.MFD_CLOEXEC), "wb", buffering=0) as memory:
            memory.write(secret)
            yield f"/proc/self/fd/{memory.fileno()}"
        return
    with tempfile.TemporaryDirectory() as directory:  # mode 0700
        path = os.path.join(directory, "key")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        yield path
