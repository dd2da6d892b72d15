"""The cookie: the secret that the nodes of one cluster share, where it comes from and what is made of it.

Rule: a handshake gets secrets that cannot be guessed from one recorded proof, so what people type is made expensive to
guess and what is generated has 256 bits. Place: the runtime finds the cookie at start, `peers.py` asks for the secrets
of each node. Not known here: how a cookie is proved (wire/handshake.py).

A cookie comes from the argument, or BEAMPY_COOKIE, or `~/.beampy.cookie`, which is made at first use and is its
owner's alone. Blanks around it do not count, as those at the end of a file.

Whoever has the cookie can run any code in every node that has it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import math
import os
import re
import secrets
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from beampy.wire.handshake import MAX_COOKIES

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("beampy.dist")

VARIABLE = "BEAMPY_COOKIE"
FILE = ".beampy.cookie"
GENERATED = 32  # random bytes of a cookie that we make: as long as the key of the seals
MAX_FILE = 4096  # bytes; a cookie file that is longer is none
STRONG = 128  # bits: what nobody can guess, however fast a guess is
DISTINCT = 10  # different characters; 22 random ones of base64 have fewer once in 10**9 times, "aaaa…" always

# OWASP's password storage cheat sheet, scrypt, the choice of 32 MiB: a machine of 256 MiB can afford it. It takes
# 0.2 s. The salt is the same everywhere, since both sides have nothing but the cookie to make the secret of.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 3
SCRYPT_MEMORY = 64 * 1024 * 1024  # bytes that OpenSSL may take: twice 128 * N * r, which is not all it counts
SALT = b"beampy cookie 1"

# What the characters of a random text are drawn from, the smallest set first, and how many they are.
ALPHABETS = [
    (re.compile(rb"[0-9]+\Z"), 10),
    (re.compile(rb"[0-9a-f]+\Z|[0-9A-F]+\Z"), 16),
    (re.compile(rb"[a-z]+\Z|[A-Z]+\Z"), 26),
    (re.compile(rb"[a-z0-9]+\Z|[A-Z0-9]+\Z"), 36),
    (re.compile(rb"[A-Za-z]+\Z"), 52),
    (re.compile(rb"[A-Za-z0-9]+\Z"), 62),
    (re.compile(rb"[A-Za-z0-9+/_=.-]+\Z"), 64),
]


# --- where it comes from ----------------------------------------------------------------------------


def find(
    cookie: str | bytes | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    path: str | os.PathLike[str] | None = None,
) -> bytes:
    """The cookie of this node: the argument, or else the environment's, or else that of the file, made if missing.

    `environ` is os.environ and `path` is ~/.beampy.cookie. Raises ValueError for one that is empty, and OSError
    (mostly PermissionError) for a file that is not its owner's alone, with what to do about it.
    """
    if cookie is not None:
        return clean(cookie, "the cookie")
    given = (os.environ if environ is None else environ).get(VARIABLE)
    if given is not None:
        return clean(given, VARIABLE)
    return from_file(Path.home() / FILE if path is None else path)


def clean(cookie: str | bytes, what: str) -> bytes:
    """A cookie as bytes, without the blanks around it. ValueError when nothing is left."""
    if not isinstance(cookie, (str, bytes)):
        raise TypeError(f"{what} is text or bytes, not {type(cookie).__name__}")
    found = (cookie.encode() if isinstance(cookie, str) else cookie).strip()
    if not found:
        raise ValueError(f"{what} is empty: any node could connect. Give a secret, or none at all to have one made")
    return found


def from_file(path: str | os.PathLike[str]) -> bytes:
    """The cookie in a file that only its owner can read; a new one when there is no file."""
    path = Path(path)
    for _ in range(2):  # made by us or, at the same time, by another process: either way it is there then
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            _create(path)
            continue
        except OSError as error:
            if error.errno == errno.ELOOP:
                _refuse(path, "is a symbolic link: put the file itself there")
            raise
        try:
            _check(path, os.fstat(fd))
            text = os.read(fd, MAX_FILE + 1)  # whole: it is a plain file
        finally:
            os.close(fd)
        if len(text) > MAX_FILE:
            raise ValueError(f"the cookie file {path} is longer than {MAX_FILE} bytes")
        return clean(text, f"the cookie file {path}")
    raise FileNotFoundError(errno.ENOENT, "the cookie file is removed as soon as it is made", str(path))


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        _refuse(path, "is not a plain file")
    if found.st_uid != os.geteuid():
        _refuse(path, f"belongs to user {found.st_uid}, and this process runs as {os.geteuid()}")
    if found.st_mode & 0o077:
        _refuse(path, f"can be read by others (mode {stat.S_IMODE(found.st_mode):04o}): chmod 600 {path}")


def _refuse(path: Path, why: str) -> NoReturn:
    raise PermissionError(errno.EPERM, f"the cookie file {why}", str(path))


def _create(path: Path) -> None:
    """Make the file whole or not at all: two that start together must not see each other's half, nor differ."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, 0o600)  # whatever the umask took away
            file.write(secrets.token_urlsafe(GENERATED).encode() + b"\n")
        with contextlib.suppress(FileExistsError):  # the other one was faster, and its cookie is the one
            os.link(new, path)
    finally:
        os.unlink(new)


