"""States of torch through `torch.distributed.checkpoint` and an artifact, in one process (SPEC.md annex R.3)."""

from __future__ import annotations

import gc
import io
import os
import pickle
import warnings
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.checkpoints import Series
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.report import Report

torch: Any = pytest.importorskip("torch")
pytestmark = pytest.mark.frameworks


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Not for the device, as the machine itself does not fall, nor for threads that small tensors do not need."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


dcp: Any = pytest.importorskip("torch.distributed.checkpoint")
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_state_dict,
)


def make() -> Any:
    """A module with every kind of tensor that a `state_dict` has: tied, frozen, buffers, a scalar, complex."""
    torch.manual_seed(3)
    module = torch.nn.ModuleDict(
        {
            "embed": torch.nn.Embedding(7, 4),
            "body": torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 4)),
            "head": torch.nn.Linear(4, 7, bias=False),
        }
    )
    module["head"].weight = module["embed"].weight
    module["body"][2].bias.requires_grad = False
    module.register_buffer("scale", torch.tensor(0.5, dtype=torch.float64))
    module.register_buffer("phase", torch.complex(torch.arange(3.0), torch.ones(3)))
    return module


def step(module: Any, optimizer: Any, number: int) -> float:
    """One step of training on a batch that its number says."""
    generator = torch.Generator().manual_seed(number)
    batch = torch.randint(0, 7, (8,), generator=generator)
    optimizer.zero_grad()
    out = module["head"](module["body"](module["embed"](batch))) * module.scale.float()
    loss = torch.nn.functional.cross_entropy(out, batch)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def quietly(function: Any, *arguments: Any, **options: Any) -> Any:
    """Call DCP without a word on that there is only one process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, no_dist=True, **options)


def save(state: Any, target: Any, **options: Any) -> Any:
    """Save a state and give the writer."""
    writer = etui.torch.DistributedWriter(target, **options)
    quietly(dcp.save, state, storage_writer=writer)
    return writer


def load(state: Any, source: Any, **options: Any) -> Any:
    """Load into a state and give the reader."""
    reader = etui.torch.DistributedReader(source, **options)
    quietly(dcp.load, state, storage_reader=reader)
    return reader


def flat(state: Any) -> dict[str, Any]:
    """A state as DCP flattens it, each tensor as its dtype, shape and bytes."""
    from torch.distributed.checkpoint._nested_dict import flatten_state_dict

    return {key: bits(value) for key, value in flatten_state_dict(state)[0].items()}


def bits(value: Any) -> Any:
    """A tensor as what can be compared."""
    if not isinstance(value, torch.Tensor):
        return type(value).__name__, repr(value)
    plain = torch.view_as_real(value) if value.is_complex() else value
    data = plain.detach().contiguous().flatten().view(torch.uint8) if plain.numel() else plain.flatten()
    return str(value.dtype), tuple(value.shape), bytes(data.tolist()) if plain.numel() else b""


OPTIMIZERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "Adam": ("Adam", {"lr": 1e-2, "amsgrad": True, "weight_decay": 0.1}, "core:adam"),
    "AdamW": ("AdamW", {"lr": 1e-2}, "core:adam"),
    "NAdam": ("NAdam", {"lr": 1e-2}, "core:nadam"),
    "SGD": ("SGD", {"lr": 1e-2, "momentum": 0.9, "nesterov": True}, "core:sgd"),
    "SGD, plain": ("SGD", {"lr": 1e-2}, "core:sgd"),
    "RMSprop": ("RMSprop", {"lr": 1e-3, "momentum": 0.5, "centered": True}, "core:rmsprop"),
    "Adagrad": ("Adagrad", {"lr": 1e-2}, "core:adagrad"),
    "Adadelta": ("Adadelta", {"lr": 1.0}, "core:adadelta"),
    "Adamax": ("Adamax", {"lr": 1e-2}, "core:adamax"),
    "Adafactor": ("Adafactor", {"lr": 1e-2}, ""),
    "RAdam": ("RAdam", {"lr": 1e-2}, ""),
    "Rprop": ("Rprop", {"lr": 1e-2}, ""),
    "ASGD": ("ASGD", {"lr": 1e-2}, ""),
}


def optimizer_of(case: str, module: Any) -> Any:
    """An optimizer of two groups, the second of which has another rate."""
    kind, options, _ = OPTIMIZERS[case]
    body = [param for param in module["body"].parameters() if param.requires_grad]
    return getattr(torch.optim, kind)(
        [{"params": list(module["embed"].parameters())}, {"params": body, "lr": options["lr"] / 2}], **options
    )


@pytest.mark.clause("DW-10@07ccba", "DW-13@931bda", "DW-14@27a04e", "DW-16@d82f39")
@pytest.mark.parametrize("flatten", [False, True], ids=["nested", "flat"])
@pytest.mark.parametrize("case", OPTIMIZERS)
def test_every_optimizer_comes_back_bit_for_bit(case: str, flatten: bool, tmp_path: Path) -> None:
    """A training goes on as if it had not been saved; the file says which rule it is, where the vocabulary has it."""
    module = make()
    optimizer = optimizer_of(case, module)
    for number in range(3):
        step(module, optimizer, number)
    options = StateDictOptions(flatten_optimizer_state_dict=flatten)
    model, optim = get_state_dict(module, optimizer, options=options)
    state = {"model": model, "optim": optim}
    writer = save(state, tmp_path / "etui")
    expected = flat(state)

    fresh = make()
    other = optimizer_of(case, fresh)
    model, optim = get_state_dict(fresh, other, options=options)
    state = {"model": model, "optim": optim}
    assert flat(state) != expected
    load(state, tmp_path / "etui")
    assert flat(state) == expected
    set_state_dict(fresh, other, model_state_dict=state["model"], optim_state_dict=state["optim"], options=options)
    assert [step(fresh, other, number) for number in range(3, 6)] == [
        step(module, optimizer, number) for number in range(3, 6)
    ]

    rule = OPTIMIZERS[case][2]
    with etui.open(tmp_path / "etui") as found:
        known = {} if found.optimizer is None else found.optimizer.optimizers
        assert [one.algorithm for one in known.values()] == ([rule] if rule else [])
        assert list(known) == (["optimizer"] if rule else [])
        assert found.state is not None
        assert ("optim" in found.state.user) == (not rule)
        if rule and case != "SGD, plain":
            assert set(known["optimizer"].slots) <= set(found.weights or ())
            assert known["optimizer"].slots
    assert {entry.status for entry in writer.report.entries} == {"restored" if rule else "verbatim"}
    etui.verify(tmp_path / "etui")


@pytest.mark.clause("DW-8@981345", "DW-13@931bda")
@pytest.mark.parametrize("case", [case for case, (_, _, rule) in OPTIMIZERS.items() if rule])
def test_the_artifact_is_the_one_that_one_process_saves(case: str, tmp_path: Path) -> None:
    """Weights, slots, step and hyperparameters are those of `etui.torch.save`, and `load_into` goes on with them."""
    module = make()
    optimizer = optimizer_of(case, module)
    for number in range(3):
        step(module, optimizer, number)
    model, optim = get_state_dict(module, optimizer)
    save({"model": model, "optim": optim}, tmp_path / "many", module=module)
    etui.torch.save(module, optimizer, tmp_path / "one.etui", allow=("reset",))
    with etui.open(tmp_path / "many") as many, etui.open(tmp_path / "one.etui") as one:
        assert many.weights is not None
        assert one.weights is not None
        assert many.weights.aliases == one.weights.aliases == {"head/weight": "embed/weight"}
        assert {
            path: (held.role, held.trainable, held.tensor.numpy().tobytes()) for path, held in many.weights.items()
        } == {path: (held.role, held.trainable, held.tensor.numpy().tobytes()) for path, held in one.weights.items()}
        first, second = (
            found.optimizer.optimizers["optimizer"] for found in (many, one) if found.optimizer is not None
        )
        for name in ("algorithm", "hyperparameters", "learning_rate", "step", "fresh"):
            assert (name, getattr(first, name)) == (name, getattr(second, name))
        assert [group.hyperparameters for group in first.groups] == [group.hyperparameters for group in second.groups]
        for name in ("slots", "shared_slots"):
            assert tensors_in(getattr(first, name)) == tensors_in(getattr(second, name))

    fresh = make()
    other = optimizer_of(case, fresh)
    etui.torch.load_into(fresh, other, tmp_path / "many")
    assert [step(fresh, other, number) for number in range(3, 6)] == [
        step(module, optimizer, number) for number in range(3, 6)
    ]


def variables_in(weights: Weights) -> dict[str, Any]:
    """The variables of a model as what can be compared."""
    return {path: (held.role, held.trainable, tensors_in(held.tensor)) for path, held in weights.items()}


def tensors_in(tree: Any) -> Any:
    """A map of maps of tensors as what can be compared."""
    if isinstance(tree, Tensor):
        return tree.dtype, tree.shape, tree.numpy().tobytes()
    return {key: tensors_in(inner) for key, inner in tree.items()}


class Odd:
    """An object that only pickle could keep."""


VALUES: dict[str, Any] = {
    "none": None,
    "numbers": [True, 1, -(2**70), 2.5, float("inf"), -0.0, 1 + 2j],
    "texts": ("a", "ü", "", b"\x00\xff"),
    "tuple of maps": ({"a": 1, 2: [3]},),
    "nan": float("nan"),
    "size": torch.Size([2, 3]),
    "dtype": torch.bfloat16,
    "device": torch.device("cpu"),
    "tensor in a tuple": (torch.arange(3), [torch.tensor(1.5)]),
    "array": np.arange(6, dtype=np.int16).reshape(2, 3),
    "random state of numpy": np.random.RandomState(7).get_state(),
    "scalar of numpy": np.float32(0.1),
    "counter": (Counter({5: 1, 2: 3}),),
    "ordered": (OrderedDict([("b", 1), ("a", 2)]),),
    "set": {3, 1, 2},
    "frozen set": frozenset({"a", 1}),
    "bytearray": bytearray(b"abc"),
    "file": io.BytesIO(b"abc"),
    "slice": slice(1, None, 2),
    "list": [],
    "long text": "x" * 70000,
}


@pytest.mark.clause("DW-14@27a04e", "DW-16@d82f39", "DW-20@01b13c")
@pytest.mark.parametrize("case", VALUES)
def test_values_come_back(case: str, tmp_path: Path) -> None:
    """What is no tensor comes back as it was, with its type, below a map and below a list of maps."""
    state = {"weight": torch.ones(2), "run": {"value": VALUES[case], "many": [{"value": VALUES[case]}]}}
    save(state, tmp_path / "etui")
    found = {"weight": torch.zeros(2), "run": {"value": 0, "many": [{"value": 0}]}}
    load(found, tmp_path / "etui")
    for value in (found["run"]["value"], found["run"]["many"][0]["value"]):
        if case == "file":
            assert value.getvalue() == b"abc"
        elif case == "array":
            np.testing.assert_array_equal(value, VALUES[case], strict=True)
        else:
            assert (type(value), repr(value)) == (type(VALUES[case]), repr(VALUES[case]))


REFUSED: dict[str, Any] = {
    "an object": Odd(),
    "a class": Odd,
    "a function": make,
    "an object in a list": [1, Odd()],
    "an array of objects": np.asarray([Odd()], dtype=object),
    "a deep list": __import__("functools").reduce(lambda inner, _: [inner], range(150), 1),
    "a large array": np.zeros(2**18, np.float64),
}


@pytest.mark.clause("DW-19@e23586", "DW-20@01b13c", "DW-7@97de70")
@pytest.mark.parametrize("case", REFUSED)
def test_objects_are_refused(case: str, tmp_path: Path) -> None:
    """An object is refused by its key, and what was at the target stays."""
    before = save({"weight": torch.ones(2)}, tmp_path / "etui").identity
    with pytest.raises(CheckpointException, match=r"distributed-value") as caught:
        save({"weight": torch.zeros(2), "run": {"odd": REFUSED[case]}}, tmp_path / "etui")
    assert "run.odd" in str(caught.value)
    del caught
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["etui"]
    assert etui.verify(tmp_path / "etui").identity == before


@pytest.mark.clause("DW-19@e23586")
def test_nothing_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of the artifact has a pickle in it, and nothing is unpickled but what was pickled in this process."""
    module = make()
    optimizer = optimizer_of("AdamW", module)
    step(module, optimizer, 0)
    model, optim = get_state_dict(module, optimizer)
    state = {"model": model, "optim": optim, "epoch": 3, "run": {"best": (1, 2.5)}}
    save(state, tmp_path / "etui")
    parts = [path.read_bytes() for path in (tmp_path / "etui").iterdir()]
    assert len(parts) > 5
    assert not any(b"PK\x03\x04" in part or b"torch\n" in part or b"data.pkl" in part for part in parts)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        for name in ("load", "loads", "Unpickler"):
            patch.setattr(pickle, name, never)
        patch.setattr(torch, "load", never)
        reader = etui.torch.DistributedReader(tmp_path / "etui")
        assert set(reader.read_metadata().state_dict_metadata) == set(flat(state))

    made: list[bytes] = []
    taken: list[bytes] = []
    genuine_save, genuine_load = torch.save, torch.load

    def watched_save(value: Any, file: Any) -> None:
        genuine_save(value, file)
        made.append(file.getvalue())

    def watched_load(file: Any, **options: Any) -> Any:
        taken.append(file.getvalue())
        return genuine_load(file, **options)

    monkeypatch.setattr(torch, "save", watched_save)
    monkeypatch.setattr(torch, "load", watched_load)
    load({"model": model, "optim": optim, "epoch": 0, "run": {"best": None}}, tmp_path / "etui")
    assert taken == made
    assert len(taken) > 10


