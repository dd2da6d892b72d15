"""Who is at the other end of a unix socket, and whether that process has ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from beampy.dist import far_process as module
from beampy.dist.far_process import FarProcess, far_process
from tests.unit.dist.ports import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.loops("asyncio")

COMES = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); time.sleep(600)"


def comes(path: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", COMES, path])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc")
async def test_a_process_that_is_killed_has_ended_and_one_that_stands_still_has_not(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(1)
        with comes(path) as child:
            try:
                sock, _ = server.accept()
                with sock:
                    far = far_process(sock)
                assert far is not None
                assert far.pid == child.pid
                assert not far.has_ended()  # its connection has
                child.send_signal(signal.SIGSTOP)
                assert not far.has_ended()
            finally:
                child.kill()
            await until(far.has_ended)  # nobody has waited for it
            assert child.wait() == -signal.SIGKILL
            assert far.has_ended()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc")
async def test_another_process_of_the_same_number_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        me = far_process(ours)
    assert me is not None
    assert me.pid == os.getpid()
    assert not me.has_ended()
    assert FarProcess(me.pid, me.started - 1).has_ended()

    def found(pid: int, state: bytes, threads: int) -> list[bytes]:
        return [state, *[b"0"] * 16, b"%d" % threads, b"0", b"%d" % me.started]

    cases = [(b"Z", 1, True), (b"Z", 2, False), (b"X", 1, True), (b"T", 1, False), (b"D", 1, False)]
    for state, threads, ended in cases:
        monkeypatch.setattr(module, "_stat", partial(found, state=state, threads=threads))
        assert me.has_ended() is ended


async def test_what_cannot_be_told_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as tcp:
        assert far_process(tcp) is None
    assert far_process(None) is None

    def refused(pid: int) -> list[bytes]:
        raise PermissionError

    monkeypatch.setattr(module, "_stat", refused)
    assert not FarProcess(1, 1).has_ended()
