"""Records the answers of a real Erlang to the probes, as the JSON files beside this script.

Its rule: an answer is written only when two runs, the second on one scheduler, agree on it; the
files hold no date and no address, so that recording again gives the same bytes. It needs ``erl``
and ``erlc``; the tests that read the files do not. It knows nothing of beampy, nor what is probed:
see README.md.

    python tests/conformance/vectors/record.py
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GROUPS = ("one_node", "exit_signals", "statem", "supervisor", "two_nodes")
NODES = ("two_nodes",)  # groups whose probes start other nodes
SCHEDULERS: tuple[list[str], ...] = ([], ["+S", "1:1"])
LOOPBACK = ("-kernel", "inet_dist_use_interface", "{127,0,0,1}")
RUN_SECONDS = 600  # a run takes some twenty; a probe that hangs ends itself after sixty
HEADERS = ("otp", "erts")
MARKS = ("<!-- probes: written by record.py -->\n", "<!-- end of probes -->\n")

Answers = dict[str, Any]


class NotRecorded(Exception):
    """Why nothing was written: a probe failed, came twice, or answered differently."""


def compile_probes(target: Path) -> None:
    sources = sorted(str(path) for path in HERE.glob("*.erl"))
    subprocess.run(["erlc", "-Werror", "-o", str(target), *sources], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(group: str, compiled: Path, options: list[str]) -> Answers:
    """The answers of one group, by name, with the header's two among them."""
    environment = dict(os.environ)
    if group in NODES:
        environment["ERL_EPMD_PORT"] = str(free_port())  # a name service of their own, which erl starts
        options = [*options, "-name", "here@127.0.0.1", "-setcookie", secrets.token_hex(8), *LOOPBACK]
    command = ["erl", *options, "-noshell", "-noinput", "-pa", ".", "-run", "probes", "main", group]
    done = subprocess.run(
        command, cwd=compiled, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if group in NODES:
        subprocess.run(["epmd", "-kill"], env=environment, capture_output=True, check=False)
    if done.returncode != 0:
        raise NotRecorded(f"{group}: {done.stderr or done.stdout}")
    answers: Answers = {}
    for line in done.stdout.splitlines():
        name, _, text = line.partition("\t")
        if name in answers:
            raise NotRecorded(f"{group}: two probes are called {name}")
        answers[name] = json.loads(text)
    return answers


def record(group: str, compiled: Path) -> Answers:
    first, second = (run(group, compiled, options) for options in SCHEDULERS)
    differing = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    if differing:
        raise NotRecorded(f"{group}: two runs answer differently: {', '.join(differing)}")
    return first


def write(group: str, answers: Answers) -> Answers:
    """One line a probe, sorted by name, so that a change reads well as a diff."""
    probes = {name: answers[name] for name in sorted(answers) if name not in HEADERS}
    head = "".join(f"{json.dumps(name)}: {json.dumps(answers[name])},\n" for name in HEADERS)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(probe)}" for name, probe in probes.items())
    (HERE / f"{group}.json").write_text(f'{{\n{head}"probes": {{\n{lines}\n}}\n}}\n')
    return probes


def table(recorded: dict[str, Answers]) -> str:
    """The README's table; the rows of a probe that is a table (a/b/c) stand as one line."""
    lines = ["| probe | beam.md | file | what it asks |\n", "| --- | --- | --- | --- |\n"]
    for group, probes in recorded.items():
        rows: dict[str, int] = {}
        for name in probes:
            rows[name.partition("/")[0]] = rows.get(name.partition("/")[0], 0) + 1
        described: set[str] = set()
        for name, probe in probes.items():
            head, _, tail = name.partition("/")
            if head in described:
                continue
            described.add(head)
            shown = f"`{head}/…` ({rows[head]} rows)" if tail else f"`{head}`"
            what = probe["what"].replace("|", "\\|")
            lines.append(f"| {shown} | {', '.join(probe['beam'])} | {group}.json | {what} |\n")
    return "".join(lines)


def write_readme(recorded: dict[str, Answers]) -> None:
    readme = HERE / "README.md"
    before, begin, rest = readme.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    readme.write_text(before + begin + "\n" + table(recorded) + "\n" + end + after)


def main() -> int:
    try:
        with tempfile.TemporaryDirectory() as compiled:
            compile_probes(Path(compiled))
            answers = {group: record(group, Path(compiled)) for group in GROUPS}
    except NotRecorded as problem:
        sys.stderr.write(f"nothing written: {problem}\n")
        return 1
    recorded = {group: write(group, answers[group]) for group in GROUPS}
    write_readme(recorded)
    for group, probes in recorded.items():
        sys.stdout.write(f"{group}.json: {len(probes)} probes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