@pytest.mark.clause("DW-10@07ccba")
@pytest.mark.parametrize(
    ("state", "options", "paths"),
    [
        ({"model": {"a.b": 1}, "optim": {}}, {}, ["a/b"]),
        ({"module": {"a.b": 1}}, {}, ["a/b"]),
        ({"app": {"model": {"a.b": 1}, "optim": {"param_groups": [{"lr": 1.0}]}}}, {}, ["a/b"]),
        ({"a.b": 1, "c": 2}, {}, ["a/b", "c"]),
        ({"net": {"a.b": 1}, "epoch": 3}, {"model": "net"}, ["a/b"]),
        ({"my": {"net": {"a.b": 1}}}, {"model": ("my", "net")}, ["a/b"]),
        ({"net": {"a.b": 1}, "ema": {"a.b": 1}}, {}, []),
        (
            {"model": {"param_groups.weight": 1, "param_groups.bias": 2}},
            {},
            ["param_groups/weight", "param_groups/bias"],
        ),
    ],
)
def test_where_the_module_is(state: dict[str, Any], options: Any, paths: list[str], tmp_path: Path) -> None:
    """The module's tensors are found by the usual names, or below the key that the caller names."""

    def filled(tree: Any, value: float) -> Any:
        if isinstance(tree, dict):
            return {key: filled(inner, value) for key, inner in tree.items()}
        return torch.full((2,), value * tree) if type(tree) is int and tree < 3 else tree

    whole = filled(state, 1.0)
    save(whole, tmp_path / "etui", **options)
    with etui.open(tmp_path / "etui") as found:
        assert list(found.weights or ()) == paths
    other = filled(state, 0.0)
    load(other, tmp_path / "etui")
    assert flat(other) == flat(whole)


