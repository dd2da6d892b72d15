"""The `beampy` command against a node that is an operating-system process: output, exit codes, signals."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.dist.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 20.0  # seconds for what takes half of one
READY = re.compile(r"(\S+) is up, process (\d+), on (\S+)")


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | more


def command(*argv: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "beampy", *argv]


def beampy(*argv: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        command(*argv),
        input=stdin,
        env=environment(**env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


class Running:
    """A command that goes on: its output is read as it comes."""

    def __init__(self, *argv: str, **env: str) -> None:
        self.process = subprocess.Popen(
            command(*argv),
            env=environment(**env),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.said = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Read until the output has this."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + DEADLINE
        while (found := re.search(pattern, self.said)) is None:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            text = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert text, f"{pattern!r} is not in\n{self.said}"
            self.said += text.decode()
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal it, and wait. Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            out, _ = self.process.communicate(timeout=DEADLINE)
            self.said += out.decode()
        return self.process.returncode


@contextlib.contextmanager
def running(*argv: str, **env: str) -> Iterator[Running]:
    program = Running(*argv, **env)
    try:
        yield program
    finally:
        program.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def node() -> Iterator[str]:
    """A node for all tests that only look."""
    with running("start", "shop", "--app", "tests.cluster.cli_app:main") as program:
        yield program.until(READY.pattern)[1]


def alone() -> dict[str, str]:
    """A name service of a test's own."""
    return {"ERL_EPMD_PORT": str(free_port())}


# --- start


def test_start_says_where_it_is_and_ends_in_order():
    env = alone()
    with running("start", "a", **env) as program:
        ready = program.until(READY.pattern)
        assert ready[1] == "a@localhost"
        assert int(ready[2]) == program.process.pid
        assert beampy("names", **env).stdout.startswith("a  at port ")
        assert program.end(signal.SIGTERM) == 0
        assert "Traceback" not in program.said
        assert beampy("names", **env).returncode == 3


def test_ctrl_c_is_130():
    with running("start", "a", **alone()) as program:
        program.until(READY.pattern)
        assert program.end(signal.SIGINT) == 130
        assert "Traceback" not in program.said


def test_a_supervisor_is_an_application():
    env = alone()
    with running("start", "a", "--app", "tests.cluster.cli_app:App", **env) as program:
        program.until(READY.pattern)
        assert "stock" in beampy("ps", "a", **env).stdout
        assert program.end(signal.SIGTERM) == 0
        assert "Traceback" not in program.said


def test_a_node_ends_with_its_application():
    done = beampy("start", "a", "--app", "tests.cluster.cli_app:soon", **alone())
    assert (done.returncode, done.stdout) == (0, "the application ran\n")
    done = beampy("start", "a", "--app", "tests.cluster.cli_app:breaks", **alone())
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ConnectionError: the database is not there"
    assert "Traceback" in done.stderr
    done = beampy("start", "a", "--app", "tests.cluster.cli_app:leave", **alone())
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "beampy: a@localhost ended: 'had enough'"


def test_a_name_that_is_taken(node: str):
    done = beampy("start", node)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("beampy: the name shop@localhost is taken")
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken():
    env = alone()
    port = str(free_port())
    with running("start", "a", "--port", port, "--no-unix", **env) as program:
        assert program.until(READY.pattern)[3] == f"127.0.0.1:{port}"
        done = beampy("start", "b", "--port", port, **env)
        assert done.returncode == 1
        assert "in use" in done.stderr.splitlines()[-1]


def test_tls_and_a_friend_that_comes_later():
    env = alone()
    with running("start", "a", "--tls", "--no-unix", "--connect", "b", **env) as first:
        assert first.until(rf"{READY.pattern} \(TLS\)")
        first.until("no connection to b@localhost")
        with running("start", "b", "--tls", "--no-unix", **env) as second:
            second.until(READY.pattern)
            first.until("connected with b@localhost")
            assert beampy("ping", "b", **env).returncode == 0
            second.end(signal.SIGKILL)
            first.until("lost b@localhost")


