"""How values of cells on other nodes look, with IPython and without."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from beampy.core.group_leader import BUNDLE, STDOUT, Bundle, Text
from beampy.notebook import on_display
from beampy.notebook.on_display import TEXT, Updated, display, forms, shown
from tests.unit.otp.leader_ground import leading
from tests.unit.otp.tidy import process


class Rich:
    """In several forms."""

    def __repr__(self) -> str:
        return "Rich()"

    def _repr_html_(self) -> str:
        return "<b>rich</b>"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return b"png", {"width": 3}

    def _repr_svg_(self) -> None:
        return None

    def _repr_latex_(self) -> str:
        raise NotImplementedError


class Bundled:
    """As a bundle of its own."""

    def __repr__(self) -> str:
        return "Bundled()"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return {"text/plain": "bundle", "x/y": "z"}, {"x/y": {"a": 1}}


class Broken:
    """Raises, whoever asks."""

    def __repr__(self) -> str:
        raise ValueError("no text")

    def _repr_html_(self) -> str:
        raise ValueError("no page")


class Anything:
    """Has every attribute."""

    def __repr__(self) -> str:
        return "Anything()"

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: "made up"


@pytest.fixture(params=["with IPython", "without"])
def ipython(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both kinds of nodes: `True` where IPython is loaded."""
    monkeypatch.setattr(on_display, "_own", None)
    if request.param == "without":
        monkeypatch.setattr(on_display, "_formatter", lambda: None)
    else:
        pytest.importorskip("IPython.core.formatters")
    return bool(request.param != "without")


def test_forms_of_an_object(ipython: bool):
    data, metadata = shown(Rich())
    assert data == {"text/plain": "Rich()", "text/html": "<b>rich</b>", "image/png": b"png"} or (
        ipython and data["image/png"] == "cG5n\n"  # IPython writes base64 itself
    )
    assert metadata == {"image/png": {"width": 3}}


def test_a_bundle(ipython: bool):
    data, metadata = shown(Bundled())
    assert (data["text/plain"], data["x/y"], metadata["x/y"]) == ("bundle", "z", {"a": 1})


def test_what_is_no_form(ipython: bool):
    assert shown(1) == ({"text/plain": "1"}, {})
    assert shown(Anything())[0] == {"text/plain": "Anything()"}
    assert set(shown(Rich)[0]) == {"text/plain"}


def test_what_raises_is_shown_all_the_same(ipython: bool, capsys: pytest.CaptureFixture[str]):
    data, _ = shown(Broken())
    assert set(data) <= {"text/plain"}
    if not ipython:
        assert data["text/plain"].startswith("<Broken that cannot be shown: ValueError('no text')")
        assert capsys.readouterr().err == "Broken._repr_html_ raised ValueError('no page')\n"


def test_long_texts_are_cut(ipython: bool):
    text = shown("x" * (TEXT + 8))[0]["text/plain"]
    assert text.endswith("\n… 10 characters more")
    assert len(text) < TEXT + 100


def test_containers_are_laid_out():
    data, _ = forms({f"key{number}": list(range(20)) for number in range(5)})
    assert data["text/plain"].count("\n") == 4


def test_a_figure_is_a_picture(ipython: bool):
    class Figure:
        def __repr__(self) -> str:
            return "<Figure>"

        def savefig(self, target: Any, *, format: str, bbox_inches: str) -> None:
            target.write(b"picture as " + format.encode())

    Figure.__module__ = "matplotlib.figure"
    assert shown(Figure()) == ({"image/png": b"picture as png", "text/plain": "<Figure>"}, {})


# --- display


def bundles(recorder: Any) -> list[Bundle]:
    """What was displayed."""
    return [message for message in recorder.got if isinstance(message, Bundle)]


@leading
async def test_displays_go_to_the_leader(recorder):
    channel = on_display.leader.get()
    assert display(1, Rich(), metadata={"a": "b"}) is None
    handle = display("first", display_id="one")
    assert isinstance(handle, Updated)
    handle.update("second")
    assert display({"text/plain": "raw"}, raw=True) is None
    channel.flush()
    assert [(b.data["text/plain"], b.display_id, b.update) for b in bundles(recorder)] == [
        ("1", None, False),
        ("Rich()", None, False),
        ("'first'", "one", False),
        ("'second'", "one", True),
        ("raw", None, False),
    ]
    assert bundles(recorder)[0].metadata == {"a": "b"}


@leading
async def test_a_new_name_for_each_display(recorder):
    one, two = display(1, display_id=True), display(1, display_id=True)
    assert one.display_id != two.display_id


@leading
async def test_text_and_displays_keep_their_order(recorder):
    channel = on_display.leader.get()
    channel.write(STDOUT, "before\n")
    display(1)
    channel.write(STDOUT, "after\n")
    channel.flush()
    assert [type(message) for message in recorder.got] == [Text, Bundle, Text]


@leading
async def test_what_is_too_large_is_text(recorder, capsys):
    display({"text/plain": "large", "text/html": "x" * (BUNDLE + 1)}, raw=True)
    assert recorder.got == []
    assert capsys.readouterr().err.endswith("its text:\nlarge\n")


@process
async def test_without_a_leader_it_is_text_here(capsys: pytest.CaptureFixture[str]):
    display(Rich())
    assert capsys.readouterr().out == "Rich()\n"


# --- IPython's own

PROGRAM = """
    import sys
    from beampy.notebook import on_display
    from beampy.core.group_leader import leader

    class Channel:
        def bundle(self, data, metadata, *, display_id, update):
            print("bundle", data["text/plain"], display_id, update)

    def cell():
        assert on_display._formatter() is None
        leader.set(Channel())
        on_display.route()
        on_display.route()
        from IPython.display import HTML, Pretty, display, publish_display_data, update_display
        from IPython.core.display import display as old
        assert not [finder for finder in sys.meta_path if isinstance(finder, on_display._Imports)]
        display(Pretty("page"), display_id="d")
        update_display(Pretty("other"), display_id="d")
        publish_display_data({"text/plain": "published"})
        display(1, display_id="e").update(2)
        on_display.route()
        import IPython.display
        assert IPython.display.display is display

    import contextvars
    assert "IPython" not in sys.modules
    contextvars.copy_context().run(cell)
    from IPython.display import display
    display("not of a cell")
"""


def test_libraries_display_in_the_notebook():
    pytest.importorskip("IPython")
    program = textwrap.dedent(PROGRAM).replace("    from IPython.core.display import display as old\n", "")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "bundle page d False",
        "bundle other d True",
        "bundle published None False",
        "bundle 1 e False",
        "bundle 2 e True",
        "not of a cell",
    ]


def test_it_never_loads_ipython():
    code = (
        "import sys; from beampy.notebook import evaluator; print(sorted(m for m in sys.modules if 'ython' in m[:7]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert "IPython" not in done.stdout
