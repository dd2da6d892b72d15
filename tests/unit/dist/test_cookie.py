"""cookie: where it comes from, who may read its file, and what becomes of one that can be guessed."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import secrets
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from beampy.dist import cookie as module
from beampy.dist.cookie import FILE, Cookies, find, from_file, is_strong, secret_of

STRONG = "k3Jt0cXnq9Vb2mZr7LwYdA"
OTHER = "Qh8sT1zFvE5oGx6uPy4iWj"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


def write(path: Path, text: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text)
    path.chmod(mode)
    return path


# --- where it comes from


def test_the_argument_comes_first_then_the_environment_then_the_file(path):
    write(path, b"from-the-file\n")
    environ = {"BEAMPY_COOKIE": "from-the-environment"}
    assert find("from-the-argument", environ=environ, path=path) == b"from-the-argument"
    assert find(environ=environ, path=path) == b"from-the-environment"
    assert find(environ={}, path=path) == b"from-the-file"


def test_the_file_is_that_of_the_home_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BEAMPY_COOKIE", raising=False)
    made = find()
    assert (tmp_path / ".beampy.cookie").read_bytes().strip() == made
    monkeypatch.setenv("BEAMPY_COOKIE", "given")
    assert find() == b"given"


@pytest.mark.parametrize("text", ["", "  ", "\n", b""])
def test_an_empty_cookie_is_refused_wherever_it_comes_from(path, text):
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ValueError, match="the cookie is empty"):
        find(text)
    with pytest.raises(ValueError, match="BEAMPY_COOKIE is empty"):
        find(environ={"BEAMPY_COOKIE": raw.decode()}, path=path)
    with pytest.raises(ValueError, match=r"the cookie file .* is empty"):
        find(environ={}, path=write(path, raw))
    with pytest.raises(ValueError, match="empty"):
        Cookies(text)


def test_blanks_around_a_cookie_do_not_count(path):
    assert find(" abc\n") == find(b"abc") == find(environ={"BEAMPY_COOKIE": "abc "}) == b"abc"
    assert from_file(write(path, b"abc\r\n")) == b"abc"


@pytest.mark.parametrize("cookie", [7, ["abc"], bytearray(b"abc")])
def test_a_cookie_is_text_or_bytes(cookie):
    with pytest.raises(TypeError):
        find(cookie)


# --- its file


def test_a_new_file_has_a_cookie_of_256_bits_and_one_reader(path):
    made = from_file(path)
    assert len(made) * 6 >= 256
    assert is_strong(made)
    found = path.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert from_file(path) == made
    assert os.listdir(path.parent) == [FILE]  # and nothing else is left there


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_the_mode_is_right_under_any_umask(path, umask):
    before = os.umask(umask)
    try:
        made = from_file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().strip() == made


def test_two_files_have_different_cookies(tmp_path):
    assert from_file(tmp_path / "one") != from_file(tmp_path / "two")


def test_those_who_start_together_agree(path):
    """None of them reads half a file, and the first one's cookie is everybody's."""
    many = 8
    barrier = threading.Barrier(many)
    found: list[Any] = []

    def start() -> None:
        barrier.wait(10)
        found.append(from_file(path))

    threads = [threading.Thread(target=start) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == many
    assert set(found) == {path.read_bytes().strip()}
    assert os.listdir(path.parent) == [FILE]


def test_the_slower_one_takes_the_cookie_of_the_faster_one(path, monkeypatch):
    """The file appears between our look and our own: at the worst moment there is."""
    link = os.link

    def too_late(new: Any, to: Any) -> None:
        write(path, b"of-the-other\n")
        link(new, to)

    monkeypatch.setattr(os, "link", too_late)
    assert from_file(path) == b"of-the-other"
    assert os.listdir(path.parent) == [FILE]


def test_nobody_sees_the_file_before_it_is_whole(path, monkeypatch):
    seen = []
    link = os.link

    def look(new: Any, to: Any) -> None:
        seen.append((path.exists(), Path(new).stat().st_size > 40, stat.S_IMODE(Path(new).stat().st_mode)))
        link(new, to)

    monkeypatch.setattr(os, "link", look)
    from_file(path)
    assert seen == [(False, True, 0o600)]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601, 0o777])
def test_a_file_that_others_can_use_is_refused(path, mode):
    write(path, STRONG.encode(), mode)
    with pytest.raises(PermissionError, match=f"mode {mode:04o}.*: chmod 600 "):
        from_file(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_good(path, mode):
    assert from_file(write(path, STRONG.encode(), mode)) == STRONG.encode()


def test_a_file_of_somebody_else_is_refused(path, monkeypatch):
    write(path, STRONG.encode())
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="belongs to user"):
        from_file(path)


def test_a_link_is_refused(path, tmp_path):
    path.symlink_to(write(tmp_path / "elsewhere", STRONG.encode()))
    with pytest.raises(PermissionError, match="symbolic link"):
        from_file(path)


def test_a_link_to_nowhere_makes_no_file_there(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="symbolic link"):
        from_file(path)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_file_is_refused(path):
    path.mkdir(0o700)
    with pytest.raises(PermissionError, match="not a plain file"):
        from_file(path)


def test_a_pipe_is_refused_and_not_waited_for(path):
    os.mkfifo(path, 0o600)
    with pytest.raises(PermissionError, match="not a plain file"):
        from_file(path)


def test_a_file_too_long_is_refused(path):
    assert len(from_file(write(path, b"x" * 4096))) == 4096
    with pytest.raises(ValueError, match="longer than 4096"):
        from_file(write(path, b"x" * 4097))


def test_a_directory_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        from_file(tmp_path / "nowhere" / FILE)


def test_a_file_that_always_goes_away_is_not_waited_for(path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda new, to: None)
    with pytest.raises(FileNotFoundError, match="as soon as it is made"):
        from_file(path)


# --- what is made of it


@pytest.mark.parametrize(
    ("cookie", "strong"),
    [
        (b"k3Jt0cXnq9Vb2mZr7LwYdA", True),  # 22 of base64
        (b"k3Jt0cXnq9Vb2mZr7LwYd", False),
        (b"k3Jt0+Xnq9/b2mZr7LwYdA==", True),
        (b"KSJTUCXNQQVBCMZRALWY", False),  # 20 capitals, as Erlang makes them: 94 bits
        (b"ksjtucxnqqvbcmzralwyopefghid", True),  # 28 small letters
        (b"ksjtucxnqqvbcmzralwyopefghi", False),
        (b"0123456789abcdef0123456789abcdef", True),  # 32 hexadecimal
        (b"0123456789abcdef0123456789abcde", False),
        (b"123456789012345678901234567890123456789", True),  # 39 digits
        (b"12345678901234567890123456789012345678", False),
        (b"a" * 100, False),
        (b"secret", False),
        (b"correct horse battery staple or so", False),  # words
        ("ein langes Paßwort für alle Knoten".encode(), False),
        (bytes(range(128, 144)), True),  # 16 raw bytes
        (bytes(range(128, 143)), False),
    ],
)
def test_what_can_be_guessed(cookie, strong):
    assert is_strong(cookie) == strong


def test_generated_ones_are_strong():
    for make in (secrets.token_urlsafe, secrets.token_hex, lambda n: secrets.token_bytes(n)):
        for _ in range(200):
            made: Any = make(32)
            assert is_strong(made if isinstance(made, bytes) else made.encode())


def test_a_strong_cookie_is_its_own_secret(caplog):
    with caplog.at_level(logging.DEBUG):
        assert secret_of(STRONG.encode()) == STRONG.encode()
    assert not caplog.records


def test_a_weak_cookie_is_stretched_and_warned_about_once(caplog, monkeypatch):
    secret_of.cache_clear()
    calls = []
    scrypt = hashlib.scrypt

    def counted(*args: Any, **kw: Any) -> bytes:
        calls.append(kw)
        return scrypt(*args, **kw)

    monkeypatch.setattr(module.hashlib, "scrypt", counted)
    one, two = secret_of(b"secret"), secret_of(b"secret")
    assert one == two
    assert len(one) == 32
    assert [(record.levelname, "22 or more" in record.getMessage()) for record in caplog.records] == [("WARNING", True)]
    assert "secret" not in caplog.text.replace("secret_of", "")
    [kw] = calls
    assert (kw["n"], kw["r"], kw["p"]) == (2**15, 8, 3)


def test_a_weak_cookie_is_the_same_secret_everywhere():
    """Recorded: another value would keep releases from connecting."""
    assert secret_of(b"secret").hex() == "f751fdcebd12fc9a1e7ac8e98e5de592253b0a65ecd3d5e91d7ed199ed0d3f69"


# --- of a running node


def test_a_rotation():
    cookies = Cookies(STRONG)
    assert cookies.current == (STRONG.encode(),)
    cookies.rotate(OTHER)
    assert cookies.current == (OTHER.encode(), STRONG.encode())
    cookies.rotate(OTHER)
    assert cookies.current == (OTHER.encode(), STRONG.encode())
    cookies.rotate(STRONG)  # and back
    assert cookies.current == (STRONG.encode(), OTHER.encode())
    cookies.forget_old()
    assert cookies.current == (STRONG.encode(),)
    with pytest.raises(ValueError, match="empty"):
        cookies.rotate("")
    assert cookies.current == (STRONG.encode(),)


def test_no_more_than_four_at_once():
    cookies = Cookies(STRONG)
    for n in range(5):
        cookies.rotate(f"{n}{OTHER}")
    assert cookies.current == tuple(f"{n}{OTHER}".encode() for n in (4, 3, 2, 1))


def test_a_node_with_a_cookie_of_its_own():
    cookies = Cookies(STRONG)
    cookies.set_for("b@h", OTHER)
    assert cookies.for_node("b@h") == (OTHER.encode(),)
    assert cookies.for_node("c@h") == (STRONG.encode(),)
    cookies.set_for("b@h", STRONG)
    assert cookies.for_node("b@h") == (STRONG.encode(),)
    cookies.set_for("b@h", None)
    cookies.set_for("b@h", None)
    cookies.rotate(OTHER)
    assert cookies.for_node("b@h") == (OTHER.encode(), STRONG.encode())


def test_cookies_do_not_show_and_do_not_travel():
    cookies = Cookies(STRONG)
    cookies.rotate(OTHER)
    cookies.set_for("b@h", STRONG)
    assert repr(cookies) == "<Cookies: 2 and 1 for single nodes>"
    with pytest.raises(TypeError, match="do not travel"):
        pickle.dumps(cookies)
