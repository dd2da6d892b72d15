"""Two processes with modules of the same names and other content, on one node: neither sees the other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.origins import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path) as lab:
        yield lab


def helpers(who: str) -> dict[str, str]:
    """The modules of one origin: they have the names that the others' have."""
    return {
        "helpers.py": f"""
            from __future__ import annotations
            import dataclasses, importlib, pickle, typing
            from shared.part import WHO as PART
            import shared

            WHO = {who!r}

            @dataclasses.dataclass
            class Point:
                x: int
                near: Point | None = None
                kind: Kind | None = None

            @dataclasses.dataclass
            class Kind:
                name: str = WHO

            def who():
                from shared import part
                import shared.part as third
                return {{WHO, PART, part.WHO, shared.part.WHO, third.WHO, importlib.import_module("shared.part").WHO,
                         importlib.import_module(".part", "shared").WHO, shared.data(), shared.resource()}}

            def hints():
                found = typing.get_type_hints(Point)
                return found["near"] == (Point | None), found["kind"] == (Kind | None)

            def pickled():
                again = pickle.loads(pickle.dumps(Point(1, Point(2), Kind())))
                return again == Point(1, Point(2), Kind()) and type(again) is Point and again.kind.name

            def moved(point):
                assert type(point) is Point, (type(point), Point)
                return Point(point.x + 1, point, Kind())
        """,
        "shared/__init__.py": """
            import pkgutil
            from importlib.resources import files
            def data():
                return pkgutil.get_data("shared", "who.txt").decode()
            def resource():
                return files("shared").joinpath("who.txt").read_text()
            from . import part
        """,
        "shared/part.py": f"WHO = {who!r}\n",
        "shared/who.txt": who,
        "models.py": f"""
            from __future__ import annotations
            import typing
            import pydantic
            class Inner(pydantic.BaseModel):
                who: typing.Literal[{who!r}] = {who!r}
            class Outer(pydantic.BaseModel):
                inner: Inner
                more: list[Inner] = []
            def read(text):
                return Outer.model_validate_json(text)
        """,
    }


CELL = """
    import helpers
    from helpers import Point, who

    def named():
        import helpers as h
        from helpers import who as w
        import importlib, pickle
        found = pickle.loads(pickle.dumps(h.Point(1)))
        return w() | {h.WHO, importlib.import_module("helpers").WHO, h.moved(found).kind.name}

    class Local(Point):
        def who(self):
            return helpers.who()

    async def hundred(count):
        found = set()
        for number in range(count):
            found |= await there((who, named, helpers.who, Local(number).who)[number % 4])
            point = await there(helpers.moved, Point(number))
            assert type(point) is Point and point.near == Point(number), point
            found.add(point.kind.name)
        return found
"""


async def test_both_serve_calls_at_once(lab: Lab):
    a, c = await lab.start("a", helpers("a")), await lab.start("c", helpers("c"))
    b = await lab.start("b", helpers("b"))
    await asyncio.gather(a.run(CELL), c.run(CELL))
    run = "result = await hundred(50)"
    assert [*await asyncio.gather(a.run(run), c.run(run))] == [{"a"}, {"c"}]
    assert await b.run("import helpers; result = helpers.who(), helpers.__name__") == ({"b"}, "helpers")
    assert [*await asyncio.gather(a.run(run), c.run(run))] == [{"a"}, {"c"}]
    assert await b.run("result = helpers.who(), helpers.pickled(), helpers.hints()") == ({"b"}, "b", (True, True))
    assert (await b.ask("modules", "helpers")).count("helpers") == 1
    for each, who in ((a, "a"), (c, "c")):
        assert await each.run("result = await there(helpers.hints), await there(helpers.pickled)") == (
            (True, True),
            who,
        )


async def test_the_first_origin_has_the_plain_names(lab: Lab):
    a, c = await lab.start("a", helpers("a")), await lab.start("c", helpers("c"))
    b = await lab.start("b")
    run = "result = await hundred(8)"
    await a.run(CELL)
    assert await a.run(run) == {"a"}
    await c.run(CELL)
    assert await c.run(run) == {"c"}
    assert await a.run(run) == {"a"}
    prefixed, plain = await b.ask("modules", "helpers")
    assert plain == "helpers"
    assert prefixed.startswith("c_")
    assert prefixed.endswith(".helpers")


async def test_pydantic_models(lab: Lab):
    pytest.importorskip("pydantic")
    a, c = await lab.start("a", helpers("a")), await lab.start("c", helpers("c"))
    await lab.start("b")
    for each, who in ((a, "a"), (c, "c")):
        found = await each.run(
            """
            import models
            import pydantic
            class Mine(models.Outer):
                last: models.Inner = models.Inner()
            def fail():
                try:
                    models.read('{"inner": {"who": "nobody"}}')
                except pydantic.ValidationError as error:
                    return error.errors()[0]["loc"], error.title
            outer = await there(models.read, '{"inner": {"who": "$who"}, "more": [{}]}')
            mine = await there(lambda: Mine(inner=models.Inner(), more=[models.Inner()]))
            same = type(outer) is models.Outer and type(mine) is Mine
            result = same, outer.inner.who, mine.more[0].who, await there(fail)
        """.replace("$who", who)
        )
        assert found == (True, who, who, (("inner", "who"), "Outer"))


async def test_an_origin_that_is_killed_and_started_anew(lab: Lab):
    """With other content, and with the same: each is an origin of its own."""
    a = await lab.start("a", helpers("a"))
    b = await lab.start("b")
    await a.run(CELL)
    assert await a.run("result = await hundred(4)") == {"a"}
    await a.run("""
        async def keeper(parent):
            bp.register("keeper", bp.self())
            bp.send(parent, "ready")
            async for asker in bp.mailbox():
                import helpers
                bp.send(asker, helpers.who() | who())
        await bp.spawn(keeper, bp.self(), node="b@127.0.0.1")
        result = await bp.receive()
    """)
    for content in ("second", "second", "a"):
        a.node.kill()
        await a.node.wait()
        a = await lab.start("a", helpers(content))
        await a.run(CELL)
        assert await a.run("result = await hundred(8)") == {content}
        assert await b.run("""bp.send("keeper", bp.self()); result = await bp.receive()""") == {"a"}


async def test_a_node_that_is_an_origin_itself(lab: Lab):
    """What came from one goes on to a third, and so does the node's own of the same name."""
    a, b = await lab.start("a", helpers("a")), await lab.start("b", helpers("b"))
    await lab.start("d")
    await a.run(CELL)
    await b.run(CELL)
    assert await b.run("""result = await there(who, node="d"), await there(named, node="d")""") == ({"b"}, {"b"})
    found = await a.run("""
        async def onward(fn, *args):
            return await bp.remote_call.options(timeout=60)("d@127.0.0.1", fn, *args)

        async def through(point):
            there = [await onward(who), await onward(named), await onward(helpers.who), await onward(Local(1).who)]
            moved = await onward(helpers.moved, point)
            assert type(moved) is Point, (type(moved), Point)
            return there, moved

        names, moved = await there(through, Point(7))
        assert type(moved) is Point and moved.near == Point(7), moved
        result = names, moved.kind.name, await there(onward, who), await there(named, node="d")
    """)
    assert found == ([{"a"}] * 4, "a", {"a"}, {"a"})
    assert await b.run("""result = await there(who, node="d"), await there(helpers.pickled, node="d")""") == (
        {"b"},
        "b",
    )