@pytest.mark.library
def test_a_name_without_tensors_is_refused(tmp_path: Path) -> None:
    """A key of the module that is not in the state is an error that says what is there."""
    with pytest.raises(CheckpointException, match="distributed-names") as caught:
        save({"net": {"a": torch.ones(2)}}, tmp_path / "etui", model="model")
    assert "'net'" in str(caught.value)


@pytest.mark.clause("DW-11@5feccd")
@pytest.mark.parametrize("told", ["module", "optimizer", "nothing"])
def test_which_tensors_train(told: str, tmp_path: Path) -> None:
    """The module says which tensors train, else the optimizer, else every floating-point tensor does."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    module[0].bias.requires_grad = False
    optimizer = torch.optim.SGD([module[0].weight], lr=0.1)
    state = {"model": module.state_dict()}
    if told == "optimizer":
        state["optim"] = get_optimizer_state_dict(module, optimizer)
    save(state, tmp_path / "etui", module=module if told == "module" else None)
    with etui.open(tmp_path / "etui") as found:
        trained = {path for path, held in (found.weights or {}).items() if held.trainable}
    every = {"0/weight", "0/bias", "1/weight", "1/bias", "1/running_mean", "1/running_var"}
    expected = {"module": {"0/weight", "1/weight", "1/bias"}, "optimizer": {"0/weight"}, "nothing": every}
    assert trained == expected[told]


@pytest.mark.clause("DW-12@cf1fcb")
@pytest.mark.parametrize("flatten", [False, True], ids=["nested", "flat"])
@pytest.mark.parametrize("first", ["embed", "head"])
def test_tied_tensors_are_stored_once(first: str, flatten: bool, tmp_path: Path) -> None:
    """Of tied tensors the one of which the optimizer has state is stored, else the first; the others are aliases."""
    tied = torch.arange(6.0).reshape(2, 3)
    model = {"embed.weight": tied, "head.weight": tied.detach(), "view.weight": tied.t(), "copy.weight": tied.clone()}
    slots = {"step": torch.tensor(2.0), "exp_avg": tied + 1, "exp_avg_sq": tied + 2}
    group = {**torch.optim.AdamW([torch.nn.Parameter(tied)]).defaults, "params": [f"{first}.weight"]}
    optim: dict[str, Any] = {"state": {f"{first}.weight": slots}, "param_groups": [group]}
    if flatten:
        optim = {f"state.{first}.weight.{key}": value for key, value in slots.items()}
        del group["params"]
        optim |= {f"param_groups.{first}.weight.{key}": value for key, value in group.items()}
    state = {"model": model, "optim": optim}
    save(state, tmp_path / "etui")
    other = "head" if first == "embed" else "embed"
    with etui.open(tmp_path / "etui") as found:
        assert found.weights is not None
        assert found.weights.aliases == {f"{other}/weight": f"{first}/weight"}
        assert set(found.weights) == {f"{first}/weight", "view/weight", "copy/weight"}
        assert found.optimizer is not None
        assert list(found.optimizer.optimizers["optimizer"].slots) == [f"{first}/weight"]
    fresh = {key: torch.zeros_like(value) for key, value in model.items()}
    load({"model": fresh}, tmp_path / "etui")
    assert flat(fresh) == flat(model)


def group_of(**options: Any) -> dict[str, Any]:
    """A group of AdamW."""
    return {**torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))]).defaults, **options}


def two_parameters() -> dict[str, Any]:
    """A state of two parameters and an AdamW over them."""
    model = {"a": torch.ones(2), "b": torch.ones(3)}
    state = {
        name: {"step": torch.tensor(4.0), "exp_avg": value + 1, "exp_avg_sq": value + 2}
        for name, value in model.items()
    }
    return {"model": model, "optim": {"state": state, "param_groups": [group_of(params=["a", "b"])]}}


def _unequal(state: Any) -> None:
    state["optim"]["state"]["b"]["step"] = torch.tensor(3.0)


def _other_dtype(state: Any) -> None:
    for one in state["optim"]["state"].values():
        one["step"] = torch.tensor(4.0, dtype=torch.float64)


def _rate_in_a_tensor(state: Any) -> None:
    state["optim"]["param_groups"][0]["lr"] = torch.tensor(0.25)


def _fresh(state: Any) -> None:
    del state["optim"]["state"]["b"]


def _more_options(state: Any) -> None:
    state["optim"]["param_groups"][0] |= {"initial_lr": 0.5, "name": "all"}


def _frozen_elsewhere(state: Any) -> None:
    state["optim"]["param_groups"][0]["params"] = ["a", "b", "c"]


def _none(state: Any) -> None:
    state["optim"]["state"] = {}


KEPT = {"unequal": _unequal, "dtype": _other_dtype, "rate": _rate_in_a_tensor, "fresh": _fresh, "more": _more_options}
KEPT |= {"a parameter that is not saved": _frozen_elsewhere, "no state": _none}


@pytest.mark.clause("DW-15@8b9951", "DW-16@d82f39")
@pytest.mark.parametrize("case", KEPT)
def test_what_only_torch_has(case: str, tmp_path: Path) -> None:
    """Steps that differ, a rate in a tensor, options of schedulers: all come back, and the rule is told."""
    state = two_parameters()
    KEPT[case](state)
    save(state, tmp_path / "etui")
    with etui.open(tmp_path / "etui") as found:
        assert found.optimizer is not None
        one = found.optimizer.optimizers["optimizer"]
        assert one.algorithm == "core:adam"
        assert one.step == (0 if case == "no state" else 4)
        assert one.learning_rate == (0.25 if case == "rate" else 1e-3)
        assert one.variables() == ["a", "b"]
    zeros = {
        key: {inner: torch.zeros_like(value) for inner, value in one.items()}
        for key, one in state["optim"]["state"].items()
    }
    rate = state["optim"]["param_groups"][0]["lr"]
    group = dict.fromkeys(state["optim"]["param_groups"][0]) | {"lr": torch.zeros(()) if case == "rate" else rate * 0}
    model = {key: torch.zeros_like(value) for key, value in state["model"].items()}
    other = {"model": model, "optim": {"state": zeros, "param_groups": [group]}}
    load(other, tmp_path / "etui")
    assert flat(other) == flat(state)


def _adapter(state: Any) -> None:
    state["optim"]["param_groups"][0]["core_epsilon"] = 1e-7


def _strange_slot(state: Any) -> None:
    state["optim"]["state"]["a"]["extra"] = torch.ones(2)


def _other_shape(state: Any) -> None:
    state["optim"]["state"]["a"]["exp_avg"] = torch.ones(1)


def _many_steps(state: Any) -> None:
    state["optim"]["state"]["a"]["step"] = torch.ones(2)


def _unknown(state: Any) -> None:
    state["optim"]["state"]["c"] = state["optim"]["state"].pop("b")


def _lacking(state: Any) -> None:
    del state["optim"]["param_groups"][0]["amsgrad"]


def _two_classes(state: Any) -> None:
    state["optim"]["param_groups"].append({"params": [], "lr": 0.1, "lambd": 0.1})


def _rates(state: Any) -> None:
    state["optim"]["param_groups"][0]["lr"] = torch.ones(2)


def _numbered(state: Any) -> None:
    state["optim"] = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [group_of(params=[0, 1])]}


VERBATIM = {
    "hooks": _adapter,
    "another slot": _strange_slot,
    "another shape": _other_shape,
    "several steps": _many_steps,
    "another parameter": _unknown,
    "an option too few": _lacking,
    "groups of two classes": _two_classes,
    "several rates": _rates,
    "numbers in place of names": _numbered,
}


@pytest.mark.clause("DW-13@931bda", "DW-14@27a04e")
@pytest.mark.parametrize("case", VERBATIM)
def test_an_optimizer_that_is_none_of_the_vocabulary(case: str, tmp_path: Path) -> None:
    """What no class of the table has makes an optimizer one that is kept as it is, and the report says why."""
    state = two_parameters()
    VERBATIM[case](state)
    writer = save(state, tmp_path / "etui")
    with etui.open(tmp_path / "etui") as found:
        assert found.optimizer is None
        assert found.state is not None
        assert set(found.state.user["optim"]) == {"state", "param_groups"}
        assert list(found.weights or ()) == ["a", "b"]
    assert [(entry.subject, entry.status) for entry in writer.report.entries] == [("optim", "verbatim")]
    other = torch.utils._pytree.tree_map(lambda one: torch.zeros_like(one) if torch.is_tensor(one) else one, state)
    load(other, tmp_path / "etui")
    assert flat(other) == flat(state)


@pytest.mark.clause("DW-13@931bda")
def test_two_optimizers(tmp_path: Path) -> None:
    """Several optimizers of one module have the paths at which they are in the state."""
    state = two_parameters()
    one = state.pop("optim")
    slots = one["state"]
    state["first"] = {"state": {"a": slots["a"]}, "param_groups": [group_of(params=["a"])]}
    state["second"] = {"state": {"b": slots["b"]}, "param_groups": [group_of(params=["b"], lr=0.5)]}
    save(state, tmp_path / "etui")
    with etui.open(tmp_path / "etui") as found:
        assert found.optimizer is not None
        assert {key: (one.variables(), one.learning_rate) for key, one in found.optimizer.optimizers.items()} == {
            "first": (["a"], 1e-3),
            "second": (["b"], 0.5),
        }
    other = torch.utils._pytree.tree_map(lambda one: torch.zeros_like(one) if torch.is_tensor(one) else one, state)
    load(other, tmp_path / "etui")
    assert flat(other) == flat(state)


@pytest.mark.clause("DW-17@868228")
def test_an_optimizer_that_was_changed_since(tmp_path: Path) -> None:
    """Where the optimizer of the file has another rate or step than torch's options, it is the one that holds."""
    state = two_parameters()
    state["optim"]["param_groups"][0]["foreach"] = False
    save(state, tmp_path / "etui")
    with etui.open(tmp_path / "etui") as found:
        assert found.optimizer is not None
        one = found.optimizer.optimizers["optimizer"]
        one.learning_rate = one.hyperparameters["learning_rate"] = 0.125
        one.step = one.micro_step = 9
        etui.save(found, tmp_path / "changed.etui")
    load(state, tmp_path / "changed.etui")
    group = state["optim"]["param_groups"][0]
    assert (group["lr"], group["foreach"], group["decoupled_weight_decay"]) == (0.125, False, True)
    assert [one["step"].item() for one in state["optim"]["state"].values()] == [9.0, 9.0]


