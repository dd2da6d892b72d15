"""Versions and components against definitions of one line; digests of code against what was compiled differently."""

from __future__ import annotations

import ast
import dis
import random
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.code.manifest import code_digest, components, digest, globals_of, imports_of, versions

Graph = dict[int, list[int]]
Nodes = dict[Any, tuple[bytes, list[Any]]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 9))
    keys = st.integers(0, size - 1)
    return {key: draw(st.lists(keys, max_size=3)) for key in range(size)}


@st.composite
def programs(draw: st.DrawFn) -> Nodes:
    """Few different digests, so that nodes which look alike are common; some references are versions already."""
    graph = draw(graphs())
    outer = st.sampled_from([digest(b"x"), digest(b"y")])
    return {
        key: (draw(st.sampled_from([b"a", b"b"])), [*refs, *draw(st.lists(outer, max_size=1))])
        for key, refs in graph.items()
    }


def reachable(graph: Graph, start: int) -> set[int]:
    """Its own by a path of no steps."""
    found, todo = {start}, [start]
    while todo:
        new = set(graph[todo.pop()]) - found
        found |= new
        todo.extend(new)
    return found


@given(graphs())
def test_a_component_is_what_reaches_each_other_and_comes_after_what_it_reaches(graph: Graph) -> None:
    reach = {key: reachable(graph, key) for key in graph}
    result = components(graph)
    assert sorted(key for members in result for key in members) == sorted(graph)
    seen: set[int] = set()
    for members in result:
        for key in members:
            assert set(members) == {other for other in graph if other in reach[key] and key in reach[other]}
        seen |= set(members)
        assert reach[members[0]] <= seen


@given(graphs(), st.sets(st.integers(0, 8)))
def test_references_to_what_is_no_key_do_not_count(graph: Graph, removed: set[int]) -> None:
    rest = {key: refs for key, refs in graph.items() if key not in removed}
    inner = {key: [ref for ref in refs if ref in rest] for key, refs in rest.items()}
    assert components(rest) == components(inner)


@given(programs(), st.randoms(use_true_random=False))
def test_versions_depend_neither_on_the_order_of_the_nodes_nor_on_their_keys(
    nodes: Nodes, chance: random.Random
) -> None:
    keys = list(nodes)
    chance.shuffle(keys)
    names = {key: f"n{number}" for number, key in enumerate(keys)}
    renamed: Nodes = {names[key]: (nodes[key][0], [names.get(ref, ref) for ref in nodes[key][1]]) for key in keys}
    result = versions(nodes)
    assert {key: versions(renamed)[names[key]] for key in nodes} == result
    assert versions({key: nodes[key] for key in keys}) == result


def plain(nodes: Nodes) -> Graph:
    return {key: [ref for ref in refs if not isinstance(ref, bytes)] for key, (_, refs) in nodes.items()}


@given(programs(), st.data())
def test_a_change_changes_exactly_what_refers_to_it_however_indirectly(nodes: Nodes, data: st.DataObject) -> None:
    changed = data.draw(st.sampled_from(sorted(nodes)))
    own, refs = nodes[changed]
    after = nodes | {changed: data.draw(st.sampled_from([(b"changed", refs), (own, [*refs, digest(b"z")])]))}
    old, new = versions(nodes), versions(after)
    graph = plain(nodes)
    assert {key for key in nodes if old[key] != new[key]} == {key for key in nodes if changed in reachable(graph, key)}


@given(programs(), st.data())
def test_a_known_version_stands_for_the_node_itself(nodes: Nodes, data: st.DataObject) -> None:
    """What an origin says of one module is the same whether it works out all others again or remembers them."""
    known = versions(nodes)
    parts = components(plain(nodes))
    cut = data.draw(st.integers(0, len(parts)))
    rest = [key for members in parts[cut:] for key in members]
    replaced = {
        key: (nodes[key][0], [ref if isinstance(ref, bytes) or ref in rest else known[ref] for ref in nodes[key][1]])
        for key in rest
    }
    assert versions(replaced) == {key: known[key] for key in rest}


