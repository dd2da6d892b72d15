"""Whom the system vouches for."""

from __future__ import annotations

import os
import socket
import stat

from beampy.dist.trust import UCRED, is_trusted, private_directory


def test_the_directory_is_made_for_us_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = private_directory()
    assert path == tmp_path / "beampy"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert private_directory() == path


def test_a_directory_that_others_can_enter_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "beampy").mkdir()
    (tmp_path / "beampy").chmod(0o755)
    assert private_directory() is None


def test_a_link_or_a_file_in_its_place_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    target = tmp_path / "elsewhere"
    target.mkdir(mode=0o700)
    (tmp_path / "beampy").symlink_to(target)
    assert private_directory() is None
    (tmp_path / "beampy").unlink()
    (tmp_path / "beampy").touch()
    assert private_directory() is None


def test_a_parent_that_is_missing_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert private_directory() is None


def test_this_user_is_trusted():
    one, other = socket.socketpair()
    with one, other:
        assert is_trusted(one)


class Sock:
    def __init__(self, uid: int) -> None:
        self.uid = uid

    def getsockopt(self, *_: object) -> bytes:
        return UCRED.pack(1, self.uid, 1)


def test_root_is_trusted_and_others_are_not():
    assert is_trusted(Sock(0))
    assert is_trusted(Sock(os.getuid()))
    assert not is_trusted(Sock(os.getuid() + 12345))
