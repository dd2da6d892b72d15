"""JupyterLab as a person has it: a server of its own, and a page in Chromium.

    with Server(folder) as server, Browser() as browser:
        page = browser.open(server, ["1 + 1"])
        page.run(0)
        assert page.output(0) == "2"

What had to be known of JupyterLab: it shows a notebook of one empty cell before the file is read; it takes cells out of
the page that are not in view (turned off here); and a banner of news covers buttons (turned off, too).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Locator, sync_playwright
from playwright.sync_api import Page as Tab

ROOT = Path(__file__).resolve().parents[2]
WAIT = 60.0  # seconds for anything of a page; JupyterLab takes up to twenty to start on a loaded machine
SCREENS = ROOT / "build" / "screens"  # what the tests have seen
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# A browser says these of its own accord, or JupyterLab does with no notebook open.
NOISE = ("favicon", "net::ERR_ABORTED", "the server responded with a status of 404")


class Server:
    """A Jupyter server on loopback, with settings, names and cookies of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir()
        settings = {
            "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
            "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
        }
        overrides = folder / "lab" / "settings"
        overrides.mkdir(parents=True)
        (overrides / "overrides.json").write_text(json.dumps(settings))

    def __enter__(self) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        env = os.environ | {
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "JUPYTER_CONFIG_DIR": str(self.folder / "config"),
            "JUPYTER_DATA_DIR": str(self.folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "BEAMPY_COOKIE": "a-cookie-of-this-test-and-no-other",
            "ERL_EPMD_PORT": str(self.port + 1 if self.port < 65_000 else self.port - 1),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.port,
            "ServerApp.port_retries": 0,
            "ServerApp.open_browser": False,
            "ServerApp.allow_root": True,
            "ServerApp.root_dir": str(self.files),
            "IdentityProvider.token": "",
            "ServerApp.password": "",
            "ServerApp.disable_check_xsrf": True,
            "LabApp.app_settings_dir": str(self.folder / "lab" / "settings"),
            "LabApp.expose_app_in_browser": True,
            "LabApp.news_url": "",
            "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        }
        self.env = env
        self.log = (self.folder / "server.log").open("ab")
        command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        until(self._answers, "the server to answer")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(WAIT)
        self.log.close()

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError((self.folder / "server.log").read_text()[-3000:])
        try:
            with urllib.request.urlopen(f"{self.url}/api/status", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, name: str, cells: list[str]) -> None:
        """A notebook of code cells, without outputs."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": kernel},
            "cells": [
                {
                    "id": f"cell-{number}",
                    "cell_type": "code",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for number, source in enumerate(cells)
            ],
        }
        (self.files / name).write_text(json.dumps(content))

    def read(self, name: str = "test.ipynb") -> str:
        """A notebook as it was saved last."""
        return (self.files / name).read_text()

    def clear(self) -> None:
        """Remove all files."""
        shutil.rmtree(self.files)
        self.files.mkdir()

    def kernels(self) -> list[dict[str, Any]]:
        """The kernels that run, as the server tells."""
        with urllib.request.urlopen(f"{self.url}/api/kernels", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def stop_kernels(self) -> None:
        """End all sessions, and their kernels."""
        with urllib.request.urlopen(f"{self.url}/api/sessions", timeout=10) as answer:
            sessions = json.load(answer)
        for session in sessions:
            self._ask("DELETE", f"sessions/{session['id']}")
        until(lambda: not self.kernels(), "the kernels to end")

    def _ask(self, method: str, path: str) -> None:
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method)
        with urllib.request.urlopen(request, timeout=WAIT):
            pass


class Browser:
    """Chromium, headless."""

    def __enter__(self) -> Self:
        self.playwright = sync_playwright().start()
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        self.chromium: Chromium = self.playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        return self

    def close(self) -> None:
        """Close all pages."""
        for context in self.chromium.contexts:
            context.close()

    def __exit__(self, *_: object) -> None:
        self.chromium.close()
        self.playwright.stop()

    def open(self, server: Server, cells: list[str], *, dark: bool = False, width: int = 1200) -> Page:
        """A new notebook in JupyterLab, its kernel ready. `width`: of the window, in pixels."""
        name = "test.ipynb"
        server.write(name, cells)
        context = self.chromium.new_context(
            viewport={"width": 1200, "height": 1000}, color_scheme="dark" if dark else "light"
        )
        tab = context.new_page()
        page = Page(tab, f"{server.url}/doc/tree/{name}", len(cells))
        page.load()
        if dark:
            page.theme("JupyterLab Dark")
        tab.set_viewport_size({"width": width, "height": 1000})
        return page


class Page:
    """One notebook in the browser. Cells are counted from 0. `errors`: what its console has complained of."""

    def __init__(self, tab: Tab, url: str, cells: int) -> None:
        self.tab = tab
        self.url = url
        self.cells = cells
        self.errors: list[str] = []
        tab.set_default_timeout(WAIT * 1000)
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type == "error" and not any(noise in message.text for noise in NOISE):
            self.errors.append(message.text)

    def load(self) -> None:
        """Open it, or open it again: a reload."""
        self.tab.goto(self.url, wait_until="domcontentloaded")
        self.ready()

    def reload(self) -> None:
        """F5."""
        self.tab.reload(wait_until="domcontentloaded")
        self.ready(idle=False)

    def ready(self, *, idle: bool = True) -> None:
        """Until its cells are there, and its kernel is."""
        self.tab.wait_for_selector(".jp-Notebook")
        same = 0
        while same < 5:  # first there is a notebook of one cell
            count = self.tab.locator(".jp-Notebook .jp-Cell .cm-content").count()
            same = same + 1 if count == self.cells else 0
            self.tab.wait_for_timeout(100)
        if idle:
            self.tab.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', state="attached")

    def theme(self, name: str) -> None:
        """Another theme, as its menu sets it."""
        self.tab.evaluate(
            """async name => {
                const app = window.jupyterapp ?? window.jupyterlab;
                await app.commands.execute('apputils:change-theme', {theme: name});
            }""",
            name,
        )
        wanted = "false" if "Dark" in name else "true"
        self.tab.wait_for_selector(f'body[data-jp-theme-light="{wanted}"]', state="attached")

    # cells

    def cell(self, number: int) -> Locator:
        return self.tab.locator(".jp-Notebook .jp-Cell").nth(number)

    def focus(self, number: int) -> None:
        editor = self.cell(number).locator(".cm-content")
        editor.scroll_into_view_if_needed()
        editor.click()

    def type(self, number: int, text: str) -> None:
        """Replace the text of a cell by what is typed."""
        self.focus(number)
        self.tab.keyboard.press("Control+a")
        self.tab.keyboard.insert_text(text)

    def start(self, number: int) -> None:
        """Shift-Enter, without waiting for its end."""
        before = self.prompt(number)
        self.focus(number)
        self.tab.keyboard.press("Control+Enter")
        self.until(lambda: self.prompt(number) != before, f"cell {number} to start")

    def run(self, number: int) -> str:
        """Run a cell to its end, and what it shows then."""
        self.start(number)
        return self.finish(number)

    def finish(self, number: int) -> str:
        """Wait for the end of a cell that was started, and what it shows then."""
        self.until(lambda: any(map(str.isdigit, self.prompt(number))), f"cell {number} to end")
        return self.output(number)

    def prompt(self, number: int) -> str:
        """What stands in the brackets of a cell: nothing, a star or a number."""
        return self.cell(number).locator(".jp-InputPrompt").inner_text()

    def output(self, number: int) -> str:
        """The text that stands below a cell."""
        return "\n".join(self.cell(number).locator(".jp-OutputArea-output").all_inner_texts())

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition while the page lives."""
        until(condition, what, self.tab.wait_for_timeout)

    def completions(self, number: int) -> str:
        """What Tab has brought: the entries of the popup, and the text of the cell, where there was only one."""
        entries = self.tab.locator(".jp-Completer-item").all_inner_texts()
        return "\n".join([*entries, self.cell(number).locator(".cm-content").inner_text()])

    def command(self, name: str) -> None:
        """A command of JupyterLab, as its menus and buttons run it."""
        self.tab.evaluate("name => (window.jupyterapp ?? window.jupyterlab).commands.execute(name)", name)

    def shut_down(self) -> None:
        """The end of all kernels, as the menu has it; the page stays."""
        self.tab.evaluate("() => (window.jupyterapp ?? window.jupyterlab).serviceManager.sessions.shutdownAll()")

    def screen(self, name: str) -> None:
        """Keep a picture of what is to be seen."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.tab.screenshot(path=str(SCREENS / f"{name}.png"))


def until(condition: Callable[[], object], what: str, pause: Callable[[float], object] | None = None) -> None:
    """Wait for a condition, at most WAIT seconds. `pause` takes milliseconds."""
    end = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {WAIT:.0f} s for {what}")
        if pause is None:
            time.sleep(0.05)
        else:
            pause(50)