@pytest.mark.clause("DW-18@ae3f9d")
@pytest.mark.parametrize("case", [case for case, (_, _, rule) in OPTIMIZERS.items() if rule])
def test_an_artifact_that_one_process_saved(case: str, tmp_path: Path) -> None:
    """What `etui.torch.save` wrote is a module at `model` and an optimizer at `optim`, and training goes on from it."""
    module = make()
    optimizer = optimizer_of(case, module)
    for number in range(3):
        step(module, optimizer, number)
    etui.torch.save(module, optimizer, tmp_path / "one.etui", allow=("reset",))
    fresh = make()
    other = optimizer_of(case, fresh)
    model, optim = get_state_dict(fresh, other)
    state = {"model": model, "optim": optim}
    for values in optim["state"].values():
        # Counts of SGD are none, and its class keeps a buffer that it has not made as None.
        values.pop("momentum_buffer", None) if case == "SGD, plain" else None
    load(state, tmp_path / "one.etui")
    set_state_dict(fresh, other, model_state_dict=state["model"], optim_state_dict=state["optim"])
    assert [step(fresh, other, number) for number in range(3, 6)] == [
        step(module, optimizer, number) for number in range(3, 6)
    ]


@pytest.mark.clause("DW-18@ae3f9d")
def test_an_artifact_of_another_origin(tmp_path: Path) -> None:
    """Of a rule that torch does not state by itself the optimizer's keys are left out, and the report says so."""
    weights = Weights()
    weights.add("dense/kernel", Tensor.of(np.ones((2, 3), np.float32)), role="kernel")
    weights.add("words", Tensor.of(np.asarray(["a"], dtype=object)), role="vocabulary", trainable=False)
    one = Optimizer("core:lion", {"learning_rate": 0.1}, 0.1, 3, 3, groups=[Group(["dense/kernel"])])
    one.slots = {"dense/kernel": {"momentum": Tensor.of(np.ones((2, 3), np.float32))}}
    etui.save(etui.Model(weights=weights, optimizer=OptimizerState({"optimizer": one})), tmp_path / "other.etui")
    report = Report()
    state = {"net": {"dense.kernel": torch.zeros(2, 3)}}
    load(state, tmp_path / "other.etui", model="net", report=report)
    assert state["net"]["dense.kernel"].tolist() == [[1.0] * 3] * 2
    assert [(entry.subject, entry.status) for entry in report.entries] == [
        ("optimizer", "not-transferable"),
        ("net.words", "not-transferable"),
    ]


