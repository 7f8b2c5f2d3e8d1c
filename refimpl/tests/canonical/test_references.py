"""What values and documents name: variables by their paths, and things that must be there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import consistency
from etui.canonical.values import AssetRef, MapValue, ModuleRef, ObjectValue, StoredTensor, VariableRef
from etui.errors import InvalidError
from etui.testing import samples

REFERENCES: dict[str, tuple[Any, Any]] = {
    "variable": (VariableRef("dense/kernel"), VariableRef("dense/kernels")),
    "module": (ModuleRef("own/inner"), ModuleRef("own/outer")),
    "asset": (AssetRef(samples.VOCABULARY), AssetRef("assets/vocabulary")),
}
HOLDERS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda value: value,
    "in a tuple": lambda value: [0, (1, {"a": value})],
    "as a key": lambda value: {value: 1},
    "in an object": lambda value: ObjectValue("keras:Zeros", {"a": slice(None, value)}),
    "in a residue": lambda value: ObjectValue("keras:Zeros", None, None, {"keras": {"a": MapValue((([value], 1),))}}),
}


def place_in_config(model: etui.Model, value: Any) -> None:
    assert model.config is not None
    model.config.model.attrs["x"] = value


def place_in_training(model: etui.Model, value: Any) -> None:
    assert model.training is not None
    model.training.options["x"] = value


def place_in_optimizer(model: etui.Model, value: Any) -> None:
    assert model.optimizer is not None
    next(iter(model.optimizer.optimizers.values())).hyperparameters["x"] = value


def place_in_state(model: etui.Model, value: Any) -> None:
    assert model.state is not None
    model.state.user["x"] = value


def place_in_manifest(model: etui.Model, value: Any) -> None:
    model.metadata["x"] = value


PLACES = (place_in_config, place_in_training, place_in_optimizer, place_in_state, place_in_manifest)


@pytest.mark.clause("V-10@c191c2")
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("kind", REFERENCES)
def test_references_lead_to_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, holder: str
) -> None:
    """A reference in any document, however deep, is accepted if its target exists and refused if not."""
    there, missing = (HOLDERS[holder](reference) for reference in REFERENCES[kind])
    for number, place in enumerate(PLACES):
        good, bad = samples.everything(), samples.everything()
        place(good, there)
        place(bad, missing)
        etui.save(good, tmp_path / f"good{number}.etui")
        etui.open(tmp_path / f"good{number}.etui").close()
        with pytest.raises(InvalidError, match="reference-missing"):
            etui.save(bad, tmp_path / "refused.etui")
        with monkeypatch.context() as patch:
            patch.setattr(consistency, "check", lambda _: None)
            etui.save(bad, tmp_path / f"bad{number}.etui")
        with pytest.raises(InvalidError, match="reference-missing"):
            etui.open(tmp_path / f"bad{number}.etui")


@pytest.mark.clause("V-10@c191c2")
@pytest.mark.parametrize("place", [place_in_config, place_in_training, place_in_manifest])
def test_stored_tensors_are_those_of_the_document(place: Callable[[etui.Model, Any], None], tmp_path: Path) -> None:
    """A document without an index of tensors has no stored tensor, not even one that another document has."""
    model = samples.everything()
    place(model, [StoredTensor("dense/kernel")])
    with pytest.raises(InvalidError, match="reference-missing"):
        etui.save(model, tmp_path / "bad.etui")


@pytest.mark.clause("V-10@c191c2")
def test_variables_need_not_be_there_without_weights(tmp_path: Path) -> None:
    """A config alone may name the variables that its weights, which are elsewhere, have."""
    module = etui.Module("m", op="keras:Dense", attrs={"x": VariableRef("elsewhere/kernel")})
    etui.save(etui.Model(config=etui.Config(module)), tmp_path / "config.etui")
    with etui.open(tmp_path / "config.etui") as model:
        assert model.config is not None
        assert model.config.model.attrs == {"x": VariableRef("elsewhere/kernel")}


@pytest.mark.clause("D-1@2c2de7")
def test_variables_are_known_by_their_paths(tmp_path: Path) -> None:
    """A variable has the same elements and role under its path wherever it stands in the order and in the files."""
    arrays = {f"block_{number}/kernel": np.full(3, number, np.float32) for number in range(6)}
    for number, paths in enumerate((sorted(arrays), sorted(arrays, reverse=True))):
        weights = etui.Weights()
        for path in paths:
            weights.add(path, etui.Tensor.of(arrays[path]), role=f"role of {path}")
        etui.save(etui.Model(weights=weights), tmp_path / str(number), shard_size=24)
        with etui.open(tmp_path / str(number)) as model:
            assert model.weights is not None
            assert list(model.weights.variables) == paths
            for path, array in arrays.items():
                assert model.weights[path].numpy().tobytes() == array.tobytes()
                assert model.weights.variables[path].role == f"role of {path}"
