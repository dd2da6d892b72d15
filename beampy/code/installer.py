"""How packages are installed into a directory: uv, or pip, as a program of its own, with a deadline.

The rule: what is on the path stays as it is. First the versions are resolved, with those on the path as constraints;
then only what is missing goes into the directory. Place: under environment.py, which decides what and where. It does
not know nodes, nor what becomes of the directory.

The process's environment variables are passed on, so an index, a proxy or a cache is set as for pip and uv by hand. uv
reads neither the variables of pip nor its files; indexes that the variables name are named to it too.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from beampy.code.deps import importable, normalised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Arguments = Sequence[str | Path]

log = logging.getLogger("beampy.code")

# Lines of the output that an error has, and characters of each: pip names a conflict in six.
LAST: Final = 8
LINE: Final = 300
# Lines that pip adds to any failure. They are logged, and are in no error.
_NOISE: Final = re.compile(
    r"WARNING: |Looking in |Collecting |\[notice\]|To fix this you could|\d\. (?:loosen|remove) |"
    r"ERROR: ResolutionImpossible"
)
# Bytes of a list of what is to be installed. pip's has the metadata of each package, 10 to 100 KiB of it.
RESOLVED: Final = 64 << 20
# A setting of uv, its name in earlier versions, and what pip calls it.
_OF_UV: Final = (
    ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"),
    ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
)
# Held for a moment, at a program's start and at its end; a forked child finds it free.
_lock = threading.RLock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
# As pip reads a setting that is on.
_TRUE: Final = ("1", "true", "yes", "on", "y", "t")
# Settings, also of pip's own files, that do not go with a directory to install to.
_PIP_HERE: Final = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


class InstallFailed(Exception):
    """It was not installed; the text says why."""


class Job(NamedTuple):
    """One installation.

    requirement  "networkx==3.4": it, and what it needs and is not here, is installed
    where        a directory that exists and is empty; beside it is room for files
    constraints  what is here, normalised name to version: none of it may be needed in another version
    path         directories on sys.path that a new Python would not look into
    deadline     of the monotonic clock, seconds
    keep         file descriptors that the programs keep open: locks, which then hold as long as these run
    """

    requirement: str
    where: Path
    constraints: Mapping[str, str]
    path: Sequence[str]
    deadline: float
    keep: Sequence[int] = ()

    def file(self, name: str, lines: Sequence[str] = ()) -> Path:
        """A file of these lines, beside the directory."""
        result = self.where.parent / name
        result.write_text("".join([f"{line}\n" for line in lines]), "utf-8")
        return result


class Installer:
    """Installs with uv if there is one, and with pip if there is none or if uv cannot.

    `tool` "uv" or "pip": only that one. The methods block: never on an event loop, but for `stop`.
    """

    def __init__(self, tool: str | None = None) -> None:
        if tool not in (None, "uv", "pip"):
            raise ValueError(f"the installer is 'uv', 'pip', or None for either, not {tool!r}")
        self._tool = tool
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def install(self, job: Job) -> list[str]:
        """What was installed, as requirements with their versions. Raises InstallFailed."""
        failures = []
        for install in self._ways():
            try:
                return install(job)
            except InstallFailed as failed:
                failures.append(str(failed))
                if self._stopped or time.monotonic() >= job.deadline:
                    break
        raise InstallFailed("; ".join(failures) or "there is neither uv nor pip here")

    def stop(self) -> None:
        """Kill what runs; nothing is started any more. Returns at once."""
        with _lock:
            self._stopped = True
            for process in self._running:
                _kill(process)

    def _ways(self) -> list[Callable[[Job], list[str]]]:
        ways: list[Callable[[Job], list[str]]] = []
        if self._tool != "pip" and uv() is not None:
            ways.append(self._with_uv)
        if self._tool != "uv" and has_pip():
            ways.append(self._with_pip)
        return ways

    def _with_uv(self, job: Job) -> list[str]:
        """It does not look at what is installed: all that is needed is resolved, and what is here then left out."""
        command, environ = [uv() or "uv", "pip"], for_uv(os.environ)
        options = ["--no-progress", "--python", sys.executable]
        if os.environ.get("PIP_NO_INDEX", "0").lower() in _TRUE:
            options.append("--no-index")
        resolved = job.file("resolved.txt")
        constraints = job.file("constraints.txt", _requirements(job.constraints))
        wanted = job.file("wanted.txt", [job.requirement])
        files: Arguments = ["--constraint", constraints, "--output-file", resolved, wanted]
        plain = ["--quiet", "--no-header", "--no-annotate"]
        self._run("uv", [*command, "compile", *options, *plain, *files], environ, job)
        lines = [line.partition("#")[0].strip() for line in _read(resolved).splitlines()]
        missing = [line for line in lines if line and line not in _requirements(job.constraints)]
        if missing:
            target: Arguments = ["--compile-bytecode", "--no-deps", "--target", job.where]
            lock = job.file("lock.txt", missing)
            self._run("uv", [*command, "install", *options, *target, "--requirement", lock], environ, job)
        return missing

    def _with_pip(self, job: Job) -> list[str]:
        """It looks at what is installed, and says what it would add to that."""
        command = [sys.executable, "-P", "-m", "pip", "install"]  # -P: no pip.py of the current directory
        options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        environ = {**os.environ, **_PIP_HERE}
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [environ.get("PYTHONPATH", ""), *job.path]))
        report = job.file("report.json")
        constraints = job.file("constraints.txt", _requirements(job.constraints))
        files: Arguments = ["--constraint", constraints, "--report", report]
        self._run("pip", [*command, *options, "--dry-run", *files, job.requirement], environ, job)
        missing = _reported(_read(report))
        if missing:
            target: Arguments = ["--no-warn-script-location", "--no-deps", "--target", job.where]
            lock = job.file("lock.txt", missing)
            self._run("pip", [*command, *options, *target, "--requirement", lock], environ, job)
        return missing

    def _run(self, name: str, command: Arguments, environ: Mapping[str, str], job: Job) -> None:
        """Run it to its end, or to the deadline; its output goes to the log. InstallFailed: with the last of it."""
        log.info("%s", shlex.join([str(part) for part in command]))
        with _lock:
            if self._stopped:
                raise InstallFailed("this node stops")
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=environ,
                    pass_fds=job.keep,
                    start_new_session=True,  # so that what it starts can be killed with it
                )
            except OSError as error:
                raise InstallFailed(f"{name} cannot be started: {error}") from error
            self._running.add(process)
        last: deque[str] = deque(maxlen=LAST)
        try:
            in_time = _follow(process, job.deadline, last)
        finally:
            with _lock:
                _kill(process)
                self._running.discard(process)
            process.wait()  # it has ended, or was killed
            process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
        if self._stopped:
            raise InstallFailed("this node stops")
        said = f": {' / '.join(last)}" if last else ""
        if not in_time:
            raise InstallFailed(f"{name} had not ended when its time was over{said}")
        if process.returncode:
            raise InstallFailed(f"{name} failed{said}")


def uv() -> str | None:
    """The uv on PATH, or the one that is installed beside this Python."""
    beside = os.path.dirname(sys.executable) if sys.executable else ""
    return shutil.which("uv") or (shutil.which("uv", path=beside) if beside else None)


def has_pip() -> bool:
    """Whether this Python can run pip. One that uv made cannot, and one inside another program has no executable."""
    return bool(sys.executable) and importable("pip")


def for_uv(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: with the indexes that pip is told, where uv is not told its own.

    >>> for_uv({"PIP_INDEX_URL": "https://i/simple"})["UV_DEFAULT_INDEX"]
    'https://i/simple'
    """
    result = dict(environ)
    for name, old, of_pip in _OF_UV:
        if name not in environ and old not in environ and environ.get(of_pip):
            result[name] = environ[of_pip]
    if "UV_FIND_LINKS" not in environ and environ.get("PIP_FIND_LINKS"):
        result["UV_FIND_LINKS"] = ",".join(environ["PIP_FIND_LINKS"].split())
    return result