@pytest.mark.clause("DW-16@d82f39")
def test_tensors_of_every_dtype(tmp_path: Path) -> None:
    """Every dtype that torch and an artifact have comes back bit for bit, in any strides, of any size."""
    names = ["bool", *(f"{sign}int{width}" for sign in ("", "u") for width in (8, 16, 32, 64)), "bfloat16"]
    names += [
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
        "float8_e4m3fn",
        "float8_e5m2",
        "float8_e8m0fnu",
    ]
    state: dict[str, Any] = {}
    for name in names:
        dtype = getattr(torch, name)
        width = torch.empty(0, dtype=dtype).element_size()
        raw = torch.arange(12 * width, dtype=torch.uint8) % (2 if name == "bool" else 251)
        whole = raw.view(dtype).reshape(3, 4)
        state[name] = {"whole": whole, "turned": whole.t(), "every other": whole[:, ::2], "one": whole[0, 0]}
        state[name] |= {"none": whole[:0], "row": whole[1], "stretched": whole[:, :1].expand(3, 2)}
    assert len(state) == 18
    state["complex64"] |= {"conjugate": state["complex64"]["whole"].conj()}
    save(state, tmp_path / "etui")
    other = torch.utils._pytree.tree_map(lambda one: torch.zeros(one.shape, dtype=one.dtype), state)
    other["float32"]["turned"] = torch.zeros(3, 4).t()
    load(other, tmp_path / "etui")
    assert flat(other) == flat(torch.utils._pytree.tree_map(lambda one: one.resolve_conj(), state))


