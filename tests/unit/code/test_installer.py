"""installer: uv and pip as programs. pip is the real one, without a network; uv is real where there is one."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from beampy.code import installer
from beampy.code.installer import Installer, InstallFailed, Job, for_uv
from tests.unit.code.wheels import fake_uv, installed, offline, wheel

LONG = 25.0  # seconds


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tree 1.0 needs leaf, of which there are 1.0 and 2.0; oak needs leaf 2.0. Nothing else can be installed."""
    wheels = tmp_path / "wheels"
    wheel(wheels, "tree", "1.0", {"tree/__init__.py": "import leaf\n"}, ("leaf>=1.0",))
    wheel(wheels, "oak", "1.0", {"oak.py": "import leaf\n"}, ("leaf>=2.0",))
    for version in ("1.0", "2.0"):
        wheel(wheels, "leaf", version, {"leaf.py": f"version = {version!r}\n"})
    for name, value in offline(wheels).items():
        monkeypatch.setenv(name, value)
    return wheels


@pytest.fixture
def where(tmp_path: Path) -> Path:
    where = tmp_path / "new" / "site-packages"
    where.mkdir(parents=True)
    return where


@pytest.fixture(params=["pip", "uv"])
def tool(request: pytest.FixtureRequest) -> str:
    if request.param == "uv" and installer.uv() is None:
        pytest.skip("there is no uv")
    return str(request.param)


def test_what_is_needed_is_installed_with_it(wheels: Path, where: Path, tool: str) -> None:
    done = Installer(tool).install(Job("tree==1.0", where, {}, [], time.monotonic() + LONG))
    assert sorted(done) == ["leaf==2.0", "tree==1.0"]
    assert {"leaf.py", "tree", "tree-1.0.dist-info", "leaf-2.0.dist-info"} <= set(os.listdir(where))
    assert (where / "__pycache__").is_dir()  # compiled there, and not by a node
    assert sorted((where.parent / "lock.txt").read_text().split()) == ["leaf==2.0", "tree==1.0"]


def test_what_is_here_is_used_and_not_installed_again(wheels: Path, where: Path, tmp_path: Path, tool: str) -> None:
    here = installed(tmp_path / "here", "leaf", "1.0", {"leaf.py": ""})
    job = Job("tree==1.0", where, {"leaf": "1.0"}, [str(here)], time.monotonic() + LONG)
    assert Installer(tool).install(job) == ["tree==1.0"]
    assert not (where / "leaf.py").exists()


def test_what_does_not_go_with_what_is_here_is_refused(wheels: Path, where: Path, tmp_path: Path, tool: str) -> None:
    here = installed(tmp_path / "here", "leaf", "1.0", {"leaf.py": ""})
    with pytest.raises(InstallFailed, match=r"depends? on leaf>=2\.0"):
        Installer(tool).install(Job("oak==1.0", where, {"leaf": "1.0"}, [str(here)], time.monotonic() + LONG))
    assert os.listdir(where) == []


def test_a_failure_has_the_last_lines_and_the_log_has_all(
    wheels: Path, where: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "beampy.code")
    with pytest.raises(InstallFailed, match=r"pip failed: .*No matching distribution found for tree==9.9"):
        Installer("pip").install(Job("tree==9.9", where, {}, [], time.monotonic() + LONG))
    lines = [record.getMessage() for record in caplog.records if record.name == "beampy.code"]
    assert any("-m pip install" in line and "tree==9.9" in line for line in lines)
    assert any("No matching distribution" in line for line in lines)