def _follow(process: subprocess.Popen[bytes], deadline: float, last: deque[str]) -> bool:
    """Log what it writes until it ends, and keep the last lines. False: it had not ended at the deadline."""
    assert process.stdout is not None
    rest, fd, poll = b"", process.stdout.fileno(), select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if not poll.poll(left * 1000):
            continue
        data = os.read(fd, 65536)  # at most what a pipe holds
        *lines, rest = (rest + data).split(b"\n")
        if not data or len(rest) > LINE:
            lines.append(rest)
            rest = b""
        for line in lines:
            text = line.decode("utf-8", "replace").strip()[:LINE]
            if text:
                log.info("%s", text)
                if not _NOISE.match(text):
                    last.append(text)
        if not data:
            break
    try:  # its output has ended, and so has it, or will now
        process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it, and all that it started, unless it has ended: then its number may be another's."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it became nobody's in this moment
            process.kill()


def _requirements(packages: Mapping[str, str]) -> list[str]:
    return [f"{name}=={version}" for name, version in sorted(packages.items())]


def _read(path: Path) -> str:
    with open(path, "rb") as file:
        return file.read(RESOLVED).decode("utf-8")


def _reported(text: str) -> list[str]:
    """What pip's report says that it would install."""
    try:
        metadata = [each["metadata"] for each in json.loads(text)["install"]]
        return sorted([f"{normalised(each['name'])}=={each['version']}" for each in metadata])
    except (ValueError, KeyError, TypeError) as error:
        raise InstallFailed(f"pip's report cannot be read: {error!r}") from error