def test_a_hidden_node_is_not_in_nodes():
    env = alone()
    with running("start", "a", **env) as first, running("start", "h", "--hidden", "--connect", "a", **env) as second:
        first.until(READY.pattern)
        second.until("connected with a@localhost")
        assert beampy("call", "a", "beampy.nodes", **env).stdout == "[]\n"
        assert "'h@localhost'" in beampy("call", "a", "beampy.nodes", "all", **env).stdout


# --- looking


def test_ping(node: str):
    done = beampy("ping", "shop")
    assert done.returncode == 0
    assert re.fullmatch(r"pong from shop@localhost: [0-9.]+ ms, after [0-9.]+ ms to connect\n", done.stdout)
    answer = json.loads(beampy("ping", node, "--json").stdout)
    assert answer["ok"] is True
    assert answer["round_trip_s"] > 0


def test_a_node_that_is_not_there(node: str):
    for argv, code in ((["ping", "b"], 1), (["ps", "b"], 3), (["call", "b", "os.getpid"], 3), (["remsh", "b"], 3)):
        done = beampy(*argv)
        assert done.returncode == code, argv
        (line,) = done.stderr.splitlines()
        assert line == (
            "beampy: no connection to b@localhost: no node called b is registered on localhost (there are: shop)"
        )


def test_another_cookie(node: str, tmp_path: Path):
    file = tmp_path / "cookie"
    file.write_text("not-the-cookie-of-this-cluster-7Q")
    file.chmod(0o600)
    done = beampy("ping", node, "--cookie-file", str(file))
    assert done.returncode == 1
    assert "cookie" in done.stderr
    assert done.stderr.count("\n") == 1
    file.write_text(os.environ["BEAMPY_COOKIE"])
    assert beampy("ping", node, "--cookie-file", str(file), BEAMPY_COOKIE="wrong-wrong-wrong-1").returncode == 0


def test_names(node: str):
    assert re.search(r"^shop  at port \d+$", beampy("names").stdout, re.MULTILINE)
    assert json.loads(beampy("names", "127.0.0.1", "--json").stdout)["shop"] > 0


def test_ps(node: str):
    lines = beampy("ps", node).stdout.splitlines()
    assert re.fullmatch(r"shop@localhost: \d+ processes", lines[0])
    assert lines[1].split()[:3] == ["PID", "NAME", "STATUS"]
    rows = [line.split() for line in lines[2:]]
    assert {"stock", "busy"} <= {row[1] for row in rows}
    table = json.loads(beampy("ps", node, "--by", "steps", "--limit", "3", "--json").stdout)
    steps = [row["steps"] for row in table["rows"]]
    assert len(steps) == 3
    assert steps == sorted(steps, reverse=True)
    assert {row["name"] for row in table["rows"]} >= {"stock", "busy"}


def test_ps_into_a_program_that_has_enough(node: str):
    script = f"{' '.join(command('ps', node, '--watch', '--interval', '0.1'))} | head -n 3"
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""


def test_top_once(node: str):
    done = beampy("top", node, "--interval", "0.3")
    assert done.returncode == 0
    assert "steps/s" in done.stdout
    load = json.loads(beampy("top", node, "--once", "--json", "--interval", "0.3", "--limit", "2").stdout)
    assert {row["name"] for row in load["rows"]} == {"stock", "busy"}
    assert load["rows"][0]["steps_per_s"] > 0


