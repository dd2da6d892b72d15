"""The `beampy` command where no other process is needed: its arguments, its help, its refusals, its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import beampy
from beampy import cli
from beampy.cli import call, start
from beampy.cli.arguments import parse
from beampy.cli.exits import NO, OK, UNREACHABLE, USAGE, Refusal
from tests.unit.dist.ports import free_port

COMMANDS = ("start", "names", "ping", "ps", "refs", "top", "trace", "call", "remsh")
ROOT = Path(__file__).resolve().parents[2]


def ended(argv: list[str]) -> int:
    """The exit code of a command line that argparse ends."""
    with pytest.raises(SystemExit) as end:
        parse(argv)
    return int(end.value.code or 0)


# --- arguments


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]):
    assert ended([command, "--help"]) == OK
    said = capsys.readouterr().out
    assert f"examples:\n  beampy {command}" in said
    assert "exit codes: 0" in said
    assert max(map(len, said.splitlines())) <= 120


def test_the_help_names_every_command_and_says_where_cookies_come_from(capsys: pytest.CaptureFixture[str]):
    assert ended(["--help"]) == OK
    said = capsys.readouterr().out
    assert all(f"\n    {command} " in said for command in COMMANDS)
    assert "--cookie-file" in said
    assert "BEAMPY_COOKIE" in said


@pytest.mark.parametrize(
    "argv",
    [
        ["nonsense"],
        ["ping"],
        ["start"],
        ["start", "a", "--port", "70000"],
        ["start", "a", "--port", "-1"],
        ["ps", "a", "--by", "colour"],
        ["ps", "a", "--limit", "x"],
        ["ps", "a", "--interval", "0"],
        ["top", "a", "--limit", "0"],
        ["trace", "a", "--events", "birth"],
        ["trace", "a", "--events", ""],
        ["trace", "a", "--for", "-1"],
        ["trace", "a", "--for", "nan"],
        ["call", "a"],
        ["ping", "a", "--cookie", "everybody-sees-this"],
        ["start", "a", "--cookie=everybody-sees-this"],
        [],
    ],
)
def test_wrong_arguments_are_2(argv: list[str], capsys: pytest.CaptureFixture[str]):
    assert ended(argv) == USAGE
    said = capsys.readouterr()
    assert "usage: beampy" in said.err + said.out


def test_version(capsys: pytest.CaptureFixture[str]):
    assert ended(["--version"]) == OK
    assert capsys.readouterr().out == f"beampy {beampy.__version__}\n"


def test_events_are_a_list():
    assert parse(["trace", "a", "--events", "spawn, exit"]).events == ["spawn", "exit"]


# --- what a call is given


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-1.5", -1.5),
        ("None", None),
        ("[1, 'a']", [1, "a"]),
        ("{'a': (1,)}", {"a": (1,)}),
        ("'5'", "5"),
        ("five", "five"),
        ("*.py", "*.py"),
        ("", ""),
        ("a b", "a b"),
        ("(" * 500, "(" * 500),
        ("1\0", "1\0"),
        ("__import__('os')", "__import__('os')"),
    ],
)
def test_literal(text: str, value: object):
    found = call.literal(text)
    assert (found, type(found)) == (value, type(value))


def test_keywords_come_last_and_once():
    assert call.arguments(["1", "a", "n=2", "what=red wine", "eq='='"]) == (
        [1, "a"],
        {"n": 2, "what": "red wine", "eq": "="},
    )
    assert call.arguments(["'n=2'", "==", "1=2"]) == (["n=2", "==", "1=2"], {})
    with pytest.raises(Refusal, match="after a KEY=VALUE") as refusal:
        call.arguments(["n=1", "2"])
    assert refusal.value.code == USAGE
    with pytest.raises(Refusal, match="n= is given twice"):
        call.arguments(["n=1", "n=2"])


def test_values_as_json(capsys: pytest.CaptureFixture[str]):
    call.show({"a": [1, None], "b": {1}}, as_json=True)
    call.show("x", as_json=False)
    assert capsys.readouterr().out == '{"a": [1, null], "b": "{1}"}\n\'x\'\n'


# --- what a node runs


def test_applications():
    assert start.application("beampy.otp.supervisor:Supervisor") is beampy.Supervisor
    assert start.application("beampy.otp.shell:evaluate").__name__ == "evaluate"


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("beampy", "MODULE:NAME"),
        (":x", "MODULE:NAME"),
        ("no_such_module:App", "no module 'no_such_module'"),
        ("beampy.nothing:App", "no module 'beampy.nothing'"),
        ("beampy:NoSuchApp", "NoSuchApp"),
        ("os:getpid", "is a builtin_function_or_method"),
        ("os.path:sep", "is a str"),
    ],
)
def test_what_is_no_application(where: str, why: str):
    with pytest.raises(Refusal, match=why) as refusal:
        start.application(where)
    assert refusal.value.code == USAGE


def test_a_broken_import_of_the_application_is_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_app.py").write_text("import missing_thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="missing_thing"):
        start.application("broken_app:App")


# --- exit codes and one line


def test_a_bad_name_is_2(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["ping", "a b"]) == USAGE
    assert cli.main(["start", "a/b"]) == USAGE
    assert capsys.readouterr().err.count("\n") == 2


def test_a_cookie_file_that_is_missing_or_open_to_others_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "cookie"
    assert cli.main(["ps", "a", "--cookie-file", str(file)]) == USAGE
    assert "there is no cookie file" in capsys.readouterr().err
    file.write_text("secret-secret-secret-42")
    file.chmod(0o644)
    assert cli.main(["ps", "a", "--cookie-file", str(file)]) == USAGE
    assert "chmod 600" in capsys.readouterr().err
    file.chmod(0o600)
    file.write_text("\n")
    assert cli.main(["remsh", "a", "--cookie-file", str(file)]) == USAGE
    assert "is empty" in capsys.readouterr().err


def test_an_empty_cookie_in_the_environment_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("BEAMPY_COOKIE", " ")
    assert cli.main(["ps", "a"]) == USAGE
    assert cli.main(["remsh", "a"]) == USAGE
    assert cli.main(["start", "a"]) == USAGE
    assert capsys.readouterr().err.count("BEAMPY_COOKIE is empty") == 3


@pytest.mark.parametrize("command", ["ps", "top", "trace", "remsh", "call"])
def test_no_name_service_is_3(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("ERL_EPMD_PORT", str(free_port()))
    argv = [command, "a", *(["os.getpid"] if command == "call" else [])]
    assert cli.main(argv) == UNREACHABLE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("beampy: no connection to a@localhost: the name service on host localhost does not answer")


def test_a_ping_without_an_answer_is_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("ERL_EPMD_PORT", str(free_port()))
    assert cli.main(["ping", "a"]) == NO
    assert cli.main(["ping", "a", "--json"]) == NO
    said = capsys.readouterr()
    assert said.err.count("no connection to a@localhost") == 2
    assert '"ok": false' in said.out
    assert cli.main(["names"]) == UNREACHABLE


def test_a_node_that_cannot_listen_is_1(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["start", "a", "--bind", "192.0.2.1"]) == NO  # an address of documentation, of nobody's machine
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("beampy: ")]
    assert "192.0.2.1" in line


# --- what it costs


def imported(*argv: str) -> set[str]:
    """The modules that a command line loads."""
    code = f"import sys; from beampy import cli; cli.main({list(argv)!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "ERL_EPMD_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(done.stdout.split())


def test_a_ping_loads_no_more_than_a_connection_needs():
    modules = imported("ping", "a")
    assert "beampy.dist.peers" in modules
    assert not {"uvloop", "readline", "cloudpickle", "cryptography", "beampy.otp.shell", "beampy.cli.remsh"} & modules