# --- what is made of it -----------------------------------------------------------------------------


def is_strong(cookie: bytes) -> bool:
    """Whether this may be 128 random bits or more: 22 characters of base64, 32 hexadecimal ones, 16 raw bytes."""
    if len(set(cookie)) < DISTINCT:
        return False
    for alphabet, size in ALPHABETS:
        if alphabet.match(cookie):
            return len(cookie) * math.log2(size) >= STRONG
    try:
        cookie.decode()
    except UnicodeDecodeError:
        return len(cookie) * 8 >= STRONG  # raw bytes
    return False  # words of a language, blanks between them


@lru_cache(maxsize=64)  # a cluster has one or two; more than that only per node
def secret_of(cookie: bytes) -> bytes:
    """The secret that a handshake uses: a strong cookie itself, and 32 bytes from scrypt for any other.

    The same on every node. The first call for a weak cookie takes 0.2 s and warns; later ones look it up.
    """
    if is_strong(cookie):
        return cookie
    log.warning(
        "the cookie is short enough to be guessed from a recorded handshake: use one of 22 or more random characters, "
        "as in ~/%s, which is made where no cookie is given",
        FILE,
    )
    return hashlib.scrypt(
        cookie, salt=SALT, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=SCRYPT_MEMORY, dklen=hashlib.sha256().digest_size
    )


class Cookies:
    """The secrets of a running node, for every other node or for one of them.

    To change the cookie of a cluster without a restart: `rotate(new)` on every node, in any order, and when all have
    it `forget_old()` on every node. In between, nodes that have both and nodes that have one of them connect alike.

    >>> cookies = Cookies("k3Jt0cXnq9Vb2mZr7LwYdA")
    >>> cookies.rotate("Qh8sT1zFvE5oGx6uPy4iWj")
    >>> len(cookies.for_node("b@h"))
    2
    >>> cookies.forget_old()
    >>> cookies
    <Cookies: 1>
    """

    __slots__ = ("_current", "_nodes")

    def __init__(self, cookie: str | bytes) -> None:
        self._current: tuple[bytes, ...] = (_secret(cookie),)
        self._nodes: dict[str, bytes] = {}

    @property
    def current(self) -> tuple[bytes, ...]:
        """The secrets for nodes that have none of their own, newest first, at most 4."""
        return self._current

    def for_node(self, node: str) -> tuple[bytes, ...]:
        """The secrets for a handshake with `node`, newest first."""
        own = self._nodes.get(node)
        return self._current if own is None else (own,)

    def rotate(self, cookie: str | bytes) -> None:
        """Prove `cookie` from now on, and the earlier ones too. More than 4 at once are forgotten, the oldest first."""
        new = _secret(cookie)
        self._current = (new, *[old for old in self._current if old != new])[:MAX_COOKIES]

    def forget_old(self) -> None:
        """Only the newest is good from now on. Connections that are up stay up."""
        self._current = self._current[:1]

    def set_for(self, node: str, cookie: str | bytes | None) -> None:
        """A cookie for `node` alone, whoever connects, as OTP's set_cookie/2. None: that of all others again."""
        if cookie is None:
            self._nodes.pop(node, None)
        else:
            self._nodes[node] = _secret(cookie)

    def __repr__(self) -> str:
        own = f" and {len(self._nodes)} for single nodes" if self._nodes else ""
        return f"<Cookies: {len(self._current)}{own}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cookies do not travel")


def _secret(cookie: str | bytes) -> bytes:
    return secret_of(clean(cookie, "the cookie"))