def test_trace_and_what_it_leaves(node: str):
    done = beampy("trace", node, "--for", "0.5", "--events", "send", "--match", "busy", "--json")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["name"] for event in events} == {"busy", "stock"} or {event["name"] for event in events} == {"busy"}
    assert all(event["event"] == "send" for event in events)
    assert any(event["to_name"] == "stock" for event in events)
    with running("trace", node) as program:
        program.until("take")
        assert program.end(signal.SIGINT) == 130
        assert "Traceback" not in program.said
    with running("trace", node) as program:
        program.until("take")
        program.end(signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE
    tracer = "__import__('beampy.api').api.self_process().node.tracer"
    while beampy("remsh", node, stdin=f"{tracer} is None\n").stdout != "True\n":
        assert time.monotonic() < deadline, "the tracer of a client that was killed is still there"


# --- calling


def test_call(node: str):
    done = beampy("call", node, "tests.cluster.cli_app.speak", "red wine", "times=2")
    assert (done.returncode, done.stdout) == (0, "red wine\nred wine\n2\n")
    assert "aside\n" in done.stderr
    assert "WARNING shop: 2 times" in done.stderr
    assert beampy("call", node, "operator.add", "[1]", "[2]", "--json").stdout == "[1, 2]\n"


def test_a_call_that_fails(node: str):
    done = beampy("call", node, "tests.cluster.cli_app.fail", "nothing here")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "cli_app.py" in done.stderr
    assert lines[-2:] == [
        "LookupError: nothing here",
        "beampy: tests.cluster.cli_app.fail raised LookupError on shop@localhost",
    ]
    assert "cli/call.py" not in done.stderr


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("no.such.function", "raised ModuleNotFoundError"),
        ("os.no_such", "raised AttributeError"),
        ("plain", "raised ValueError"),
        ("tests.cluster.cli_app.odd", "raised tests.cluster.cli_app.Odd"),
        ("tests.cluster.cli_app.leave", "had enough"),
        ("tests.cluster.cli_app.many", "raised TypeError"),
    ],
)
def test_calls_that_fail_in_other_ways(node: str, function: str, said: str):
    done = beampy("call", node, function, *(["5"] if function.endswith("many") else []))
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "cli/call.py" not in done.stderr


def test_a_stream(node: str):
    done = beampy("call", node, "tests.cluster.cli_app.many", "3", "--stream")
    assert (done.returncode, done.stdout) == (0, "0\n1\n2\n")


def test_a_call_that_takes_too_long(node: str):
    done = beampy("call", node, "asyncio.sleep", "60", "--for", "0.2")
    assert done.returncode == 1
    assert "0.2" in done.stderr


def test_a_call_that_is_given_up_ends_there(node: str):
    with running("call", node, "asyncio.sleep", "600") as asking:
        deadline = time.monotonic() + DEADLINE
        while "asyncio.tasks.sleep" not in beampy("ps", node).stdout and time.monotonic() < deadline:
            time.sleep(0.05)
        assert asking.end(signal.SIGINT) == 130
        assert asking.said == ""
    while "asyncio.tasks.sleep" in beampy("ps", node).stdout:
        assert time.monotonic() < deadline, "it goes on"


def test_a_call_whose_node_is_lost():
    env = alone()
    with running("start", "a", **env) as there:
        there.until(READY.pattern)
        with running("call", "a", "asyncio.sleep", "60", **env) as asking:
            deadline = time.monotonic() + DEADLINE
            while "asyncio.tasks.sleep" not in beampy("ps", "a", **env).stdout and time.monotonic() < deadline:
                time.sleep(0.05)
            there.end(signal.SIGKILL)
            asking.until(r"beampy: no connection to the node of asyncio.sleep on a@localhost\n")
            assert asking.process.wait(DEADLINE) == 3


# --- a prompt


def test_remsh_from_a_pipe(node: str):
    script = """\
x = 20
x + 1
print("printed")
for n in range(2):
    print(n)
import asyncio
await asyncio.sleep(0, _ * 2)
async def f():
    return bp.self().node
await f()
await None
"""
    done = beampy("remsh", node, stdin=script)
    assert done.stdout == "21\nprinted\n0\n1\n42\n'shop@localhost'\n"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "TypeError: object NoneType can't be used in 'await' expression",
    )


def test_remsh_says_what_went_wrong_and_goes_on(node: str):
    done = beampy("remsh", node, stdin="1/0\nx = = 1\nbp.exit('oops')\n'still here'\nexit()\n'never'\n")
    assert done.stdout == "'still here'\n"
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "SyntaxError" in done.stderr
    assert "the shell's process on shop@localhost ended: 'oops'" in done.stderr
    assert beampy("remsh", node, stdin="exit()").returncode == 0


