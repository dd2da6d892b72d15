"""environment: what is refused, loaded or installed, with which words; and that it works afterwards."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import sysconfig
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from beampy.code import environment
from beampy.code.deps import importable
from beampy.code.entry import COMPILED, NAMESPACE, SOURCE, Module
from beampy.code.environment import Policy, key_of, missing, requirement_of, skewed
from beampy.code.installer import InstallFailed
from beampy.errors import MissingPackage, VersionSkew
from tests.unit.code.wheels import fake_uv, installed, offline, wheel

LONG = 25.0  # seconds
LEAF = Module("leaf", SOURCE, package_name="leaf", package_version="1.0")


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test adds to the path and to the modules is gone after it."""
    path, known = list(sys.path), set(sys.modules)
    yield
    monkeypatch.undo()
    for held in environment._added.values():
        held.release()
    environment._added.clear()
    sys.path[:] = path
    for name in set(sys.modules) - known:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tree 1.0 needs leaf, of which there are 1.0 and 2.0; oak needs leaf 2.0. Nothing else can be installed."""
    wheels = tmp_path / "wheels"
    wheel(wheels, "tree", "1.0", {"tree/__init__.py": "import leaf\n"}, ("leaf>=1.0",))
    wheel(wheels, "oak", "1.0", {"oak.py": "import leaf\n"}, ("leaf>=2.0",))
    for version in ("1.0", "2.0"):
        wheel(wheels, "leaf", version, {"leaf.py": f"version = {version!r}\n", "leaf_too.py": ""})
    for name, value in offline(wheels).items():
        monkeypatch.setenv(name, value)
    return wheels


@pytest.fixture
def uv_calls(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands for uv and installs only what it is asked for; the file of its calls."""
    log = fake_uv(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return log


def of(name: str, version: str = "1.0", module: str = "", kind: str = SOURCE) -> Module:
    return Module(module or name, kind, package_name=name, package_version=version)


# ---- what is decided ----


def test_off_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python3")
    with pytest.raises(MissingPackage) as refused:
        Policy("off", "b@h").decide(of("nowhere", "3.4", "nowhere.algorithms"), "b@h", "a@h")
    assert str(refused.value) == (
        "b@h has no nowhere 3.4, which a@h uses (module nowhere.algorithms): "
        "this node neither loads packages from others nor installs them. "
        "Run on b@h: '/opt/my python/bin/python3' -m pip install 'nowhere==3.4'"
    )
    assert refused.value.name == "nowhere.algorithms"


def test_a_python_without_pip_is_helped_with_uv(uv_calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_pip", lambda: False)
    monkeypatch.setattr(sys, "executable", "/p")
    remedy = missing(LEAF, "b@h", "a@h", "why", ["--force-reinstall"]).remedy
    assert remedy == "Run on b@h: uv pip install --python /p --reinstall 'leaf==1.0'"


def test_pure_loads_source_and_refuses_what_is_compiled() -> None:
    policy = Policy("pure", "b@h")
    assert policy.decide(LEAF, "b@h", "a@h") == "load"
    assert policy.decide(LEAF._replace(kind=NAMESPACE), "b@h", "a@h") == "load"
    with pytest.raises(MissingPackage, match=r"it is compiled.*pip install 'leaf==1.0'"):
        policy.decide(LEAF._replace(kind=COMPILED), "b@h", "a@h")


@pytest.mark.parametrize("kind", ["off", "pure", "install"])
def test_local_code_is_no_package(kind: environment.Kind) -> None:
    assert Policy(kind, "b@h").decide(Module("helpers_of_mine", SOURCE), "b@h", "a@h") == "load"
    with pytest.raises(MissingPackage, match="Install it on b@h"):
        Policy(kind, "b@h").decide(Module("helpers_of_mine", COMPILED), "b@h", "a@h")


@pytest.mark.parametrize("kind", ["off", "pure", "install"])
def test_what_is_installed_in_another_version_is_left_alone(
    kind: environment.Kind, uv_calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path / "here", "Le_af", "0.9", {"le_af.py": ""}))
    policy = Policy(kind, "b@h", tmp_path / "cache")
    with pytest.raises(MissingPackage, match=r"le\.af 0\.9 is installed here, and has no such module.*'le\.af==1\.0'"):
        policy.decide(of("le.af", module="new_part"), "b@h", "a@h")
    with pytest.raises(MissingPackage, match=r"--force-reinstall --no-deps 'le\.af==0\.9'"):
        policy.decide(of("le.af", "0.9", module="new_part"), "b@h", "a@h")
    assert uv_calls.read_text() == ""


@pytest.mark.parametrize("kind", ["off", "pure", "install"])
def test_packages_installed_after_the_start_count(
    kind: environment.Kind, uv_calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "here")
    assert not importable("leaf")
    installed(tmp_path / "here", "leaf", "0.9", {"leaf.py": ""})
    assert Policy(kind, "b@h", tmp_path / "cache").decide(LEAF, "b@h", "a@h") == "installed"
    assert uv_calls.read_text() == ""


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("--index-url=http://evil", "1.0"),
        ("leaf @ file:///evil", ""),
        ("leaf", "1.0' ; rm x"),
        ("leaf", "1.0\n--index-url http://evil"),
        ("leaf\n", "1.0"),
        ("x" * 200, "1.0"),
        ("leaf", "*"),
    ],
)
def test_what_is_no_name_or_version_reaches_no_program(name: str, version: str, uv_calls: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPackage) as refused:
        Policy("install", "b@h", tmp_path / "cache").decide(of(name, version, "leaf"), "b@h", "a@h")
    assert refused.value.remedy == "Install it on b@h"
    assert uv_calls.read_text() == ""


