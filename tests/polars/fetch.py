"""Brings polars' own tests here, from its source distribution, into a directory that git ignores.

Rule: the tests are those of the installed polars; where its source distribution has none, those of the newest version
that is not newer and has them. What was brought once is not asked for again. No network is no failure: the reason is
printed, the exit status is 0, and the tests that need these files skip.

    python tests/polars/fetch.py                      # into build/polars-tests/VERSION
    python tests/polars/fetch.py --deadline 30        # seconds for all of it

Place: a script for `make polars-tests`; test_polars_suite.py asks `brought` what is here. Standard library only. It
does not know what the tests are used for.
"""

from __future__ import annotations

import argparse
import hashlib
import html.parser
import importlib.metadata
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO, NamedTuple

HOME = Path(__file__).resolve().parents[2] / "build" / "polars-tests"
PYPI = "https://pypi.org/simple"
LAST = "1.33.1"  # the last version whose source distribution on PyPI has tests: from 1.34.0 on they are left out of it
DEADLINE = 60.0  # seconds; the archive has 5 MB
QUIET = 10.0  # seconds without a byte, and the index counts as out of reach
ARCHIVE = 64 << 20  # bytes; the largest so far has 5 MB
UNPACKED = 256 << 20  # bytes; the tests have 6 MB
LISTING = 16 << 20  # bytes; the index has 2200 files of polars in 1.5 MB
# What is kept of an archive. Not tests/conftest.py: it only adds options for a cloud service, and needs its own polars.
KEPT = re.compile(r"^polars-[^/]+/(?:py-polars/)?(tests/(?:__init__\.py$|unit/.+))")


class Unavailable(Exception):
    """The tests cannot be had. Says why, and how to have them by hand."""


class Archive(NamedTuple):
    """A source distribution in an index."""

    version: str
    url: str
    sha256: str


def installed() -> str:
    """The version of polars that is installed here, `""` for none."""
    try:
        return importlib.metadata.version("polars")
    except importlib.metadata.PackageNotFoundError:
        return ""


def brought(home: Path = HOME) -> tuple[Path, str] | None:
    """The directory that holds `tests/`, and the version these tests are of: as `fetch` left them for the installed
    polars. None when it did not."""
    try:
        version = (home / f"for-{installed()}").read_text().strip()
    except OSError:
        return None
    return (home / version, version) if (home / version / "tests" / "unit").is_dir() else None


def fetch(home: Path = HOME, deadline: float = DEADLINE) -> tuple[Path, str]:
    """What `brought` gives, brought before if need be. Raises Unavailable."""
    have = installed()
    if not have:
        raise Unavailable("polars is not installed here")
    here = brought(home)
    if here is not None:
        return here
    end = time.monotonic() + deadline
    for version in wanted(have):
        name = f"polars-{version}.tar.gz"
        by_hand = home / name
        if (home / version / "tests" / "unit").is_dir():
            found = True
        elif by_hand.exists():
            found = unpack(by_hand, home / version)
        else:
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home, prefix=".bringing-") as directory:
                archive = Path(directory) / name
                try:
                    download(find(version, end), archive, end)
                except (OSError, ValueError) as error:
                    raise Unavailable(f"{name} cannot be had ({error}). By hand: put it at {by_hand}") from error
                found = unpack(archive, home / version)
        if found:
            (home / f"for-{have}").write_text(f"{version}\n")
            return home / version, version
    raise Unavailable(f"no source distribution of polars up to {have} has tests")


def wanted(have: str) -> list[str]:
    """The versions whose tests would do for the version `have`, the best first.

    >>> wanted("2.1.0")
    ['2.1.0', '1.33.1']
    """
    return [have] if number(have) <= number(LAST) else [have, LAST]