def test_remsh_is_interrupted(node: str):
    with running("remsh", node) as program:
        assert program.process.stdin is not None
        program.process.stdin.write(
            b"print('begun'); import time; time.sleep(0.1)\nprint('again')\nwhile True: pass\n\n"
        )
        program.process.stdin.flush()
        program.until("again")
        time.sleep(0.3)
        assert program.end(signal.SIGINT) == 130
        assert "Traceback" not in program.said


class Terminal:
    """A command on a terminal of its own, as a person has it."""

    def __init__(self, *argv: str, **env: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, command(*argv), environment(TERM="xterm", **env))
        self.said = ""

    def until(self, text: str) -> None:
        """Read until this has appeared after what was read before."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.said:
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} is not in {self.said!r}"
            try:
                self.said += os.read(self.fd, 65536).decode()
            except OSError:  # the other end is closed
                pytest.fail(f"{text!r} is not in {self.said!r}, and it has ended")
        self.said = self.said.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def press_ctrl_c(self) -> None:
        """Once it waits for a key: of a signal between its prompt and that, readline hears with the next key only."""
        deadline = time.monotonic() + DEADLINE
        with contextlib.suppress(FileNotFoundError):  # no /proc
            while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
                assert time.monotonic() < deadline, "it does not wait"
                time.sleep(0.01)
        self.type("\x03")

    def end(self) -> int:
        """Its exit code."""
        with contextlib.suppress(OSError):
            while os.read(self.fd, 65536):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def test_remsh_on_a_terminal(node: str, tmp_path: Path):
    with Terminal("remsh", node, HOME=str(tmp_path)) as typed:
        typed.until("shop@localhost>>> ")
        typed.type("bp.spawn_m\t\n")
        typed.until("bp.spawn_monitor(")
        typed.until("... ")  # its bracket is open
        typed.press_ctrl_c()
        typed.until("shop@localhost>>> ")
        typed.type("def f():\n")
        typed.until("... ")
        typed.type("    return 6 * 7\n\n")
        typed.until(">>> ")
        typed.type("f()\n")
        typed.until("42")
        typed.until(">>> ")
        typed.type("import time; time.sleep(60)\n")
        typed.until("sleep(60)")
        time.sleep(0.2)
        typed.type("\x03")
        typed.until("KeyboardInterrupt")
        typed.until(">>> ")
        typed.type("half a line")
        typed.until("half a line")
        typed.press_ctrl_c()
        typed.until("KeyboardInterrupt")
        typed.until(">>> ")
        typed.type("await bp.receive(timeout=0)\n")
        typed.until("ReceiveTimeout")
        typed.until(">>> ")
        typed.type("\x04")
        assert typed.end() == 0
    assert "f()" in (tmp_path / ".beampy_history").read_text()


def test_remsh_sees_that_its_node_is_gone(tmp_path: Path):
    env = alone()
    with running("start", "a", **env) as there:
        there.until(READY.pattern)
        with Terminal("remsh", "a", HOME=str(tmp_path), **env) as typed:
            typed.until(">>> ")
            there.end(signal.SIGKILL)
            typed.until("beampy: a@localhost is gone")
            assert typed.end() == 3


def test_top_on_a_terminal(node: str):
    with Terminal("top", node, "--interval", "0.2") as screen:
        screen.until("STEPS/S*")
        screen.type("m")
        screen.until("MEMORY*")
        screen.type("q")
        screen.until("\x1b[?1049l")
        assert screen.end() == 0


def test_ps_watch_on_a_terminal(node: str):
    with Terminal("ps", node, "--watch", "--interval", "0.1") as screen:
        screen.until("stock")
        screen.until("stock")
        screen.type("\x03")
        screen.until("\x1b[?1049l")
        assert screen.end() == 130
