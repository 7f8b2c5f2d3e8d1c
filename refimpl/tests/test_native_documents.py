"""Native documents and programs: kept as they are, used while they are fresh, never needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import etui
from etui.containers.config import Config, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Blob, Model, Native
from etui.testing.equality import same
from etui.testing.hostile import drop, parts_of, tampered
from etui.testing.samples import CURRENT, PROGRAM, STALE, everything

BASE = parts_of(everything())


def weights_of(**arrays: Any) -> Weights:
    """Variables by their paths."""
    weights = Weights()
    for path, array in arrays.items():
        weights.add(path, Tensor.of(array), role="kernel")
    return weights


@pytest.mark.clause("N-2@ec26e1", "N-3@2ee5a9", "N-4@fc390c")
def test_a_native_document_is_used_until_what_it_was_bound_to_changes() -> None:
    """A bound native document is given out while its documents are as they were, and is stale after any change."""
    with etui.open(BASE) as opened:
        report = etui.Report()
        assert opened.native_document(CURRENT, report) == BASE[CURRENT]
        assert opened.native_document(STALE, report) is None
        assert opened.native_document("native/keras/nothing", report) is None
        assert [(entry.subject, entry.status) for entry in report.entries] == [(CURRENT, "verbatim"), (STALE, "stale")]
        assert opened.config is not None
        opened.config.model.modules[2].attrs["units"] = 8
        assert opened.native_document(CURRENT, report) is None
        rewritten = parts_of(opened)
    with etui.open(rewritten) as again:
        assert again.native_document(CURRENT) is None
        assert again.config is not None
        assert again.config.find("dense").attrs["units"] == 8
        # Handed on, though it is stale.
        assert again.native[CURRENT].blob.read() == BASE[CURRENT]


@pytest.mark.clause("N-2@ec26e1", "N-3@2ee5a9")
def test_a_native_document_that_is_bound_to_weights_is_stale_when_a_value_changes() -> None:
    """Bindings to documents with data follow the data: another value or chunk makes stale, another shard does not."""
    model = Model(weights=weights_of(a=np.zeros(4), b=np.ones(4)))
    model.native["native/f/x"] = model.bind(Blob.of(b"native"), "f", None, "weights.json")
    assert model.native_document("native/f/x") == b"native"
    with etui.open(parts_of(model, shard_size=1)) as opened:
        assert opened.native_document("native/f/x") == b"native"
        with etui.open(parts_of(opened)) as again:
            assert again.native_document("native/f/x") == b"native"
            assert again.weights is not None
            again.weights.variables["a"].tensor = Tensor.of(np.array([0, 0, 0, -0.0]))
            assert again.native_document("native/f/x") is None


@pytest.mark.clause("N-3@2ee5a9")
def test_a_native_document_is_stale_when_its_document_is_gone() -> None:
    """Without the document that it is bound to, a native document is not used."""
    with etui.open(BASE) as opened:
        opened.training = None
        assert opened.native_document(CURRENT) is None


@pytest.mark.clause("N-5@b7100d")
def test_a_native_document_without_bindings_is_only_handed_on() -> None:
    """An unbound native document is not given out for use, and is there after a rewrite as it was."""
    model = Model(weights=Weights(), native={"native/keras/notes.txt": Native(Blob.of(b"notes"), "keras")})
    with etui.open(parts_of(model)) as opened:
        assert opened.native_document("native/keras/notes.txt") is None
        assert parts_of(opened)["native/keras/notes.txt"] == b"notes"


@pytest.mark.clause("G-1@b814a3", "G-3@503a93")
def test_config_and_weights_do_not_depend_on_a_program() -> None:
    """Without its programs an artifact has the same config and weights, and no longer requires the feature."""
    with etui.open(BASE) as whole, etui.open(BASE) as other:
        assert list(whole.programs) == [PROGRAM]
        other.programs.clear()
        with etui.open(parts_of(other)) as without:
            assert same(without.config, whole.config)
            assert same(without.weights, whole.weights)
            assert without.manifest is not None
            assert "programs" not in without.manifest.requires


@pytest.mark.clause("C-17@c77343")
def test_residue_says_nothing_of_what_a_model_computes() -> None:
    """Without its residue a config has the same modules, graph and parameters."""
    with (
        etui.open(BASE) as whole,
        etui.open(tampered(BASE, "config.json", drop("model", "modules", 2, "residue"))) as bare,
    ):
        assert whole.config is not None
        assert bare.config is not None
        assert whole.config.find("dense").residue
        for _, module in whole.config.walk():
            module.residue = {}
        assert same(bare.config, whole.config)


@pytest.mark.clause("C-7@2332d1", "C-10@b7635b", "Q-2@bc8df6")
def test_an_opaque_model_keeps_its_tree_and_needs_its_feature() -> None:
    """A model whose calls are unknown is written with its name, config, modules and variables, and is kept as data."""
    inner = Module("dense", op="future:Dense", attrs={"units": 3}, params={"kernel": "dense/kernel"})
    config = Config(Module("mine", "opaque", "custom:mine>Model", {"width": 3}, modules=[inner]))
    model = Model(config, weights_of(**{"dense/kernel": np.zeros((3, 3))}))
    with etui.open(parts_of(model)) as opened:
        assert same(opened, model)
        assert opened.manifest is not None
        assert opened.manifest.requires == ["opaque"]
