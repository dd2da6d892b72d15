"""A kernel as a frontend has it: its own process, spoken with through Jupyter's protocol.

    with Kernel(folder) as kernel:
        ran = kernel.run("1 + 1")
        assert ran.value == "2"

Every wait has a deadline. What a cell did comes back whole: `Ran`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_core.utils import ensure_event_loop

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("BEAMPY_TEST_KERNEL", sys.executable)  # another one has another ipykernel
ALIVE = 5.0  # seconds between two looks at whether a kernel that does not answer is still there
WAIT = 40.0  # seconds for anything of a kernel; a loaded machine takes several to start one


@dataclass
class Ran:
    """What one execution gave, in the order it came."""

    status: str = ""
    out: str = ""  # stdout and stderr of its cell, as it stands there at the end
    err: str = ""
    value: str | None = None  # text/plain of the cell's value
    displays: list[dict[str, Any]] = field(default_factory=list)  # contents of display_data and execute_result
    updates: list[dict[str, Any]] = field(default_factory=list)  # contents of update_display_data
    error: str | None = None  # "Name: text"
    traceback: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)  # all that had this execution as parent
    others: list[dict[str, Any]] = field(default_factory=list)  # and what had another one

    def take(self, message: dict[str, Any]) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        self.messages.append(message)
        if kind == "stream":
            if content["name"] == "stdout":
                self.out += content["text"]
            else:
                self.err += content["text"]
        elif kind in ("display_data", "execute_result"):
            self.displays.append(content)
            if kind == "execute_result":
                self.value = content["data"].get("text/plain")
        elif kind == "update_display_data":
            self.updates.append(content)
        elif kind == "error":
            self.error = f"{content['ename']}: {content['evalue']}"
            self.traceback = "\n".join(content["traceback"])

    def shown(self, mime: str = "text/plain") -> list[str]:
        """What stands there now in this form: displays, with what has been updated since."""
        newest = {update["transient"]["display_id"]: update["data"] for update in self.updates}
        found = [newest.get((one.get("transient") or {}).get("display_id"), one["data"]) for one in self.displays]
        return [data[mime] for data in found if mime in data]


class Kernel:
    """One kernel. `folder`: where it starts; its cookie, names and caches are its own, under there."""

    def __init__(self, folder: Path, *, python: str = PYTHON, **env: str) -> None:
        self.folder = folder
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "IPYTHONDIR": str(folder / "ipython")}
        self.env |= {
            "BEAMPY_COOKIE": "a-cookie-of-this-test-and-no-other",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            **env,
        }
        self.python = python
        self.later: list[dict[str, Any]] = []  # of iopub: what came while something else was waited for

    def __enter__(self) -> Self:
        self.file = str(self.folder / f"kernel-{time.monotonic_ns()}.json")
        self.log = (self.folder / "kernel.log").open("ab")
        command = [self.python, "-m", "ipykernel_launcher", "-f", self.file]
        env = self.env | {"JPY_PARENT_PID": str(os.getpid())}
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.client = BlockingKernelClient(connection_file=self.file)
        try:
            self.wait_for_ports()
            self.client.load_connection_file()
            self.client.start_channels(hb=False)  # a heartbeat that is late, on a loaded machine, is no dead kernel
            self.wait_for_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_for_ports(self) -> None:
        """Until it has written its connection file. It chooses its ports: of those that a test chose for it another
        process of this machine may have taken one before it runs, and then it ends at its start.
        """
        end = time.monotonic() + WAIT
        while True:
            with contextlib.suppress(OSError, ValueError):  # it is not there, or half of it
                self.connection()
                return
            assert self.process.poll() is None, (self.folder / "kernel.log").read_text(errors="replace")[-3000:]
            if time.monotonic() > end:
                self.process.kill()
                self.process.wait(WAIT)
                raise TimeoutError(f"the kernel has not begun within {WAIT} s")
            time.sleep(0.01)

    def wait_for_ready(self) -> None:
        """Until it answers. The client takes one heartbeat that is late, as on a busy machine, for its death."""
        end = time.monotonic() + WAIT
        while True:
            try:
                return self.client.wait_for_ready(timeout=ALIVE)
            except RuntimeError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.client.shutdown()
            try:
                self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(WAIT)
        self.client.stop_channels()
        self.client.context.destroy(linger=0)
        ensure_event_loop().close()  # the client's own
        self.log.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    # cells

    def begin(self, code: str, **options: Any) -> str:
        """Send a cell, and go on: the id that its messages have as parent."""
        return self.client.execute(code, **options)

    def run(self, code: str, *, timeout: float = WAIT, **options: Any) -> Ran:
        """Run a cell to its end."""
        return self.wait(self.begin(code, **options), timeout)

    def wait(self, cell: str, timeout: float = WAIT) -> Ran:
        """Until a cell has ended: its reply and its `idle`."""
        ran = Ran()
        for message in itertools.chain(self.kept(cell), self.messages(timeout)):
            if message["parent_header"].get("msg_id") != cell:
                ran.others.append(message)
                self.later.append(message)
                continue
            ran.take(message)
            if message["header"]["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        ran.status = self.reply(cell, timeout)["status"]
        return ran

    def ok(self, code: str, **options: Any) -> Ran:
        """Run a cell that must not fail."""
        ran = self.run(code, **options)
        assert ran.status == "ok", f"{ran.error}\n{ran.traceback}\n{ran.err}"
        return ran

    def until(self, cell: str, ran: Ran, condition: Any, timeout: float = WAIT) -> Ran:
        """Take what belongs to a cell, also after its end, until `condition(ran)` holds."""
        if condition(ran):
            return ran
        for message in itertools.chain(self.kept(cell), self.messages(timeout)):
            if message["parent_header"].get("msg_id") != cell:
                self.later.append(message)
                continue
            ran.take(message)
            if condition(ran):
                return ran
        raise AssertionError("unreachable")

    def kept(self, cell: str) -> Iterator[dict[str, Any]]:
        """What came of a cell while something else was waited for."""
        while found := next((one for one in self.later if one["parent_header"].get("msg_id") == cell), None):
            self.later.remove(found)
            yield found

    def messages(self, timeout: float = WAIT) -> Iterator[dict[str, Any]]:
        """What comes on iopub, until the deadline: TimeoutError."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            try:
                yield self.client.get_iopub_msg(timeout=left)
            except Exception as error:
                if type(error).__name__ != "Empty":
                    raise
        log = (self.folder / "kernel.log").read_text(errors="replace")[-3000:]
        raise TimeoutError(f"the kernel said nothing more within {timeout} s; its log ends with:\n{log}")

    def reply(self, request: str, timeout: float = WAIT) -> dict[str, Any]:
        """The content of the reply to a request on the shell channel."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            message = self.client.get_shell_msg(timeout=left)
            if message["parent_header"].get("msg_id") == request:
                content: dict[str, Any] = message["content"]
                return content
        raise TimeoutError("the kernel did not reply")

    # what an editor asks

    def complete(self, code: str, position: int | None = None, timeout: float = WAIT) -> dict[str, Any]:
        """Tab: the content of the complete_reply."""
        return self.reply(self.client.complete(code, len(code) if position is None else position), timeout)

    def inspect(self, code: str, position: int | None = None, detail: int = 0, timeout: float = WAIT) -> dict[str, Any]:
        """Shift-Tab: the content of the inspect_reply."""
        return self.reply(self.client.inspect(code, len(code) if position is None else position, detail), timeout)

    def subshell(self, timeout: float = WAIT) -> str:
        """A new subshell: its id."""
        self.client.control_channel.send(self.client.session.msg("create_subshell_request", {}))
        reply = self.client.get_control_msg(timeout=timeout)
        name: str = reply["content"]["subshell_id"]
        return name

    # ends

    def interrupt(self) -> None:
        """The stop button: as a server presses it, which tells the whole process group."""
        os.killpg(self.pid, signal.SIGINT)

    def interrupt_by_message(self) -> dict[str, Any]:
        """The stop button of a kernel with `interrupt_mode: message`. The content of the reply."""
        message = self.client.session.msg("interrupt_request", {})
        self.client.control_channel.send(message)
        end = time.monotonic() + WAIT
        while (left := end - time.monotonic()) > 0:
            found = self.client.get_control_msg(timeout=left)
            if found["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                content: dict[str, Any] = found["content"]
                return content
        raise TimeoutError("the kernel did not reply on its control channel")

    def connection(self) -> dict[str, Any]:
        """Its connection file."""
        found: dict[str, Any] = json.loads(Path(self.file).read_text())
        return found


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
