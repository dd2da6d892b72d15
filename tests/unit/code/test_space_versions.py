"""New versions, origins that are gone, names that nobody has: what is asked again, what is kept, what is let go."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from beampy.code.space import DROPPED, Spaces
from beampy.errors import OriginLost
from tests.unit.code.fake_source import FakeSource, connect, receiver


@pytest.fixture
def spaces() -> Iterator[Spaces]:
    with receiver() as made:
        yield made


CHAIN = {
    "top.py": "import mid\ndef call(): return mid.call()\n",
    "mid.py": "from low import value\ndef call(): return value()\n",
    "low.py": "def value(): return 1\n",
    "apart.py": "X = []\n",
}


# ---- versions ----


def test_a_version_that_is_here_asks_nothing(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    space = connect(spaces, source)
    top = space.module(*source.ref("top"))
    asked = len(source.asked)
    assert space.module(*source.ref("top")) is top
    assert space.module(*source.ref("low")).value() == 1
    assert len(source.asked) == asked


def test_a_new_version_at_the_next_reference(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    space = connect(spaces, source)
    old = space.attribute("top", 1, "call", source.digest("top"))
    apart = space.module(*source.ref("apart"))
    source.edit("low.py", "def value(): return 2\n")
    assert sys.modules["low"].value() == 1  # nothing was referred to yet
    new = space.attribute("top", 2, "call", source.digest("top"))
    assert (new(), old()) == (2, 1)
    assert sys.modules["top"].call is new
    assert space.module(*source.ref("apart")) is apart


def test_a_parent_that_changes_keeps_its_submodules(spaces: Spaces) -> None:
    source = FakeSource(
        {"pkg/__init__.py": "V = 1\n", "pkg/sub.py": "class C: pass\n", "user.py": "import pkg.sub\nV = pkg.V\n"}
    )
    space = connect(spaces, source)
    sub = space.module(*source.ref("user")).pkg.sub
    source.files["pkg/__init__.py"] = "V = 2\n"
    source.versions = {"pkg": 2, "user": 2}  # and not pkg.sub, which imports neither
    user = space.module(*source.ref("user"))
    assert user.V == 2
    assert user.pkg.sub is sub


def test_an_older_version_while_something_uses_it_and_then_the_newest(spaces: Spaces) -> None:
    source = FakeSource({"helpers.py": "V = 1\n"})
    space = connect(spaces, source)
    before = source.ref("helpers")
    old = space.module(*before)
    source.edit("helpers.py", "V = 2\n")
    new = space.module(*source.ref("helpers"))
    assert space.module(*before) is old
    del old
    gc.collect()
    assert space.module(*before) is new


def test_old_modules_are_freed(spaces: Spaces) -> None:
    source = FakeSource(CHAIN | {"pkg/__init__.py": "from . import sub\n", "pkg/sub.py": "import low\n"})
    space = connect(spaces, source)
    names = ["top", "mid", "low", "pkg", "pkg.sub"]
    for name in names:
        space.module(*source.ref(name))
    old = {name: weakref.ref(sys.modules[name]) for name in names}
    running = sys.modules["mid"].call
    source.edit("low.py", "def value(): return 2\n")
    for name in names:
        space.module(*source.ref(name))
    gc.collect()
    assert {name: ref() for name, ref in old.items() if ref() is not None} == {}
    assert running() == 1  # its globals are enough


def test_a_version_that_comes_while_its_module_is_imported(spaces: Spaces) -> None:
    source = FakeSource({"gate.py": "import threading\nin_, out = threading.Event(), threading.Event()\n"})
    source.files["slow.py"] = "import gate\nV = 1\ngate.in_.set()\nassert gate.out.wait(10)\n"
    space = connect(spaces, source)
    gate = space.module(*source.ref("gate"))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(space.module, *source.ref("slow"))
        assert gate.in_.wait(10)
        source.edit("slow.py", "V = 2\n")
        second = pool.submit(space.module, *source.ref("slow"))
        gate.out.set()
        assert first.result(10).V in (1, 2)
        assert second.result(10).V == 2
    assert sys.modules["slow"].V == 2


def test_sources_are_fetched_once_by_threads_at_once(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    space = connect(spaces, source)
    source.gate.clear()
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(space.module, *source.ref("top")) for _ in range(6)]
        assert source.reached.acquire(timeout=10)
        source.gate.set()
        assert len({id(call.result(10)) for call in calls}) == 1
    assert source.questions("contents") == [3]  # no source was asked for twice


# ---- an origin that is gone ----


def test_what_was_fetched_works_without_its_origin(spaces: Spaces) -> None:
    source = FakeSource(CHAIN | {"late.py": "def f():\n    import low, apart\n    return low.value(), apart.X\n"})
    space = connect(spaces, source)
    late = space.module(*source.ref("late"))
    source.lost = True
    assert late.f() == (1, [])
    assert "mid" not in sys.modules
    with pytest.raises(OriginLost) as caught:
        space.module("mid", 1, b"?" * 16)
    assert (caught.value.node, caught.value.what) == ("nb@host", "module mid")
    assert isinstance(caught.value, ImportError)


def test_an_import_that_cannot_be_had_says_which_and_is_tried_again(spaces: Spaces) -> None:
    source = FakeSource({"user.py": "def f(name):\n    return __import__(name)\n", "helpers.py": "X = 1\n"})
    space = connect(spaces, source)
    user = space.module(*source.ref("user"))
    source.lost = True
    with pytest.raises(
        OriginLost, match="module helpers is needed from nb@host, which does not answer: it was stopped"
    ):
        user.f("helpers")
    again = FakeSource(source.files)
    space.add_source(again)
    assert user.f("helpers").X == 1


def test_the_next_source_is_asked_when_the_latest_is_lost(spaces: Spaces) -> None:
    source, latest = FakeSource(CHAIN), FakeSource(CHAIN)
    space = connect(spaces, source)
    space.add_source(latest)
    assert space.module(*source.ref("low")).value() == 1
    assert source.asked == []
    latest.lost = True
    assert space.module(*source.ref("top")).call() == 1
    assert source.questions("entries") == [("top",)]


def test_no_source_at_all(spaces: Spaces) -> None:
    with pytest.raises(OriginLost, match="nothing connects this process to it"):
        spaces.of("0" * 16, "nb@host").module("helpers", 1, b"")


def test_the_same_digest_will_do_when_nobody_answers(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    space = connect(spaces, source)
    top = space.module(*source.ref("top"))
    source.lost = True
    assert space.module("top", 7, source.digest("top")) is top
    with pytest.raises(OriginLost, match="module top"):
        space.module("top", 7, b"x" * 16)


def test_what_is_known_but_was_not_loaded_loads_with_the_same_digest(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    space = connect(spaces, source)
    space.prefetch(["top"])
    source.lost = True
    assert space.module("top", 7, source.digest("top")).call() == 1


# ---- names that nobody has ----


def test_misses_are_remembered(spaces: Spaces) -> None:
    text = "def f():\n    try:\n        import not_anywhere_at_all\n    except ModuleNotFoundError:\n        return 1\n"
    source = FakeSource({"user.py": text})
    space = connect(spaces, source)
    user = space.module(*source.ref("user"))
    assert [user.f() for _ in range(3)] == [1, 1, 1]
    assert source.questions("entries") == [("user",), ("not_anywhere_at_all",)]
    source.edit("user.py", text + "#")
    assert space.module(*source.ref("user")).f() == 1
    assert source.questions("entries")[2:] == [("user",), ("not_anywhere_at_all",)]
    space.add_source(source)
    user.f()
    assert source.questions("entries")[4:] == [("not_anywhere_at_all",)]


def test_two_misses_do_not_push_each_other_out(spaces: Spaces) -> None:
    text = (
        "def f():\n    for name in ('nobody_a', 'nobody_b', 'nobody_c'):\n        try:\n            __import__(name)\n"
    )
    text += "        except ModuleNotFoundError:\n            pass\n"
    source = FakeSource({"user.py": text})
    user = connect(spaces, source).module(*source.ref("user"))
    for _ in range(3):
        user.f()
    assert len(source.questions("entries")) == 4


def test_a_module_that_was_deleted_there_is_still_known(spaces: Spaces) -> None:
    connect(spaces, FakeSource(CHAIN), "0" * 16).module("low", 1, b"")
    source = FakeSource({"low.py": "V = 2\n", "user.py": "def f():\n    import low\n    return low.V\n"})
    space = connect(spaces, source)
    assert space.module(*source.ref("low")).V == 2
    f = space.attribute("user", 1, "f", source.digest("user"))
    digest = source.digest("low")
    del source.files["low.py"]
    assert space.module("low", 2, digest).V == 2  # asked for again, in vain
    assert f() == 2


# ---- the end of an origin ----


def test_drop_takes_everything_out_and_leaves_objects_working(spaces: Spaces) -> None:
    source = FakeSource(
        CHAIN | {"keep.py": "import low\ndef f():\n    import apart, mid\n    return mid.call(), low.value()\n"}
    )
    space = connect(spaces, source)
    before = set(sys.modules)
    keep = space.attribute("keep", 1, "f", source.digest("keep"))
    space.prefetch(["apart", "top"])
    space.pseudo("__main__")
    spaces.drop(space.origin)
    assert set(sys.modules) <= before
    assert spaces.get(space.origin) is None
    assert spaces.shipped("keep") is spaces.shipped("low") is spaces.shipped("nb_3f2a9c.__main__") is None
    assert not [path for path in sys.path_importer_cache if path.startswith("beampy:")]
    source.lost = True
    assert keep() == (1, 1)


def test_a_prefixed_space_that_was_dropped_imports_on(spaces: Spaces) -> None:
    connect(spaces, FakeSource(CHAIN), "0" * 16).module("low", 1, b"")
    source = FakeSource({"low.py": "V = 2\n", "pkg/__init__.py": "import low\n", "pkg/late.py": "from low import V\n"})
    source.files["low.py"] += "def f():\n    import low, pkg.late\n    return low.V, pkg.late.V\n"
    space = connect(spaces, source)
    f = space.attribute("low", 1, "f", source.digest("low"))
    space.prefetch(["pkg.late"])
    spaces.drop(space.origin)
    source.lost = True
    assert f() == (2, 2)
    assert sys.modules["low"].value() == 1


def test_dropping_what_is_not_there(spaces: Spaces) -> None:
    spaces.drop("f" * 16)
    assert spaces.get("f" * 16) is None


def test_an_origin_that_comes_back_has_its_space_again(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    space = connect(spaces, source)
    space.module(*source.ref("top"))
    spaces.drop(space.origin)
    assert connect(spaces, source) is space
    assert space.module(*source.ref("top")).call() == 1


def test_an_origin_that_comes_back_to_a_name_that_others_took(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    connect(spaces, source, "1" * 16).module(*source.ref("low"))
    spaces.drop("1" * 16)
    gc.collect()
    other = connect(spaces, source, "2" * 16).module(*source.ref("low"))
    again = connect(spaces, source, "1" * 16).module(*source.ref("low"))
    assert (other.__name__, again.__name__) == ("low", "nb_111111.low")


def test_where_a_module_came_from_is_known_between_two_versions(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    space = connect(spaces, source)
    space.module(*source.ref("top"))
    source.edit("low.py", "def value(): return 2\n")
    assert space.entry("top", 2) is not None
    assert "top" not in sys.modules
    shipped = spaces.shipped("top")
    assert shipped is not None
    assert shipped.origin == space.origin


def test_dropped_spaces_are_bounded_and_freed(spaces: Spaces) -> None:
    kept = []
    for at in range(DROPPED + 3):
        source = FakeSource({"low.py": f"V = {at}\n", "late.py": ""})
        space = connect(spaces, source, f"{at:016x}")
        space.module(*source.ref("low"))
        kept.append(weakref.ref(space))
        spaces.drop(space.origin)
    del space
    gc.collect()
    assert [ref() is not None for ref in kept] == [False] * 3 + [True] * DROPPED


def test_a_plain_name_is_free_again_when_its_code_is(spaces: Spaces) -> None:
    source = FakeSource(CHAIN)
    first = connect(spaces, source, "1" * 16)
    first.module(*source.ref("low"))
    spaces.drop("1" * 16)
    gc.collect()
    assert connect(spaces, source, "2" * 16).module(*source.ref("low")).__name__ == "low"


# ---- locks ----


def test_a_question_holds_no_import_of_others_up(spaces: Spaces) -> None:
    source = FakeSource({"here.py": "", "there.py": "X = 1\n"})
    space = connect(spaces, source)
    here = space.module(*source.ref("here"))
    source.gate.clear()
    while source.reached.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(space.module, *source.ref("there"))
        assert source.reached.acquire(timeout=10)
        assert space.module(*source.ref("here")) is here
        assert spaces.shipped("here") is not None
        assert spaces.of("a" * 16, "b@c").pseudo("__main__") is not None
        __import__("json.tool")
        source.gate.set()
        assert asking.result(10).X == 1


def test_a_thread_that_fails_to_fetch_does_not_fail_the_others(spaces: Spaces) -> None:
    class Once(FakeSource):
        refused = False

        def contents(self, digests, magic):
            result = super().contents(digests, magic)
            if not self.refused:
                self.refused = True
                raise KeyboardInterrupt
            return result

    source = Once(CHAIN)
    space = connect(spaces, source)
    space.entry("low")
    source.gate.clear()
    caught: list[BaseException] = []

    def interrupted() -> None:
        try:
            space.module(*source.ref("low"))
        except KeyboardInterrupt as error:
            caught.append(error)

    threads = [threading.Thread(target=interrupted) for _ in range(2)]
    for thread in threads:
        thread.start()
    source.gate.set()
    for thread in threads:
        thread.join(10)
    assert len(caught) == 1
    assert sys.modules["low"].value() == 1