@pytest.mark.library
def test_a_dtype_that_no_artifact_has(tmp_path: Path) -> None:
    """A tensor of a dtype that the specification lacks is refused by its key."""
    odd = torch.ones(2).to(torch.float8_e4m3fnuz)
    with pytest.raises(CheckpointException, match="torch-dtype") as caught:
        save({"model": {"a": odd}}, tmp_path / "etui")
    assert "model.a" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.library
def test_a_value_is_cast_into_another_dtype_as_dcp_casts(tmp_path: Path) -> None:
    """Loading into a tensor of another dtype converts the numbers."""
    save({"model": {"a": torch.tensor([1.0, 2.5])}}, tmp_path / "etui")
    state = {"model": {"a": torch.zeros(2, dtype=torch.bfloat16)}}
    load(state, tmp_path / "etui")
    assert state["model"]["a"].tolist() == [1.0, 2.5]


@pytest.mark.library
def test_keys_that_one_side_alone_has(tmp_path: Path) -> None:
    """A key that is not stored is refused, as by DCP's own reader; one that is not asked for is in the report."""
    stored = {"a": torch.ones(2), "b": torch.ones(3), "none": torch.ones(0, 2)}
    save({"model": stored, "epoch": 3}, tmp_path / "etui")
    reader = load({"model": {"a": torch.zeros(2)}}, tmp_path / "etui")
    assert [one.subject for one in reader.report.entries if one.status == "left-out"] == ["model.b", "epoch"]
    whole = {"model": {name: torch.zeros_like(one) for name, one in stored.items()}, "epoch": 0}
    assert [one for one in load(whole, tmp_path / "etui").report.entries if one.status == "left-out"] == []
    for wrong in ({"c": torch.zeros(2)}, {"a": torch.zeros(3)}):
        with pytest.raises(CheckpointException):
            load({"model": wrong}, tmp_path / "etui")