def test_requirements() -> None:
    assert requirement_of(of("leaf", "1!2.0rc1.post2+cpu.1")) == "leaf==1!2.0rc1.post2+cpu.1"
    assert requirement_of(of("leaf", "")) == "leaf"
    assert requirement_of(Module("m", SOURCE)) == ""


def test_a_policy_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="'on'"):
        Policy("on")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="conda"):
        Policy("install", installer="conda")


def test_only_who_installs_needs_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BEAMPY_ENVIRONMENTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    Policy("off")
    Policy("install", cache="/c")
    with pytest.raises(RuntimeError, match="no home"):
        Policy("install")


# ---- installing, with pip as it is ----


def test_a_package_is_installed_with_what_it_needs_behind_everything_else(wheels: Path, tmp_path: Path) -> None:
    policy = Policy("install", "b@h", tmp_path / "cache", "pip")
    before = list(sys.path)
    assert policy.decide(of("tree"), "b@h", "a@h") == "installed"
    assert sys.path[:-1] == before
    assert importlib.import_module("tree").leaf.version == "2.0"
    assert importlib.metadata.version("tree") == "1.0"
    assert policy.decide(of("leaf", "2.0"), "b@h", "a@h") == "installed"  # it came along
    assert len(sys.path) == len(before) + 1


def test_what_was_added_before_is_used_by_what_is_added_later(wheels: Path, tmp_path: Path) -> None:
    policy = Policy("install", "b@h", tmp_path / "cache", "pip")
    policy.decide(LEAF, "b@h", "a@h")
    policy.decide(of("tree"), "b@h", "a@h")
    assert len(environment._added) == 2
    assert not (Path(sys.path[-1]) / "leaf.py").exists()
    assert importlib.import_module("tree").leaf.version == "1.0"
    with pytest.raises(MissingPackage, match="leaf") as refused:  # it needs 2.0
        policy.decide(of("oak"), "b@h", "a@h")
    assert "pip failed" in refused.value.why
    assert len(environment._added) == 2


