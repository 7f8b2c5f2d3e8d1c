"""The vocabulary as data, the types of its attributes, and the schemas that are made from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etui
from etui import schemas
from etui.canonical import values
from etui.canonical.values import ObjectValue
from etui.containers.config import Module
from etui.core import vocabulary
from etui.core.attribute_types import fits
from etui.core.vocabulary import Attr, Param

REPOSITORY = Path(etui.__file__).parents[2]


@pytest.mark.library
def test_each_entry_names_types_that_there_are() -> None:
    """Every attribute has a type that is checked, every default but null is of it, and every use is in the file."""
    document = vocabulary.document()
    groups = [entry.attrs for entry in vocabulary.ops().values()]
    groups += [rule.hyperparameters for rule in vocabulary.optimizers().values()]
    groups += [attrs for kind in vocabulary.kinds() for attrs in vocabulary.objects(kind).values()]
    count = 0
    for attr in (attr for group in groups for attr in group.values()):
        assert attr.choices or attr.type in {*document["defs"], "boolean", "integer", "string"}
        assert attr.required or attr.default is None or fits(attr, attr.default), attr
        count += 1
    assert count > 700
    assert len(vocabulary.ops()) == len(document["ops"]) == 81
    assert len(vocabulary.optimizers()) == len(document["optimizers"]) >= 13


@pytest.mark.library
def test_defaults_are_filled_in_as_copies() -> None:
    """A module's attributes come before the defaults, which nobody can change for others."""
    module = Module("n", op="core:layer_norm", attrs={"epsilon": 0.5})
    found = vocabulary.attrs_of(module)
    assert (found["epsilon"], found["axes"], found["scale"], found["trainable"]) == (0.5, [-1], True, True)
    found["axes"].append(7)
    assert vocabulary.attrs_of(module)["axes"] == [-1]
    assert "units" not in vocabulary.attrs_of(Module("d", op="core:dense"))
    assert vocabulary.object_attrs(ObjectValue("core:losses.huber", {}))["delta"] == 1.0


@pytest.mark.clause("CV-6@e1024c")
@pytest.mark.parametrize(
    ("when", "attrs", "expected"),
    [
        ("", {}, True),
        ("use_bias", {"use_bias": True}, True),
        ("use_bias", {"use_bias": False}, False),
        ("bias_axes", {"bias_axes": "d"}, True),
        ("bias_axes", {"bias_axes": None}, False),
        ("!mean", {"mean": None}, True),
        ("!mean", {"mean": 0.0}, False),
        ("score_mode=concat", {"score_mode": "concat"}, True),
        ("score_mode=concat", {"score_mode": "dot"}, False),
        ("use_gate & use_bias", {"use_gate": True, "use_bias": True}, True),
        ("use_gate & use_bias", {"use_gate": True, "use_bias": False}, False),
    ],
)
def test_conditions(when: str, attrs: dict[str, Any], expected: bool) -> None:
    """A condition holds for values that are neither null nor false, for their absence, for one value, or for two."""
    assert Param("role", ("units",), when).present(attrs) == expected


@pytest.mark.clause("C-9@2bc586")
@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("core:dense", "op"),
        ("core:adam", "algorithm"),
        ("core:losses.huber", "class"),
        ("core:activations.relu", "class"),
    ],
)
def test_a_name_is_defined_for_its_use_alone(name: str, use: str) -> None:
    """An op is no class, and an algorithm no op; there are no generators of random numbers."""
    assert [one for one in ("op", "algorithm", "class", "generator") if vocabulary.defines(name, one)] == [use]


