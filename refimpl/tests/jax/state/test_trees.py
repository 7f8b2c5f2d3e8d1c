"""Trees of parameters: the path of each leaf, saving, and restoring into a structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etui

jax = pytest.importorskip("jax")

from etui.bridges.jax import trees

pytestmark = pytest.mark.frameworks


class Pair(NamedTuple):
    """A node with attributes."""

    left: Any
    right: Any


def tree() -> dict[str, Any]:
    return {
        "layers": [{"w/x": jax.numpy.arange(6.0).reshape(2, 3)}, Pair(np.arange(3), 2.5)],
        "half": jax.numpy.ones(2, jax.numpy.bfloat16),
        "": jax.numpy.asarray(True),
        "none": None,
        "tail": (jax.numpy.ones((), jax.numpy.complex64), 7),
    }


PATHS = ["%", "half", "layers/0/w%2Fx", "layers/1/left", "layers/1/right", "tail/0", "tail/1"]


@pytest.mark.clause("JX-40@b261a4")
def test_the_path_of_a_leaf_is_its_keys() -> None:
    """Keys of dicts, indices and attributes, each escaped; a single array has a name of its own."""
    assert sorted(trees.paths_of(tree()).values()) == PATHS
    assert list(trees.paths_of(jax.numpy.ones(2)).values()) == ["value"]
    assert trees.paths_of({"a": [1.0, {"b": 2.0}]}) == {
        keys: path
        for (keys, _), path in zip(
            jax.tree_util.tree_flatten_with_path({"a": [1.0, {"b": 2.0}]})[0], ["a/0", "a/1/b"], strict=True
        )
    }


@pytest.mark.clause("JX-41@19c2cd", "JX-42@89532f")
def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    """Dtypes, kinds of leaves and structure; the report has an entry for every leaf."""
    report = etui.Report()
    etui.jax.save_tree(tree(), tmp_path / "x.etui", counters={"epoch": 1}, user={"note": "x"}, report=report)
    assert {entry.subject for entry in report.entries} == set(PATHS)
    found, report = etui.jax.load_tree(tmp_path / "x.etui", like=tree())
    assert report.ok
    assert jax.tree.structure(found) == jax.tree.structure(tree())
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(tree()), strict=True):
        assert type(one) is type(other)
        assert np.asarray(one).dtype == np.asarray(other).dtype
        assert np.array_equal(np.asarray(one), np.asarray(other))
    with etui.open(tmp_path / "x.etui") as model:
        assert model.state is not None
        assert model.state.counters == {"epoch": 1}
        assert model.weights is not None
        assert not model.weights["layers/1/left"].trainable
        assert model.weights["layers/0/w%2Fx"].trainable


@pytest.mark.clause("JX-42@89532f")
def test_without_a_structure_a_tree_is_nested_dicts(tmp_path: Path) -> None:
    """Each segment of a path is a level, with its own characters again."""
    etui.jax.save_tree(tree(), tmp_path / "x.etui")
    found, report = etui.jax.load_tree(tmp_path / "x.etui")
    assert set(found) == {"", "half", "layers", "tail"}
    assert np.array_equal(found["layers"]["0"]["w/x"], tree()["layers"][0]["w/x"])
    assert [entry.subject for entry in report.entries if entry.status == "cast"] == [
        "layers/1/left",
        "layers/1/right",
        "tail/1",
    ]


@pytest.mark.clause("JX-42@89532f")
def test_shapes_and_dtypes_are_checked(tmp_path: Path) -> None:
    """A missing, an unexpected, a misshapen leaf and one of another dtype are refused; a cast can be asked for."""
    etui.jax.save_tree({"a": jax.numpy.ones(2), "b": jax.numpy.ones(3), "c": jax.numpy.ones(1)}, tmp_path / "x.etui")
    like = {
        "a": jax.ShapeDtypeStruct((2,), jax.numpy.float16),
        "b": jax.ShapeDtypeStruct((4,), jax.numpy.float32),
        "d": jax.ShapeDtypeStruct((1,), jax.numpy.float32),
    }
    report = etui.Report()
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.jax.load_tree(tmp_path / "x.etui", like=like, report=report)
    assert {entry.subject: entry.status for entry in report.entries} == {
        "a": "not-transferable",
        "b": "shape-mismatch",
        "c": "unexpected",
        "d": "missing",
    }
    found, report = etui.jax.load_tree(tmp_path / "x.etui", like=like, strict=False, cast=True)
    assert found["a"].dtype == jax.numpy.float16
    assert found["b"] is like["b"]
    assert {entry.subject: entry.status for entry in report.entries}["a"] == "cast"


@pytest.mark.clause("JX-43@a87d91")
def test_a_map_names_stored_paths(tmp_path: Path) -> None:
    """Whole paths, beginnings, and a function; the longest beginning counts."""
    etui.jax.save_tree(
        {"old": {"a": jax.numpy.zeros(1), "b": jax.numpy.ones(1)}, "c": jax.numpy.ones(2)}, tmp_path / "x.etui"
    )
    like = {"new": {"a": jax.numpy.ones(1), "deep": {"b": jax.numpy.zeros(1)}}, "d": jax.numpy.zeros(2)}
    names = {"new/": "old/", "new/deep/": "old/", "d": "c"}
    found, report = etui.jax.load_tree(tmp_path / "x.etui", like, names)
    assert report.ok
    assert float(found["new"]["a"][0]) == 0
    assert float(found["new"]["deep"]["b"][0]) == 1
    by_function, _ = etui.jax.load_tree(
        tmp_path / "x.etui", like, lambda path: {"new/a": "old/a", "new/deep/b": "old/b", "d": "c"}[path]
    )
    assert jax.tree.all(jax.tree.map(np.array_equal, found, by_function))
    assert trees.renamed("x/y", {"": "root/"}) == "root/x/y"


@pytest.mark.clause("JX-46@186c59")
def test_random_keys_are_state(tmp_path: Path) -> None:
    """A typed key comes back with its algorithm, and is refused for a leaf of another one."""
    source = {"key": jax.random.key(3), "w": jax.numpy.ones(1)}
    etui.jax.save_tree(source, tmp_path / "x.etui")
    with etui.open(tmp_path / "x.etui") as model:
        assert model.state is not None
        assert model.state.rng["key"].algorithm == "jax:threefry2x32"
    found, report = etui.jax.load_tree(tmp_path / "x.etui", like={"key": jax.random.key(0), "w": jax.numpy.zeros(1)})
    assert report.ok
    assert float(jax.random.uniform(found["key"])) == float(jax.random.uniform(source["key"]))
    report = etui.Report()
    like = {"key": jax.random.key(0, impl="rbg"), "w": jax.numpy.zeros(1)}
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.jax.load_tree(tmp_path / "x.etui", like=like, report=report)
    assert [(entry.subject, entry.status) for entry in report.lost] == [("rng/key", "not-transferable")]


@pytest.mark.clause("JX-41@19c2cd")
def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    """A text or a function among the leaves is named, and nothing is written."""
    for leaf in ("text", print, object()):
        with pytest.raises(etui.TransferError, match="jax-leaf"):
            etui.jax.save_tree({"a": leaf}, tmp_path / "x.etui")
    assert not (tmp_path / "x.etui").exists()
    with pytest.raises(etui.UsageError, match="jax-argument"):
        etui.jax.save_tree({"a": jax.numpy.ones(1)}, tmp_path / "x.etui", opt_state=(), optimized="b")


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
_LEAVES = st.builds(
    lambda n, d: np.arange(n).astype(d), st.integers(0, 3), st.sampled_from(["float32", "int8", "bool"])
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.dictionaries(_NAMES, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3),
    max_leaves=6,
)


@pytest.mark.clause("JX-40@b261a4", "JX-42@89532f")
@settings(max_examples=25, derandomize=True, deadline=None)
@given(_TREES)
def test_any_tree_comes_back(value: Any) -> None:
    """Trees with any keys are restored, leaf by leaf."""
    model = trees.to_model(value, etui.Report())
    report = etui.Report()
    found = trees.restored(model, jax.tree.map(np.zeros_like, value), report)
    assert report.ok
    assert jax.tree.structure(found) == jax.tree.structure(value)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(value), strict=True))