@pytest.mark.library
def test_mistakes_of_the_caller(tmp_path: Path) -> None:
    """Plans that are left out, saves without collectives, and series without a step are refused."""
    from torch.distributed.checkpoint import DefaultSavePlanner

    state = {"model": {"a": torch.ones(2)}}
    writer = etui.torch.DistributedWriter(tmp_path / "etui")
    planner = DefaultSavePlanner(enable_plan_caching=True)
    quietly(dcp.save, state, storage_writer=writer, planner=planner)
    with pytest.raises(CheckpointException, match="enable_plan_caching=False"):
        quietly(dcp.save, state, storage_writer=writer, planner=DefaultSavePlanner(enable_plan_caching=True))
    with pytest.raises(etui.UsageError, match="without collectives"):
        writer.set_up_storage_writer(True, rank=0, use_collectives=False)
    for options in ({}, {"checkpoint_id": "last"}):
        with pytest.raises((CheckpointException, etui.UsageError), match="series-number"):
            quietly(
                dcp.save, state, storage_writer=etui.torch.DistributedWriter(Series(tmp_path / "series")), **options
            )
    for cached in ("save_plan", "final_save_plan", "all_plans", "global_plan", "metadata"):
        getattr(DefaultSavePlanner, f"_cached_{cached}").clear()