def test_settings_that_would_install_elsewhere_do_not(
    wheels: Path, where: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    (tmp_path / "pip.py").write_text("raise SystemExit('this is not pip')")
    monkeypatch.chdir(tmp_path)
    Installer("pip").install(Job("leaf==1.0", where, {}, [], time.monotonic() + LONG))
    assert (where / "leaf.py").exists()


# ---- a program that stands for uv ----


def on_path(monkeypatch: pytest.MonkeyPatch, where: Path) -> None:
    monkeypatch.setenv("PATH", str(where))


def test_uv_is_told_what_is_wanted_and_where(
    wheels: Path, where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = fake_uv(tmp_path / "bin")
    on_path(monkeypatch, tmp_path / "bin")
    job = Job("leaf==1.0", where, {"b": "2", "a": "1"}, [], time.monotonic() + LONG)
    assert Installer("uv").install(job) == ["leaf==1.0"]
    resolving, installing = log.read_text().splitlines()
    assert f"--python {sys.executable} --no-index" in resolving
    assert (where.parent / "constraints.txt").read_text() == "a==1\nb==2\n"
    assert f"--no-deps --target {where} --requirement {where.parent / 'lock.txt'}" in installing
    assert (where / "leaf.py").exists()


def test_pip_does_what_uv_cannot(wheels: Path, where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = fake_uv(tmp_path / "bin", "sys.exit('no such index')")
    on_path(monkeypatch, tmp_path / "bin")
    assert Installer().install(Job("leaf==1.0", where, {}, [], time.monotonic() + LONG)) == ["leaf==1.0"]
    assert log.read_text().count("\n") == 1
    assert (where / "leaf.py").exists()


def test_an_installer_that_is_asked_for_is_the_only_one(
    wheels: Path, where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_uv(tmp_path / "bin", "sys.exit('no such index')")
    on_path(monkeypatch, tmp_path / "bin")
    with pytest.raises(InstallFailed, match=r"^uv failed: no such index$"):
        Installer("uv").install(Job("leaf==1.0", where, {}, [], time.monotonic() + LONG))


def test_without_an_installer_it_says_so(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "uv", lambda: None)
    monkeypatch.setattr(installer, "has_pip", lambda: False)
    with pytest.raises(InstallFailed, match="neither uv nor pip"):
        Installer().install(Job("leaf==1.0", where, {}, [], time.monotonic() + LONG))
    with pytest.raises(ValueError, match="conda"):
        Installer("conda")


def test_a_program_that_cannot_be_started_is_a_failure(
    wheels: Path, where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").write_text("#!/no/such/program\n")
    (tmp_path / "bin" / "uv").chmod(0o755)
    on_path(monkeypatch, tmp_path / "bin")
    with pytest.raises(InstallFailed, match="uv cannot be started"):
        Installer("uv").install(Job("leaf==1.0", where, {}, [], time.monotonic() + LONG))


# It starts another program, which must not survive it, and says which.
HANGS = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
time.sleep(60)
"""


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: object) -> None:
    end = time.monotonic() + LONG
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_deadline_ends_it_and_all_that_it_started(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "beampy.code")
    fake_uv(tmp_path / "bin", HANGS)
    on_path(monkeypatch, tmp_path / "bin")
    real = time.monotonic
    clock = SimpleNamespace(monotonic=lambda: real() + (1000 if "child" in caplog.messages[-1] else 0))
    monkeypatch.setattr(installer, "time", clock)  # the deadline comes when the child is there
    with pytest.raises(InstallFailed, match="uv had not ended when its time was over: child"):
        Installer().install(Job("leaf==1.0", where, {}, [], real() + LONG))
    monkeypatch.undo()
    child = int(caplog.records[-1].getMessage().split()[1])
    until(lambda: not running(child))


def test_stop_ends_what_runs_and_all_later_ones(where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = fake_uv(tmp_path / "bin", HANGS)
    on_path(monkeypatch, tmp_path / "bin")
    it, failed = Installer(), []

    def install() -> None:
        with pytest.raises(InstallFailed) as error:
            it.install(Job("leaf==1.0", where, {}, [], time.monotonic() + LONG))
        failed.append(str(error.value))

    thread = threading.Thread(target=install)
    thread.start()
    until(lambda: log.read_text())
    it.stop()
    thread.join(LONG)
    install()
    assert failed == ["this node stops"] * 2
    assert log.read_text().count("\n") == 1


def test_output_without_end_has_a_bound(where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_uv(tmp_path / "bin", "sys.stdout.write('x' * 1_000_000 + '\\n' + 'y\\n' * 1000); sys.exit(1)")
    on_path(monkeypatch, tmp_path / "bin")
    with pytest.raises(InstallFailed) as failed:
        Installer("uv").install(Job("leaf==1.0", where, {}, [], time.monotonic() + LONG))
    assert str(failed.value) == "uv failed: " + " / ".join(["y"] * installer.LAST)


def test_what_pip_reports_must_be_readable() -> None:
    with pytest.raises(InstallFailed, match="cannot be read"):
        installer._reported("{}")


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"PIP_INDEX_URL": "a"}, {"UV_DEFAULT_INDEX": "a"}),
        ({"PIP_INDEX_URL": "a", "UV_INDEX_URL": "b"}, {}),
        ({"PIP_INDEX_URL": "a", "UV_DEFAULT_INDEX": "b"}, {}),
        ({"PIP_EXTRA_INDEX_URL": "a b"}, {"UV_INDEX": "a b"}),
        ({"PIP_FIND_LINKS": "a  b"}, {"UV_FIND_LINKS": "a,b"}),
        ({"PIP_FIND_LINKS": "a", "UV_FIND_LINKS": "c"}, {}),
    ],
)
def test_uv_gets_what_pip_is_told(environ: dict[str, str], found: dict[str, str]) -> None:
    assert for_uv(environ) == {**environ, **found}


def test_a_uv_beside_this_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert installer.uv() is None
    fake_uv(tmp_path / "bin")
    assert installer.uv() == str(tmp_path / "bin" / "uv") == shutil.which("uv", path=str(tmp_path / "bin"))