def test_what_the_path_has_beside_the_environment_is_used(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path / "here", "leaf", "1.0", {"leaf.py": "version = 'here'"}))
    Policy("install", "b@h", tmp_path / "cache", "pip").decide(of("tree"), "b@h", "a@h")
    assert not (Path(sys.path[-1]) / "leaf.py").exists()
    assert importlib.import_module("tree").leaf.version == "here"


def test_what_fails_is_said_with_the_command_to_try(wheels: Path, tmp_path: Path) -> None:
    policy = Policy("install", "b@h", tmp_path / "cache", "pip")
    with pytest.raises(MissingPackage) as refused:
        policy.decide(of("leaf", "9.9"), "b@h", "a@h")
    assert "No matching distribution found for leaf==9.9" in refused.value.why
    assert refused.value.remedy.endswith("-m pip install 'leaf==9.9'")
    assert isinstance(refused.value.__cause__, InstallFailed)
    assert os.listdir(tmp_path / "cache") == []


# ---- installing, with a program that stands for uv ----


def test_what_is_cached_is_not_installed_again(uv_calls: Path, tmp_path: Path) -> None:
    Policy("install", "b@h", tmp_path / "cache").decide(LEAF, "b@h", "a@h")
    program = """
import sys
from beampy.code.environment import Policy
from beampy.code.entry import Module, SOURCE
policy = Policy("install", "c@h", sys.argv[1])
print(policy.decide(Module("leaf", SOURCE, package_name="leaf", package_version="1.0"), "c@h", "a@h"))
import leaf
print(leaf.__file__)
"""
    sys.path.remove(next(iter(environment._added)))
    environ = {**os.environ, "PYTHONPATH": os.getcwd(), "PATH": ""}
    here = [sys.executable, "-c", program, str(tmp_path / "cache")]
    told = f"import sys; sys.path[:] = {sys.path!r}\n{program}"  # the same packages, so the same key
    here[2] = told
    said = subprocess.run(here, env=environ, capture_output=True, text=True, timeout=LONG, check=True).stdout.split()
    assert said[0] == "installed"
    assert said[1].startswith(str(tmp_path / "cache"))
    assert uv_calls.read_text().count("\n") == 2  # one resolved, one installed


def test_threads_that_ask_at_once_install_once(uv_calls: Path, tmp_path: Path) -> None:
    policies = [Policy("install", node, tmp_path / "cache") for node in ("b@h", "c@h")]
    found: list[str] = []

    def ask(policy: Policy, module: str) -> None:
        found.append(policy.decide(of("leaf", module=module), policy.node, "a@h"))

    threads = [threading.Thread(target=ask, args=(p, m)) for p in policies for m in ("leaf", "leaf_too")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert found == ["installed"] * 4
    assert uv_calls.read_text().count("\n") == 2
    assert len(environment._added) == 1


ASKS = """
import sys
from beampy.code.environment import Policy
from beampy.code.entry import Module, SOURCE
print("ready", flush=True)
sys.stdin.read()
policy = Policy("install", "c@h", sys.argv[1])
print(policy.decide(Module("leaf", SOURCE, package_name="leaf", package_version="1.0"), "c@h", "a@h"))
import leaf
"""


def test_processes_that_ask_at_once_share_one_environment(wheels: Path, tmp_path: Path) -> None:
    log = fake_uv(tmp_path / "bin", "time.sleep(0.1)")
    environ = {**os.environ, "PYTHONPATH": os.getcwd(), "PATH": str(tmp_path / "bin")}
    command = [sys.executable, "-c", ASKS, str(tmp_path / "cache")]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, env=environ, text=True, stdin=pipe, stdout=pipe) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        assert [process.communicate(timeout=LONG)[0] for process in processes] == ["installed\n"] * 3
        assert [process.returncode for process in processes] == [0] * 3
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert log.read_text().count("\n") == 2
    assert len(os.listdir(tmp_path / "cache")) == 1


