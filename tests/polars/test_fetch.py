"""fetch.py against an index on this machine: what it brings, what it refuses, and what it says where it cannot."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.polars import fetch

TEST = b"def test_nothing(): pass\n"


class Index:
    """A package index of archives of polars. `html`: as PEP 503 has it, else as PEP 691. `wrong`: its digests are."""

    def __init__(self) -> None:
        self.archives: dict[str, bytes] = {}
        self.html = False
        self.wrong = False
        self.asked: list[str] = []
        index = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                found = index.answer(self.path)
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(found or b"")))
                self.end_headers()
                self.wfile.write(found or b"")

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def answer(self, path: str) -> bytes | None:
        if path != "/simple/polars/":
            return self.archives.get(path.removeprefix("/files/"))
        digests = {name: hashlib.sha256(data + b"x" * self.wrong).hexdigest() for name, data in self.archives.items()}
        if self.html:
            links = (f'<a href="../../files/{name}#sha256={digest}">{name}</a>' for name, digest in digests.items())
            return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
        files = [
            {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": digest}}
            for name, digest in digests.items()
        ]
        return json.dumps({"meta": {"api-version": "1.0"}, "files": files}).encode()

    def add(self, version: str, names: list[str]) -> None:
        """An archive with these files."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(TEST)
                tar.addfile(member, io.BytesIO(TEST))
            link = tarfile.TarInfo(f"polars-{version}/py-polars/tests/unit/test_link.py")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
            tar.addfile(link)
        self.archives[f"polars-{version}.tar.gz"] = packed.getvalue()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    made = Index()
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    yield made
    made.close()


def installed(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(fetch, "installed", lambda: version)


def files_of(version: str) -> list[str]:
    top = f"polars-{version}"
    kept = ["tests/__init__.py", "tests/unit/__init__.py", "tests/unit/dataframe/test_df.py"]
    other = ["src/lib.rs", "tests/conftest.py", "tests/docs/run.py", "polars/tests/unit/test_other.py"]
    return [
        *(f"{top}/py-polars/{name}" for name in kept + other),
        f"{top}/crates/tests/unit/x.py",
        "../tests/unit/up.py",
    ]


def brought(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("html", [False, True])
def test_the_tests_of_the_installed_version(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, html: bool
) -> None:
    index.html = html
    index.add("1.20.0", files_of("1.20.0"))
    installed(monkeypatch, "1.20.0")
    assert fetch.brought(tmp_path) is None
    assert fetch.fetch(tmp_path) == (tmp_path / "1.20.0", "1.20.0") == fetch.brought(tmp_path)
    tests = ["__init__.py", "unit/__init__.py", "unit/dataframe/test_df.py"]
    assert brought(tmp_path) == sorted([*(f"1.20.0/tests/{name}" for name in tests), "for-1.20.0"])
    asked = list(index.asked)
    fetch.fetch(tmp_path)
    assert index.asked == asked  # what is here is not asked for again


def test_where_the_installed_version_has_none_those_of_the_last_that_has(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index.add("2.1.0", ["polars-2.1.0/src/polars/__init__.py"])
    index.add(fetch.LAST, files_of(fetch.LAST))
    installed(monkeypatch, "2.1.0")
    monkeypatch.setattr(fetch, "HOME", tmp_path)
    monkeypatch.setattr("sys.argv", ["fetch.py", "--deadline", "30"])
    fetch.main()
    assert fetch.brought(tmp_path) == (tmp_path / fetch.LAST, fetch.LAST)
    said = capsys.readouterr().out
    assert f"polars' own tests of {fetch.LAST} are in" in said
    assert "of polars 2.1.0 has none" in said


def test_an_archive_that_is_not_what_the_index_says_is_not_unpacked(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add("1.20.0", files_of("1.20.0"))
    index.wrong = True
    installed(monkeypatch, "1.20.0")
    with pytest.raises(fetch.Unavailable, match="its sha256 is not that of the index"):
        fetch.fetch(tmp_path)
    assert brought(tmp_path) == []


def test_an_archive_that_was_put_there_by_hand(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add("1.20.0", files_of("1.20.0"))
    (tmp_path / "polars-1.20.0.tar.gz").write_bytes(index.archives["polars-1.20.0.tar.gz"])
    installed(monkeypatch, "1.20.0")
    assert fetch.fetch(tmp_path) == (tmp_path / "1.20.0", "1.20.0")
    assert index.asked == []


def test_what_the_index_does_not_have_and_no_index(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, "1.20.0")
    with pytest.raises(fetch.Unavailable, match=r"polars-1\.20\.0\.tar\.gz cannot be had \(.* does not list it\)"):
        fetch.fetch(tmp_path)
    with pytest.raises(fetch.Unavailable, match="the deadline is over"):
        fetch.fetch(tmp_path, deadline=0)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")  # nobody listens there
    with pytest.raises(fetch.Unavailable, match=r"cannot be had .*By hand: put it at .*polars-1\.20\.0\.tar\.gz"):
        fetch.fetch(tmp_path)


def test_without_a_network_the_script_says_so_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setattr("sys.argv", ["fetch.py"])
    monkeypatch.setattr(fetch, "HOME", tmp_path)
    fetch.main()
    assert capsys.readouterr().out.startswith("polars' own tests are not here: polars-")


@pytest.mark.parametrize(
    ("have", "versions"), [("2.1.0", ["2.1.0", fetch.LAST]), (fetch.LAST, [fetch.LAST]), ("1.9.0rc1", ["1.9.0rc1"])]
)
def test_which_versions_would_do(have: str, versions: list[str]) -> None:
    assert fetch.wanted(have) == versions
