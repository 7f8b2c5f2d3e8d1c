"""Orbax checkpoints in and out, and folders that are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

jax = pytest.importorskip("jax")
ocp = pytest.importorskip("orbax.checkpoint")

# Orbax warns of what a caller might wish for; none of it concerns what is read here.
pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]

TREE = {
    "params": {"d/x": {"kernel": np.arange(6, dtype="float32").reshape(2, 3), "bias": np.zeros(3)}},
    "stats": {"mean": np.ones(2, "float32")},
    "layers": [np.arange(3), {"a": 1.5}],
    "half": jax.numpy.ones(2, jax.numpy.bfloat16),
    "step": 3,
    "name": "hello",
    "none": None,
    "empty": {},
}
PATHS = {
    "params/d%2Fx/kernel",
    "params/d%2Fx/bias",
    "stats/mean",
    "layers/0",
    "layers/1/a",
    "half",
    "step",
    "name",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, one without OCDBT, and a step of a manager."""
    folder = tmp_path_factory.mktemp("orbax")
    ocp.PyTreeCheckpointer().save(folder / "tree", TREE)
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False)).save(folder / "plain", TREE)
    manager = ocp.CheckpointManager(folder / "manager")
    manager.save(4, args=ocp.args.StandardSave({"params": {"w": np.ones(3)}, "step": 4}))
    manager.wait_until_finished()
    return folder


def same(one: Any, other: Any) -> bool:
    left, right = jax.tree.leaves(one), jax.tree.leaves(other)
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(left, right, strict=True)
    )


@pytest.mark.clause("JX-70@59f84f")
@pytest.mark.parametrize("form", ["tree", "plain"])
def test_leaves_are_variables_under_their_paths(form: str, saved: Path) -> None:
    """Arrays, numbers and texts with their dtypes; what is below `params` trains."""
    report = etui.Report()
    model = etui.jax.from_orbax(saved / form, report)
    assert model.weights is not None
    assert set(model.weights) == PATHS
    assert {entry.subject for entry in report.entries if entry.status == "restored"} == PATHS
    assert model.weights["half"].dtype == "bfloat16"
    assert model.weights["name"].numpy()[()] == "hello"
    assert model.weights["step"].shape == ()
    assert np.array_equal(model.weights["params/d%2Fx/kernel"].numpy(), TREE["params"]["d/x"]["kernel"])
    assert {path for path in model.weights if model.weights[path].trainable} == {
        "params/d%2Fx/kernel",
        "params/d%2Fx/bias",
    }


@pytest.mark.clause("JX-70@59f84f")
def test_a_step_with_one_item_is_that_item(saved: Path, tmp_path: Path) -> None:
    """A manager's step is read; with two items the caller must name one."""
    model = etui.jax.from_orbax(saved / "manager" / "4")
    assert model.weights is not None
    assert set(model.weights) == {"params/w", "step"}
    shutil.copytree(saved / "manager" / "4", tmp_path / "4")
    shutil.copytree(tmp_path / "4" / "default", tmp_path / "4" / "other")
    with pytest.raises(etui.InvalidError, match="orbax-form"):
        etui.jax.from_orbax(tmp_path / "4")
    with pytest.raises(etui.InvalidError, match="orbax-form"):
        etui.jax.from_orbax(saved)


@pytest.mark.clause("JX-71@f820dd", "JX-72@096e5c")
def test_a_checkpoint_comes_back_through_an_etui(saved: Path, tmp_path: Path) -> None:
    """Converted and converted back, Orbax restores the same tree: lists, None and empty dicts, too."""
    report = etui.convert(saved / "tree", tmp_path / "x.etui")
    assert report.ok
    report = etui.convert(tmp_path / "x.etui", tmp_path / "back", to="orbax")
    assert report.ok
    assert same(ocp.PyTreeCheckpointer().restore(tmp_path / "back"), ocp.PyTreeCheckpointer().restore(saved / "tree"))
    etui.convert(tmp_path / "x.etui", tmp_path / "back", to="orbax")


