"""Processes whose code goes to others: each has a folder of its own, and can import nothing else of the tests'.

A test writes files there, runs cells there (modules_app.py), and reads what they give, which is plain data.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import beampy as bp
from beampy.otp.rpc import remote_call
from beampy.testing.cluster import Cluster, ClusterNode

APP = "tests.cluster.modules_app"
call = remote_call.options(timeout=60.0)


class Place:
    """One process, and its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.edits = 0
        self.node: ClusterNode

    @property
    def name(self) -> str:
        return self.node.name

    def write(self, files: Mapping[str, str]) -> None:
        """Write files; each time they are some seconds newer, as those of people are, and no .pyc passes for them."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
            if self.edits:
                at = path.stat().st_mtime + 10 * self.edits
                os.utime(path, (at, at))
        self.edits += 1

    async def run(self, source: str, **names: Any) -> Any:
        """Run a cell; `$name` in it is the repr of what is given under that name. What it left in `result`."""
        source = textwrap.dedent(source)
        for name, value in names.items():
            source = source.replace(f"${name}", repr(value))
        return await self.ask("run", source)

    async def ask(self, function: str, *args: Any) -> Any:
        """Call a function of the app there."""
        return await call(self.name, f"{APP}.{function}", *args)


class Lab:
    """The processes of one test. `options` are those of every node in it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.options = options
        self.cluster = Cluster()
        self.me = bp.Node("test@127.0.0.1", cookie=self.cluster.cookie, **options)

    async def __aenter__(self) -> Self:
        await self.cluster.__aenter__()
        await self.me.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self.me.__aexit__(*error)
        finally:
            await self.cluster.__aexit__(*error)

    async def start(
        self,
        name: str,
        files: Mapping[str, str] | None = None,
        *,
        app: str = "cells",
        cache: str = "",
        folder: str = "",
        **options: Any,
    ) -> Place:
        """Start a process whose folder has these files. `cache`: the name of its cache, where it is shared."""
        place = Place(self.folder / (folder or name))
        place.folder.mkdir(exist_ok=True)
        place.write(files or {})
        env = {
            "BEAMPY_CODE_CACHE": str(self.folder / f"cache-{cache or name}"),
            "IPYTHONDIR": str(self.folder / "ipython"),
        }
        place.node = await self.cluster.start(
            name, f"{APP}:{app}", bare=place.folder, env=env, **self.options, **options
        )
        return place