def number(version: str) -> tuple[int, ...]:
    """For comparing released versions: the numbers at its beginning."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[a-z+]", version)[0]))


# --- the index --------------------------------------------------------------------------------


def find(version: str, end: float) -> Archive:
    """The source distribution of `version` in the index that pip is configured with. Raises OSError and ValueError."""
    index = index_url().rstrip("/") + "/polars/"
    kinds = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
    with _open(urllib.request.Request(index, headers={"Accept": kinds}), end) as reply:
        listing = _read(reply, LISTING, end).decode()
    name = f"polars-{version}.tar.gz"
    for archive in _archives(listing, index):
        if urllib.parse.urlsplit(archive.url).path.endswith("/" + name):
            if not archive.sha256:
                raise ValueError(f"{index} gives no sha256 of it")
            return Archive(version, archive.url, archive.sha256)
    raise ValueError(f"{index} does not list it")


def _archives(listing: str, index: str) -> list[Archive]:
    """What an index lists: JSON (PEP 691) or HTML (PEP 503)."""
    if listing.lstrip().startswith("{"):
        files = json.loads(listing)["files"]
        return [Archive("", urllib.parse.urljoin(index, f["url"]), f["hashes"].get("sha256", "")) for f in files]
    links = _Links()
    links.feed(listing)
    found = []
    for link in links.found:
        url, fragment = urllib.parse.urldefrag(urllib.parse.urljoin(index, link))
        digest = dict(urllib.parse.parse_qsl(fragment)).get("sha256", "")
        found.append(Archive("", url, digest))
    return found


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if tag == "a" and key == "href" and value]


def index_url() -> str:
    """pip's index."""
    return _pip("index-url") or PYPI


def _pip(option: str) -> str:
    """How pip is configured, by the environment or its files; `""` where it is not."""
    named = os.environ.get("PIP_" + option.upper().replace("-", "_"))
    if named:
        return named
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{option}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=QUIET, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


# --- bytes ------------------------------------------------------------------------------------


def download(archive: Archive, to: Path, end: float) -> None:
    """Write the archive to `to`. Raises OSError, and ValueError when its bytes are not those of the index."""
    with _open(urllib.request.Request(archive.url), end) as reply:
        data = _read(reply, ARCHIVE, end)
    if hashlib.sha256(data).hexdigest() != archive.sha256:
        raise ValueError("its sha256 is not that of the index")
    to.write_bytes(data)


def unpack(archive: Path, to: Path) -> bool:
    """Have `to/tests` with the tests of this archive. False when it has none."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".unpacking-") as directory, tarfile.open(archive) as tar:
        members = []
        for member in tar:
            kept = KEPT.match(member.name)
            if kept and member.isfile():
                members.append(member.replace(name=kept.group(1), deep=False))
        if not any(member.name.startswith("tests/unit/") for member in members):
            return False
        if sum(member.size for member in members) > UNPACKED:
            raise Unavailable(f"{archive.name} unpacks to more than {UNPACKED >> 20} MiB")
        tar.extractall(Path(directory) / "new", members=members, filter="data")
        shutil.rmtree(to, ignore_errors=True)
        (Path(directory) / "new").rename(to)
    return True


def _open(request: urllib.request.Request, end: float) -> IO[bytes]:
    left = min(QUIET, end - time.monotonic())
    if left <= 0:
        raise TimeoutError("the deadline is over")
    context = ssl.create_default_context(cafile=_pip("cert") or None) if request.type == "https" else None
    reply: IO[bytes] = urllib.request.urlopen(request, timeout=left, context=context)
    return reply


def _read(reply: IO[bytes], limit: int, end: float) -> bytes:
    parts, size = [], 0
    while part := reply.read(1 << 16):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise ValueError(f"it has more than {limit >> 20} MiB")
        if time.monotonic() > end:
            raise TimeoutError("the deadline is over")
    return b"".join(parts)


def main() -> None:
    words = argparse.ArgumentParser(description="Bring polars' own tests here.")
    words.add_argument("--deadline", type=float, default=DEADLINE, metavar="SECONDS", help="for all of it")
    asked = words.parse_args()
    try:
        _, version = fetch(HOME, asked.deadline)
    except Unavailable as error:
        sys.stdout.write(f"polars' own tests are not here: {error}\n")
        return
    have = installed()
    other = "" if version == have else f"; the source distribution of polars {have} has none"
    sys.stdout.write(f"polars' own tests of {version} are in {HOME / version}{other}\n")


if __name__ == "__main__":
    main()
