"""What becomes of a module whose file is edited: one warning, and a new version once it is reloaded."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from beampy.code import manifest, origin_records, witness
from beampy.code.origin import Origin
from tests.unit.code.origin_ground import Project, origin, project, warned

__all__ = ["origin", "project"]


# ---- edits ----


def test_an_edit_without_reload_warns_once_and_the_old_source_is_served(
    origin: Origin, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    file = project.write("helpers.py", "def f(): return 1")
    project.load("helpers")
    before = origin.digest("helpers")
    assert before is not None
    assert not origin.changed("helpers")
    project.write("helpers.py", "def f(): return 2222")
    for _ in range(3):
        assert origin.changed("helpers")
        assert origin.digest("helpers") == before
        assert origin.version("helpers") == 1
    assert origin.contents([before], b"")[before][0] == b"def f(): return 1"
    once = (
        f"helpers ({file}) was edited after it was imported; nodes run it as it was imported. "
        "importlib.reload(helpers) sends the new code"
    )
    assert warned(caplog) == [once]
    project.write("helpers.py", "def f(): return 333333")
    assert origin.changed("helpers")
    assert warned(caplog) == [once, once]  # another edit
    project.write("helpers.py", "def f(): return 1")
    assert not origin.changed("helpers")  # taken back
    assert len(warned(caplog)) == 2


def test_an_edit_of_comments_is_none(origin: Origin, project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.write("helpers.py", "def f(): return 1")
    project.load("helpers")
    assert not origin.changed("helpers")
    project.write("helpers.py", "# one\n\ndef f(): return 1")
    assert not origin.changed("helpers")
    assert warned(caplog) == []


def test_half_an_edit_does_not_compile_and_counts(origin: Origin, project: Project) -> None:
    project.write("helpers.py", "def f(): return 1")
    project.load("helpers")
    assert not origin.changed("helpers")
    project.write("helpers.py", "def f(: return")
    assert origin.changed("helpers")
    assert origin.kind("helpers") == "source"


def test_files_are_looked_at_no_more_often_than_said(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_records, "CHECK_EVERY", 1000.0)
    project.write("helpers.py", "def f(): return 1")
    project.load("helpers")
    assert not origin.changed("helpers")
    project.write("helpers.py", "def f(): return 2222")
    assert not origin.changed("helpers")


@pytest.mark.parametrize("name", ["json", "__main__", "surely_absent", "sys"])
def test_what_is_no_source_is_never_edited(origin: Origin, name: str) -> None:
    assert not origin.changed(name)


def test_edit_and_reload_raises_the_versions_of_all_that_import_it(origin: Origin, project: Project) -> None:
    project.write("app/__init__.py")
    project.write("app/low.py", "def f(): return 1")
    project.write("app/middle.py", "from .low import f\ndef g(): return f()")
    project.write("app/high.py", "def h():\n    import app.middle\n    return app.middle.g()")
    project.write("app/other.py", "def o(): return 1")
    project.load("app.high")
    project.load("app.middle")
    project.load("app.other")
    names = ["app", "app.low", "app.middle", "app.high", "app.other"]
    origin.entries(["app.high", "app.other"])
    assert [origin.version(name) for name in names] == [1, 1, 1, 1, 1]
    project.write("app/low.py", "def f(): return 2222")
    project.reload(sys.modules["app.low"])
    assert [origin.version(name) for name in names] == [1, 2, 2, 2, 1]
    assert origin.digest("app.low") == manifest.digest(b"def f(): return 2222")
    assert not origin.changed("app.low")


def test_circles_are_raised_together_and_once(origin: Origin, project: Project) -> None:
    project.write("ring_a.py", "import ring_b\ndef f(): return 1")
    project.write("ring_b.py", "import ring_c")
    project.write("ring_c.py", "import ring_a")
    project.load("ring_a")
    origin.entries(["ring_a"])
    project.reload(sys.modules["ring_b"])
    assert [origin.version(f"ring_{each}") for each in "abc"] == [2, 2, 2]


def test_reloading_an_unchanged_file_is_a_version(origin: Origin, project: Project) -> None:
    project.write("same.py", "class C: pass")
    module = project.load("same")
    old, digest = module.C, origin.digest("same")
    assert origin.version("same") == 1
    project.reload(module)
    assert origin.version("same") == 2
    assert origin.digest("same") == digest
    assert origin.attribute("same", 1, "C") is old
    assert origin.attribute("same", 2, "C") is module.C is not old


def test_two_reloads_between_two_questions(origin: Origin, project: Project) -> None:
    project.write("twice.py", "class C: pass")
    module = project.load("twice")
    classes = [module.C]
    assert origin.version("twice") == 1
    for _ in range(2):
        project.reload(module)
        classes.append(module.C)
    assert origin.version("twice") == 3
    assert [origin.attribute("twice", version, "C") for version in (1, 2, 3)] == classes


def test_a_module_deleted_and_imported_again_is_a_version(origin: Origin, project: Project) -> None:
    project.write("again.py", "class C: pass")
    project.write("user.py", "import again")
    old = project.load("again").C
    project.load("user")
    origin.entries(["user"])
    del sys.modules["again"]
    new = project.load("again").C
    assert origin.version("again") == origin.version("user") == 2
    assert origin.attribute("again", 1, "C") is old
    assert origin.attribute("again", 2, "C") is new


@pytest.mark.parametrize("asked", [True, False])
def test_deleted_edited_and_imported_again(origin: Origin, project: Project, asked: bool) -> None:
    project.write("again.py", "def f(): return 1")
    project.load("again")
    assert origin.version("again") == 1
    project.write("again.py", "def f(): return 2222")
    del sys.modules["again"]
    if asked:
        assert origin.version("again") == 2
    assert project.load("again").f() == 2222
    assert origin.version("again") == 2
    assert origin.kind("again") == "source"
    assert origin.digest("again") == manifest.digest(b"def f(): return 2222")


def test_another_module_under_a_known_name_is_noticed_by_identity(origin: Origin, project: Project) -> None:
    project.write("swapped.py", "class C: pass")
    old = project.load("swapped")
    assert origin.version("swapped") == 1
    witness.remove()
    del sys.modules["swapped"]
    new = project.load("swapped")
    assert origin.version("swapped") == 2
    assert origin.attribute("swapped", 1, "C") is old.C
    assert origin.attribute("swapped", 2, "C") is new.C


def test_a_reload_behind_the_witness_is_noticed_by_the_spec(origin: Origin, project: Project) -> None:
    project.write("behind.py", "def f(): return 1")
    module = project.load("behind")
    assert origin.version("behind") == 1
    witness.remove()
    project.write("behind.py", "def f(): return 2222")
    project.reload(module)
    assert origin.version("behind") == 2
    assert origin.digest("behind") == manifest.digest(b"def f(): return 2222")


def test_to_look_for_a_module_is_not_to_import_it(origin: Origin, project: Project) -> None:
    project.write("looked.py", "x = 1")
    project.load("looked")
    assert origin.version("looked") == 1
    for finder in sys.meta_path:
        if hasattr(finder, "find_spec"):
            finder.find_spec("looked", None)
    assert origin.version("looked") == 1


def test_a_reload_that_fails_leaves_the_source_as_it_was(origin: Origin, project: Project) -> None:
    project.write("broken.py", "def f(): return 1")
    module = project.load("broken")
    digest = origin.digest("broken")
    project.write("broken.py", "def f(: return 2222")
    with pytest.raises(SyntaxError):
        project.reload(module)
    assert origin.kind("broken") == "source"
    assert origin.digest("broken") == digest
    assert origin.version("broken") == 2
    project.write("broken.py", "def f(): return 333333")
    project.reload(module)
    assert origin.digest("broken") == manifest.digest(b"def f(): return 333333")
    assert origin.version("broken") == 3


def test_names_left_over_from_before_a_reload_do_not_count(origin: Origin, project: Project) -> None:
    project.write("left.py", "def f(): return 1\ndef gone(): return 1")
    module = project.load("left")
    assert origin.kind("left") == "source"
    project.write("left.py", "def f(): return 2222")
    project.reload(module)
    assert module.gone() == 1
    assert origin.kind("left") == "source"


def test_modules_that_are_not_imported_are_as_on_disk(origin: Origin, project: Project) -> None:
    project.write("by_name.py", "def f(): return 1")
    assert origin.version("by_name") == 1
    assert origin.digest("by_name") == manifest.digest(b"def f(): return 1")
    project.write("by_name.py", "def f(): return 2222")
    assert not origin.changed("by_name")
    assert origin.version("by_name") == 2
    assert origin.digest("by_name") == manifest.digest(b"def f(): return 2222")
    assert "by_name" not in sys.modules
    project.load("by_name")
    assert origin.version("by_name") == 2  # nothing is new
    assert origin.kind("by_name") == "source"


def test_a_module_that_asks_about_itself_while_it_is_imported(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = """
        from beampy.code.origin import here
        def f(): return {value}
        seen = here().kind(__name__), here().version(__name__), here().digest(__name__)
        def g(): return {value}
        """
    file = project.write("selfish.py", text.format(value=1))
    module = project.load("selfish")
    assert module.seen == ("source", 1, manifest.digest(file.read_bytes()))
    assert origin.version("selfish") == 1
    project.write("selfish.py", text.format(value=2222))
    project.reload(module)
    assert module.seen == ("source", 2, manifest.digest(file.read_bytes()))
    assert origin.version("selfish") == 2
    assert origin.kind("selfish") == "source"
    assert warned(caplog) == []


def test_what_was_seen_during_an_import_is_what_was_imported(origin: Origin, project: Project) -> None:
    file = project.write(
        "hasty.py",
        """
        from beampy.code.origin import here
        def f(): return 1
        seen = here().kind(__name__)
        """,
    )
    module = project.load("hasty")
    digest = manifest.digest(file.read_bytes())
    assert module.seen == "source"
    project.write("hasty.py", "def f(): return 2222")
    assert origin.version("hasty") == 1
    assert origin.kind("hasty") == "source"
    assert origin.digest("hasty") == digest
    assert origin.changed("hasty")


def test_two_files_with_the_same_source(origin: Origin, project: Project) -> None:
    for name in ("twin_a", "twin_b"):
        project.write(f"{name}.py", "def f(): return 1")
        project.load(name)
        assert not origin.changed(name)
    assert origin.digest("twin_a") == origin.digest("twin_b")
    origin.entries(["twin_a", "twin_b"])
    project.write("twin_b.py", "def f(): return 2222")
    assert origin.changed("twin_b")
    assert not origin.changed("twin_a")
    with pytest.raises(SyntaxError):
        project.write("twin_a.py", "def f(: return 1")
        project.reload(sys.modules["twin_a"])
    assert origin.kind("twin_a") == "source"
    assert origin.version("twin_a") == 2


# ---- edits that somebody patches into the module ----


def test_functions_patched_in_place_count_as_a_reload(
    origin: Origin, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.write("patched.py", "def f(): return 1\ndef g(): return 1\nclass C:\n    def m(self): return 1\n")
    project.write("user.py", "import patched")
    module = project.load("patched")
    project.load("user")
    origin.entries(["user"])
    text = "import os\n\ndef f(): return 2222\ndef g(): return 1\nclass C:\n    def m(self): return [3 for _ in 'ab']\n"
    file = project.write("patched.py", text)
    names: dict[str, object] = {}
    exec(compile("\n\ndef f(): return 2222", str(file), "exec", dont_inherit=True), module.__dict__, names)
    module.f.__code__ = names["f"].__code__  # type: ignore[attr-defined]
    body = "class __autoreload_class__:\n    def m(self): return [3 for _ in 'ab']\n"
    exec(compile(body, str(file), "exec", dont_inherit=True), module.__dict__, names)
    module.C.m.__code__ = names["__autoreload_class__"].m.__code__  # type: ignore[attr-defined]
    assert not origin.changed("patched")
    assert origin.version("patched") == origin.version("user") == 2
    assert origin.digest("patched") == manifest.digest(file.read_bytes())
    assert origin.attribute("patched", 1, "C") is module.C
    assert warned(caplog) == []


def test_a_value_patched_in_place_counts_and_one_that_is_not_does_not(origin: Origin, project: Project) -> None:
    project.write("limits.py", "LIMIT = 1\ndef f(): return LIMIT\n")
    module = project.load("limits")
    assert not origin.changed("limits")
    project.write("limits.py", "LIMIT = 2222\ndef f(): return LIMIT\n")
    assert origin.changed("limits")
    assert origin.version("limits") == 1
    project.write("limits.py", "LIMIT = 333333\ndef f(): return LIMIT\n")
    module.LIMIT = 333333
    assert not origin.changed("limits")
    assert origin.version("limits") == 2


def test_what_autoreload_says_it_has_done_counts(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, str] = {}
    reloader = SimpleNamespace(deduper_reloader=SimpleNamespace(source_by_modname=seen))
    shell = SimpleNamespace(
        magics_manager=SimpleNamespace(registry={"AutoreloadMagics": SimpleNamespace(_reloader=reloader)})
    )
    project.write("listed.py", "# coding: latin-1\nNAMES = ['a']")
    project.write("unlooked.py", "NAMES = ['a']")
    module = project.load("listed")
    project.load("unlooked")
    assert not origin.changed("listed")
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    new = "# coding: latin-1\r\nNAMES = ['\u00e4']"
    project.write("listed.py", new.encode("latin-1"))
    project.write("unlooked.py", "NAMES = ['b']")
    assert origin.changed("listed")
    seen.update(listed=new.replace("\r\n", "\n"), unlooked="NAMES = ['b']")
    monkeypatch.setattr(origin_records, "JUDGE_EVERY", 0.0)
    assert origin.changed("listed")  # judged again after the time that was set before
    origin._records.get("listed").judge_at = 0.0  # type: ignore[union-attr]
    assert not origin.changed("listed")
    assert origin.version("listed") == 2
    assert origin.digest("listed") == manifest.digest(new.encode("latin-1"))
    assert origin.kind("unlooked") == "source"
    assert module.NAMES == ["a"]  # who patches is not asked what he did


@pytest.mark.parametrize("shell", [None, SimpleNamespace(), SimpleNamespace(magics_manager=None)])
def test_an_ipython_that_is_otherwise_says_nothing(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch, shell: object
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    project.write("listed.py", "NAMES = ['a']")
    project.load("listed")
    assert not origin.changed("listed")
    project.write("listed.py", "NAMES = ['b']")
    assert origin.changed("listed")


def test_names_that_were_added_and_removed_in_place_count(origin: Origin, project: Project) -> None:
    project.write("names.py", "def f(): return 1\ndef gone(): return 1\n")
    module = project.load("names")
    assert not origin.changed("names")
    project.write("names.py", "def f(): return 1\nclass Added: pass\n")
    module.Added = type("Added", (), {"__module__": "names"})
    assert origin.changed("names")  # one of them is still to be done
    project.write("names.py", "def f(): return 1\nclass Added: x = 1\n")
    del module.gone
    assert not origin.changed("names")
    assert origin.version("names") == 2


def test_decorated_functions_are_compared_with_what_they_wrap(origin: Origin, project: Project) -> None:
    text = """
        import functools

        def decorator(fn):
            @functools.wraps(fn)
            def inner(): return fn()
            return inner

        @functools.cache
        @decorator
        def f(): return %d
        """
    file = project.write("wrapped.py", text % 1)
    module = project.load("wrapped")
    assert not origin.changed("wrapped")
    project.write("wrapped.py", text % 2222)
    assert origin.changed("wrapped")
    project.write("wrapped.py", text % 333333)
    names: dict[str, object] = {"__name__": "wrapped"}
    exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), names)
    module.f.__wrapped__.__wrapped__.__code__ = names["f"].__wrapped__.__wrapped__.__code__  # type: ignore[attr-defined]
    assert not origin.changed("wrapped")
    assert origin.version("wrapped") == 2


def test_a_patch_that_comes_after_the_edit_was_seen(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_records, "JUDGE_EVERY", 0.0)
    project.write("slow.py", "def f(): return 1\n")
    module = project.load("slow")
    assert not origin.changed("slow")
    file = project.write("slow.py", "def f(): return 2222\n")
    assert origin.changed("slow")
    names: dict[str, object] = {}
    exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), module.__dict__, names)
    module.f.__code__ = names["f"].__code__  # type: ignore[attr-defined]
    assert not origin.changed("slow")
    assert origin.version("slow") == 2