@pytest.mark.clause("JX-71@f820dd")
def test_any_models_variables_are_a_tree_of_dicts(tmp_path: Path) -> None:
    """Paths become nested dicts, an alias a copy; what has no place is refused by a strict conversion."""
    model = etui.Model(weights=etui.Weights(), metadata={"a": 1})
    assert model.weights is not None
    model.weights.add("enc/layer_0/kernel", etui.Tensor.of(np.ones((2, 2), "float32")), role="kernel")
    model.weights.aliases["dec/kernel"] = "enc/layer_0/kernel"
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.jax.to_orbax(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    model.metadata = {}
    report = etui.jax.to_orbax(model, tmp_path / "out")
    assert report.ok
    found = ocp.PyTreeCheckpointer().restore(tmp_path / "out")
    assert np.array_equal(found["enc"]["layer_0"]["kernel"], np.ones((2, 2)))
    assert np.array_equal(found["dec"]["kernel"], np.ones((2, 2)))


@pytest.mark.clause("JX-73@6e77ba")
def test_paths_that_are_no_tree_are_refused(tmp_path: Path) -> None:
    """Leaves below each other, and leaves of one name in Orbax, are not written."""
    for paths in (("a", "a/b"), ("a/b", "a"), ("a.b", "a/b")):
        model = etui.Model(weights=etui.Weights())
        assert model.weights is not None
        for path in paths:
            model.weights.add(path, etui.Tensor.of(np.ones(1)), role="w")
        with pytest.raises(etui.TransferError, match="jax-leaf"):
            etui.jax.to_orbax(model, tmp_path / "out")
    with pytest.raises(etui.TransferError, match="jax-parts"):
        etui.jax.to_orbax(etui.Model(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _copy(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved / "tree", tmp_path / "copy")
    return tmp_path / "copy"


def _edited(folder: Path, edit: Any) -> None:
    text = json.loads((folder / "_METADATA").read_text())
    edit(text)
    (folder / "_METADATA").write_text(json.dumps(text))


def _entry(tree: dict[str, Any], *keys: str) -> None:
    value = {"value_type": "np.ndarray", "skip_deserialize": False}
    tree[str(keys)] = {"key_metadata": [{"key": key, "key_type": 2} for key in keys], "value_metadata": value}


@pytest.mark.clause("JX-80@1c3d55")
@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "[" * 100_000, '{"tree_metadata": 3}', '{"tree_metadata": {"a": 3}}',
     '{"tree_metadata": {"a": {"key_metadata": [{"key": 3, "key_type": 2}], "value_metadata": {}}}}',
     '{"tree_metadata": {"a": {"key_metadata": [], "value_metadata": {"value_type": "jax.Array"}}}}',
     '{"tree_metadata": {"a": {"key_metadata": [{"key": "x", "key_type": 1}], "value_metadata": {}}}}'],
)  # fmt: skip
def test_a_tree_of_another_form_is_refused(text: str, saved: Path, tmp_path: Path) -> None:
    """The file of keys must be what Orbax writes."""
    folder = _copy(saved, tmp_path)
    (folder / "_METADATA").write_text(text)
    with pytest.raises(etui.InvalidError, match="orbax-form"):
        etui.jax.from_orbax(folder)


@pytest.mark.clause("JX-81@55ecae")
@pytest.mark.parametrize("keys", [("../../etc",), ("a", "/../x"), ("/etc",), ("x/../y",), ("a\0",)])
def test_a_name_that_may_lead_outside_is_refused(keys: tuple[str, ...], saved: Path, tmp_path: Path) -> None:
    """Orbax makes file names of keys: those that leave the folder are not looked up."""
    folder = _copy(saved, tmp_path)
    _edited(folder, lambda text: _entry(text["tree_metadata"], *keys))
    with pytest.raises(etui.UnsafeError, match="orbax-name"):
        etui.jax.from_orbax(folder)


@pytest.mark.clause("JX-82@0c4a9a")
def test_links_are_refused(saved: Path, tmp_path: Path) -> None:
    """A link below the folder is not followed."""
    folder = _copy(saved, tmp_path)
    (folder / "manifest.ocdbt").unlink()
    (folder / "manifest.ocdbt").symlink_to(saved / "tree" / "manifest.ocdbt")
    with pytest.raises(etui.UnsafeError, match="foreign-folder-link"):
        etui.jax.from_orbax(folder)


@pytest.mark.clause("JX-83@32a0ba")
def test_damaged_and_missing_data_is_refused(saved: Path, tmp_path: Path) -> None:
    """Whatever Orbax or TensorStore raise about the content is one coded error."""
    folder = _copy(saved, tmp_path)
    _edited(folder, lambda text: _entry(text["tree_metadata"], "more"))
    with pytest.raises(etui.MalformedError, match="orbax-data"):
        etui.jax.from_orbax(folder)
    shutil.rmtree(folder)
    folder = _copy(saved, tmp_path)
    for part in (folder / "ocdbt.process_0").rglob("*"):
        if part.is_file():
            part.write_bytes(b"\0" * part.stat().st_size)
    manifest = folder / "manifest.ocdbt"
    manifest.write_bytes(manifest.read_bytes()[:-7] + b"damaged")
    with pytest.raises(etui.MalformedError, match="orbax-data"):
        etui.jax.from_orbax(folder)


@pytest.mark.clause("JX-86@b82792")
def test_a_dtype_that_there_is_not_is_refused(tmp_path: Path) -> None:
    """An eight-bit float of a rare kind has no dtype here."""
    import ml_dtypes

    ocp.PyTreeCheckpointer().save(tmp_path / "x", {"a": np.ones(2, ml_dtypes.float8_e3m4)})
    with pytest.raises(etui.UnsupportedError, match="orbax-leaf"):
        etui.jax.from_orbax(tmp_path / "x")


@pytest.mark.clause("JX-84@2fec3f")
def test_declared_sizes_are_bounded_before_anything_is_read(saved: Path, tmp_path: Path) -> None:
    """An array that is declared large and hardly stored is refused, and so is one beyond the caller's limit."""
    folder = tmp_path / "plain"
    shutil.copytree(saved / "plain", folder)
    header = folder / "stats.mean" / ".zarray"
    declared = json.loads(header.read_text())
    for shape in ([2**40], [2**52]):
        declared["shape"] = shape
        header.write_text(json.dumps(declared))
        with pytest.raises(etui.LimitError, match="limit-"):
            etui.jax.from_orbax(folder)


@pytest.mark.clause("JX-85@e95ab9")
def test_folders_are_recognised_by_their_content(saved: Path, tmp_path: Path) -> None:
    """A checkpoint is known by its files, whatever its name; a manager with several steps is not one model."""
    from etui import bridges

    for name in ("tree", "plain", "manager/4"):
        found = bridges.recognise(saved / name)
        assert found is not None
        assert found.name == "orbax"
    assert bridges.recognise(saved / "manager") is None
    (tmp_path / "_METADATA").write_text("{}")
    assert bridges.recognise(tmp_path) is None