def test_what_failed_is_not_tried_again_at_once(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = fake_uv(tmp_path / "bin", "sys.exit('the network is down')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    policy = Policy("install", "b@h", tmp_path / "cache", "uv")
    for _ in range(3):
        with pytest.raises(MissingPackage, match="uv failed: the network is down"):
            policy.decide(LEAF, "b@h", "a@h")
    assert log.read_text().count("\n") == 1


def test_what_failed_is_tried_again_later(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "FAILED_FOR", 0.0)
    fake_uv(tmp_path / "bin", "sys.exit('the network is down')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    policy = Policy("install", "b@h", tmp_path / "cache", "uv")
    with pytest.raises(MissingPackage, match="uv failed: the network is down"):
        policy.decide(LEAF, "b@h", "a@h")
    fake_uv(tmp_path / "bin")
    assert policy.decide(LEAF, "b@h", "a@h") == "installed"


def test_failures_are_not_remembered_without_end(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "FAILURES", 2)
    fake_uv(tmp_path / "bin", "sys.exit(1)")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    policy = Policy("install", "b@h", tmp_path / "cache", "uv")
    for number in range(5):
        with pytest.raises(MissingPackage):
            policy.decide(of(f"p{number}"), "b@h", "a@h")
        assert len(policy._failed) <= 2


def test_a_package_without_the_module_is_said(uv_calls: Path, tmp_path: Path) -> None:
    policy = Policy("install", "b@h", tmp_path / "cache")
    with pytest.raises(MissingPackage, match=r"leaf==1\.0 was installed, and has no such module"):
        policy.decide(of("leaf", module="another"), "b@h", "a@h")


def test_a_cache_that_cannot_be_written_is_said(uv_calls: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingPackage, match="Not a directory"):
        Policy("install", "b@h", tmp_path / "file" / "cache").decide(LEAF, "b@h", "a@h")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(MissingPackage, match="chmod go-w"):
        Policy("install", "b@h", tmp_path / "open").decide(LEAF, "b@h", "a@h")


def test_old_environments_make_room(uv_calls: Path, tmp_path: Path) -> None:
    policy = Policy("install", "b@h", tmp_path / "cache", limit=0)
    policy.decide(LEAF, "b@h", "a@h")
    policy.decide(of("oak"), "b@h", "a@h")
    names = os.listdir(tmp_path / "cache")
    assert len(names) == 2  # both are in use, whatever the limit
    for held in environment._added.values():
        held.release()
    policy.decide(of("tree"), "b@h", "a@h")
    names = os.listdir(tmp_path / "cache")
    assert len(names) == 1


def test_another_installation_is_waited_for_and_not_for_ever(uv_calls: Path, tmp_path: Path) -> None:
    policy = Policy("install", "b@h", tmp_path / "cache", deadline=0.05)
    with environment._installing, pytest.raises(MissingPackage, match="another package was being installed"):
        policy.decide(LEAF, "b@h", "a@h")


def test_a_closed_policy_installs_nothing(uv_calls: Path, tmp_path: Path) -> None:
    policy = Policy("install", "b@h", tmp_path / "cache")
    policy.close()
    with pytest.raises(MissingPackage, match="this node stops"):
        policy.decide(LEAF, "b@h", "a@h")
    assert uv_calls.read_text() == ""


def test_a_forked_child_can_install_whatever_its_parent_was_doing(uv_calls: Path, tmp_path: Path) -> None:
    program = """
import os, sys
from beampy.code import environment
from beampy.code.entry import Module, SOURCE
environment._installing.acquire()  # as another thread of the parent
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
policy = environment.Policy("install", "c@h", sys.argv[1])
print(policy.decide(Module("leaf", SOURCE, package_name="leaf", package_version="1.0"), "c@h", "a@h"))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "cache")]
    environ = {**os.environ, "PYTHONPATH": os.getcwd()}
    said = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LONG, check=True).stdout
    assert said == "installed\n"


# ---- keys ----


def test_a_key_is_of_all_that_decides_what_is_installed() -> None:
    key = key_of(["a==1", "b==2"], {"PIP_INDEX_URL": "https://user:secret@i"})
    assert key == key_of(["b==2", "a==1"], {"PIP_INDEX_URL": "https://user:secret@i", "HOME": "/h", "PIP_CERT": "c"})
    others = [
        key_of(["a==1", "b==2"], {}),
        key_of(["a==1"], {"PIP_INDEX_URL": "https://user:secret@i"}),
        key_of(["a==1", "b==3"], {"PIP_INDEX_URL": "https://user:secret@i"}),
        key_of(["a==1", "b==2"], {"UV_INDEX_URL": "https://user:secret@i"}),
    ]
    assert len({key, *others}) == 5
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")


def test_a_key_is_of_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {key_of(["a==1"], {})}
    suffix, platform = str(sysconfig.get_config_var("EXT_SUFFIX")), sysconfig.get_platform()
    for found in ((suffix, platform), (suffix, "linux-other"), (".cpython-399-x86_64-linux-musl.so", platform)):
        other = types.SimpleNamespace(get_config_var=lambda _, f=found: f[0], get_platform=lambda f=found: f[1])
        monkeypatch.setattr(environment, "sysconfig", other)
        keys.add(key_of(["a==1"], {}))
    assert len(keys) == 3


# ---- what is importable ----


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sys", True),
        ("json", True),
        ("json.decoder", True),
        ("xml.dom.minidom", True),
        ("no_such_module", False),
        ("no_such_module.at_all", False),
        ("json.no_such_module", False),
        ("json.decoder.no_package", False),
    ],
)
def test_importable(name: str, found: bool) -> None:
    assert importable(name) is found


def test_nothing_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("parent", "parent/child", "names/only"):
        (tmp_path / place).mkdir(parents=True)
    for file in ("parent/__init__.py", "parent/child/__init__.py", "parent/child/m.py", "names/only/m.py"):
        (tmp_path / file).write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    assert importable("parent.child.m")
    assert importable("names.only.m")
    assert not importable("parent.m")
    assert not importable("names.only.n")
    assert set(sys.modules) == before


def test_a_module_that_is_forbidden_is_not_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "json", None)
    assert not importable("json")


def test_a_module_made_by_hand_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "by_hand", types.ModuleType("by_hand"))
    monkeypatch.setitem(sys.modules, "not_even", object())
    assert importable("by_hand")
    assert importable("not_even")
    assert not importable("by_hand.part")


def test_what_other_nodes_sent_is_not_this_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loader(importlib.abc.Loader):
        def exec_module(self, module: types.ModuleType) -> None:
            pass

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> object:
            return importlib.util.spec_from_loader(name, Loader()) if name == "shipped" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert importable("shipped")  # of a finder that is anybody's, and a class, as those of editable installs are
    module = importlib.import_module("shipped")
    assert importable("shipped")
    for kind in (Finder, Loader):
        kind.__module__ = "beampy.code.space"
    assert not importable("shipped")
    assert module.__spec__ is not None
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert not importable("shipped")


# ---- skew ----


def test_skew_is_an_error_where_the_versions_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path / "here", "leaf", "0.9", {"leaf.py": ""}))
    error = skewed("leaf.new", LEAF, "b@h", "a@h")
    assert isinstance(error, VersionSkew)
    assert (error.here, error.there) == ("leaf 0.9", "leaf 1.0")
    assert error.remedy.endswith("-m pip install 'leaf==1.0'")
    assert skewed("leaf.new", LEAF._replace(package_version="0.9"), "b@h", "a@h") is None
    assert skewed("m.new", Module("m", SOURCE), "b@h", "a@h") is None
    assert skewed("x.new", of("not_here"), "b@h", "a@h") is None