@given(programs())
def test_nodes_of_one_version_look_alike_at_every_depth(nodes: Nodes) -> None:
    result = versions(nodes)
    for one in nodes:
        for other in nodes:
            if result[one] == result[other]:
                assert nodes[one][0] == nodes[other][0]
                refs = [
                    [ref if isinstance(ref, bytes) else result[ref] for ref in nodes[key][1]] for key in (one, other)
                ]
                assert refs[0] == refs[1]


# ---- constants ----

scalars = st.one_of(
    st.none(),
    st.just(...),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(alphabet=st.characters(), max_size=3),
    st.binary(max_size=3),
)
constants = st.recursive(
    scalars,
    lambda inner: st.one_of(st.tuples(inner), st.tuples(inner, inner), st.frozensets(inner, max_size=3)),
    max_leaves=6,
)


def exact(value: Any) -> Any:
    """What equal constants have in common, as plain data; told apart by type, and zeros by their sign."""
    if type(value) is tuple:
        return ("tuple", *map(exact, value))
    if type(value) is frozenset:
        return ("frozenset", frozenset(map(exact, value)))
    return (type(value).__name__, repr(value))


def with_constant(value: Any) -> types.CodeType:
    return with_constant.__code__.replace(co_consts=(value,))


@given(constants, constants)
def test_constants_have_one_digest_exactly_when_they_are_the_same(one: Any, other: Any) -> None:
    same = code_digest(with_constant(one)) == code_digest(with_constant(other))
    assert same == (exact(one) == exact(other))


@given(st.lists(scalars, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_a_set_is_no_part_of_it(members: list[Any], chance: random.Random) -> None:
    unique = list({exact(member): member for member in {*members}}.values())
    before = code_digest(with_constant(frozenset(unique)))
    chance.shuffle(unique)
    assert code_digest(with_constant(frozenset(unique))) == before


# ---- whole modules ----

MODULES = ["argparse", "asyncio/base_events", "dataclasses", "decimal", "enum", "inspect", "subprocess", "typing"]


def nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from nested(const)


def source(module: str) -> str:
    return (Path(ast.__file__).parent / f"{module}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", MODULES)
def test_every_function_keeps_its_digest_when_compiled_again_from_another_file_further_down(module: str) -> None:
    text = source(module)
    before = list(nested(compile(text, "one.py", "exec")))
    lines = text.split("from __future__", 1)  # the docstring, if any, stays the first statement
    moved = "from __future__".join(["\n" * 300 + lines[0], *lines[1:]])
    after = list(nested(compile(moved, "another.py", "exec")))
    assert [code_digest(code) for code in before] == [code_digest(code) for code in after]
    assert before[0].co_consts != after[0].co_consts or len(before) == 1  # they did move: lines are part of equality


@pytest.mark.parametrize("module", MODULES)
def test_functions_of_one_digest_have_the_same_instructions(module: str) -> None:
    found: dict[bytes, types.CodeType] = {}
    for code in nested(compile(source(module), "one.py", "exec")):
        other = found.setdefault(code_digest(code), code)
        assert (other.co_code, other.co_qualname, other.co_names) == (code.co_code, code.co_qualname, code.co_names)
    assert len(found) > 50 or module == "decimal"  # it imports _decimal and defines nothing


@pytest.mark.parametrize("module", MODULES)
def test_globals_and_imports_are_those_that_the_disassembler_and_the_syntax_tree_see(module: str) -> None:
    text = source(module)
    code = compile(text, "one.py", "exec")
    for each in nested(code):
        seen = {
            instruction.argval
            for inner in nested(each)
            for instruction in dis.get_instructions(inner)
            if instruction.opname.endswith("_GLOBAL")
            or instruction.opname in ("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
        }
        assert globals_of(each) == tuple(sorted(seen))
    imported: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ["asyncio" if node.level else "", node.module]))
            imported |= {base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")}
    imported |= {name[:at] for name in imported for at in range(len(name)) if name[at] == "."}
    assert imports_of(code, "asyncio") == imported
