"""Definitions that change in ways that are easily missed."""

from __future__ import annotations

from tests.unit.code.cells_ground import Ground, ground, notebook

__all__ = ["ground", "notebook"]


def test_a_class_without_a_method_that_it_had_is_another_one(ground: Ground) -> None:
    ground.run("""
        class C:
            def gone(self): return 1
            def kept(self): return 2
        def check(): return hasattr(C, "gone"), hasattr(C, "kept")
        """)
    assert ground.there(ground["check"])() == (True, True)
    ground.run("del C.gone")
    assert ground.there(ground["check"])() == (False, True)
    ground.run("C.kept = None")
    assert ground.there(ground["check"])() == (False, True)
    ground.run("def kept_is(): return C.kept")
    assert ground.there(ground["kept_is"])() is None