@pytest.mark.library
def test_targets(tmp_path: Path) -> None:
    """The id of a checkpoint is the folder, or of a series the step; a damaged tensor is found when it is read."""
    series = Series(tmp_path / "series")
    writer = etui.torch.DistributedWriter(series, metrics={"loss": 0.5})
    for number in (1, 2):
        quietly(dcp.save, {"model": {"a": torch.full((2,), number)}}, storage_writer=writer, checkpoint_id=str(number))
    assert [(step.number, step.metrics) for step in series.steps()] == [(1, {"loss": 0.5}), (2, {"loss": 0.5})]
    state = {"model": {"a": torch.zeros(2, dtype=torch.int64)}}
    load(state, series[1])
    assert state["model"]["a"].tolist() == [1, 1]
    with series[2].open() as opened:
        load(state, opened)
        assert state["model"]["a"].tolist() == [2, 2]

    writer = etui.torch.DistributedWriter(tmp_path / "unused")
    quietly(dcp.save, state, storage_writer=writer, checkpoint_id=tmp_path / "etui")
    assert writer.identity == etui.verify(tmp_path / "etui").identity
    assert not (tmp_path / "unused").exists()
    part = tmp_path / "etui" / "weights.safetensors"
    part.write_bytes(part.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointException, match="digest-mismatch"):
        load(state, tmp_path / "etui")
    load(state, tmp_path / "etui", verify=False)


@pytest.mark.clause("DW-16@d82f39")
def test_a_schedule_goes_on(tmp_path: Path) -> None:
    """The state of a scheduler comes back as DCP's own storage brings it back."""

    def schedulers(optimizer: Any) -> dict[str, Any]:
        lrs = torch.optim.lr_scheduler
        return {
            "cosine": lrs.CosineAnnealingLR(optimizer, 10),
            "steps": lrs.MultiStepLR(optimizer, [2, 5]),
            "plateau": lrs.ReduceLROnPlateau(optimizer),
            "lambda": lrs.LambdaLR(optimizer, lambda epoch: 0.9**epoch),
            "one cycle": lrs.OneCycleLR(optimizer, 0.1, 100),
        }

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the schedulers stand for those of several optimizers
        parameter = torch.nn.Parameter(torch.ones(2))
        made = schedulers(torch.optim.SGD([parameter], lr=0.1, momentum=0.9))
        for _ in range(3):
            for name, one in made.items():
                one.step(0.5) if name == "plateau" else one.step()
        state = {name: one.state_dict() for name, one in made.items()} | {"weight": parameter.detach()}
        found = []
        for kind in ("etui", "own"):
            others = schedulers(torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9))
            other = {name: one.state_dict() for name, one in others.items()} | {"weight": torch.zeros(2)}
            if kind == "etui":
                save(state, tmp_path / kind)
                load(other, tmp_path / kind)
            else:
                quietly(dcp.save, state, storage_writer=dcp.FileSystemWriter(tmp_path / kind))
                quietly(dcp.load, other, storage_reader=dcp.FileSystemReader(tmp_path / kind))
            found.append(other)
    assert len(found) == 2
    assert {key: bits(value) for key, value in found[0].items()} == {
        key: bits(value) for key, value in found[1].items()
    }
    assert found[0]["cosine"]["last_epoch"] == 3