@pytest.mark.library
def test_the_schemas_are_those_that_the_vocabulary_gives() -> None:
    """The generator, run again, has nothing to write."""
    script = REPOSITORY / "conformance" / "generators" / "core_schemas.py"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "refimpl")}
    done = subprocess.run(
        [sys.executable, str(script), "--check"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "stale: none"), done.stderr


FLOATS = st.sampled_from([0.0, 1.0, -2.5, 1e30, float("inf")])
INTEGERS = st.sampled_from([-1, 0, 1, 2, 7, 2**60])
TEXTS = st.sampled_from(["valid", "same", "relu", "float32", "newaxis", "...", "a", "threshold", ""])
LEAVES = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS)
OBJECTS = st.sampled_from(
    [
        ObjectValue("core:activations.relu", {"max_value": 6.0}),
        ObjectValue("core:activations.relu", {"max_value": 6}),
        ObjectValue("core:activations.relu", {}),
        ObjectValue("core:activations.threshold", {"threshold": 0.5}),
        ObjectValue("core:activations.threshold", {"threshold": 0.5, "default_value": 0.0}),
        ObjectValue("core:initializers.zeros", {}),
        ObjectValue("core:initializers.zeros", None),
        ObjectValue("core:initializers.random_normal", {"stddev": 0.05}),
        ObjectValue("core:regularizers.l2", {"l2": 0.5}),
        ObjectValue("keras:regularizers.L2", {"l2": 0.5}),
    ]
)
VALUES = st.recursive(
    st.one_of(LEAVES, OBJECTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(INTEGERS, max_size=3),
        st.lists(FLOATS, max_size=3),
        st.lists(st.lists(st.sampled_from([0, 1, 2]), min_size=2, max_size=2), max_size=2),
        st.dictionaries(st.sampled_from(["kernel", "compute_dtype", "variable_dtype"]), inner, max_size=2),
        st.tuples(inner),
    ),
    max_leaves=6,
)


def types() -> list[str]:
    names = set(schemas.load("core/types")["$defs"])
    return sorted(names & ({*vocabulary.document()["defs"], "boolean", "integer", "string"}))


@pytest.mark.clause("CV-2@49bc01", "CV-4@ca9277")
@settings(derandomize=True, deadline=None, max_examples=300)
@given(VALUES)
def test_the_types_and_their_schemas_agree(value: Any) -> None:
    """A value is of a type exactly if the schema of the type accepts its tagged form."""
    tree = values.to_json(value)
    assert len(types()) > 25
    for name in types():
        accepted = schemas.validate(f"core/types#/$defs/{name}", tree, "value") == []
        assert fits(Attr("x", name), value) == accepted, name


GOOD = {"name": "d", "kind": "layer", "op": "core:dense", "params": {"kernel": "d/kernel", "bias": "d/bias"}}


@pytest.mark.clause("CV-1@e90ac2", "CV-2@49bc01", "CV-3@214494", "CV-6@e1024c")
@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"attrs": {"units": 2}}, None),
        ({"attrs": {"units": 2, "trainable": False}}, None),
        (
            {
                "attrs": {
                    "units": 2,
                    "activation": {"$object": {"class": "core:activations.elu", "config": {"alpha": 0.5}}},
                }
            },
            None,
        ),
        ({}, ""),
        ({"attrs": {}}, "/attrs"),
        ({"attrs": {"units": {"$float": "2"}}}, "/attrs/units"),
        ({"attrs": {"units": 2, "trainable": True}}, "/attrs/trainable"),
        ({"attrs": {"units": 2, "rate": 0.5}}, "/attrs"),
        ({"attrs": {"units": 2}, "params": {"kernel": "d/kernel", "gamma": "d/gamma"}}, "/params"),
        ({"attrs": {"units": 2}, "op": "core:nothing"}, "/op"),
    ],
)
def test_the_schema_of_ops(change: dict[str, Any], at: str | None) -> None:
    """The schema accepts a module of the op, and points at what is wrong with another."""
    faults = schemas.validate("core/ops", {**GOOD, **change}, "module")
    assert {fault.path for fault in faults} == (set() if at is None else {at})


@pytest.mark.clause("CV-1@e90ac2", "CV-2@49bc01")
@pytest.mark.parametrize(
    ("hyperparameters", "good"),
    [
        ({}, True),
        ({"learning_rate": 0.5, "amsgrad": True}, True),
        ({"learning_rate": {"$float": "1"}}, True),
        ({"learning_rate": 1}, False),
        ({"beta_1": 0.9}, False),
        ({"rho": 0.9}, False),
    ],
)
def test_the_schema_of_optimizers(hyperparameters: dict[str, Any], good: bool) -> None:
    """The schema accepts hyperparameters that the rule has and that differ from their defaults."""
    document = {"algorithm": "core:adam", "hyperparameters": hyperparameters}
    assert (schemas.validate("core/optimizers", document, "optimizer") == []) == good


@pytest.mark.library
def test_reading_the_vocabulary_imports_nothing_heavy() -> None:
    """Neither jsonschema nor a framework is imported for it, nor for the evaluator."""
    program = "import sys, etui.core.evaluate, etui.core.check; etui.core.vocabulary.ops(); print(sorted(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "refimpl")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "etui.core.vocabulary" in done.stdout
    for name in ("jsonschema", "keras", "torch", "jax", "tensorflow", "scipy", "h5py"):
        assert f"'{name}'" not in done.stdout
