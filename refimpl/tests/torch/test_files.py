"""Files of torch and safetensors files: read without running anything, and written so that others read them."""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import bridges
from etui.errors import EtuiError, RejectError, TransferError, UnsafeError, UsageError

torch = pytest.importorskip("torch")
numpy_file = pytest.importorskip("safetensors.numpy")
torch_file = pytest.importorskip("safetensors.torch")

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("state_kit")  # tests are imported by path, so that a neighbour is found by name only

pytestmark = pytest.mark.frameworks


class Mine(torch.nn.Module):  # type: ignore[name-defined, misc]  # torch is seen as Any
    """Two layers with one weight, and batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 3, bias=False)
        self.norm = torch.nn.BatchNorm1d(3)
        self.second = torch.nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x: Any) -> Any:
        """The outputs."""
        return self.second(self.norm(self.first(x)))


def _trained(kind: str = "Adam", named: bool = False, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    module = Mine()
    parameters = module.named_parameters() if named else module.parameters()
    optimizer = getattr(torch.optim, kind)(parameters, **options)
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.randn(5, 3)).square().mean().backward()
        optimizer.step()
    return module, optimizer


def _same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.clause("PT-63@e0cf47", "PT-42@ae1e2b")
def test_a_state_dict_passes_through_an_etui(tmp_path: Path) -> None:
    """`x.pt` to `y.etui` to `z.pt` gives the same tensors, tied ones tied, and is recognised by content."""
    module, _ = _trained()
    torch.save(module.state_dict(), tmp_path / "x.bin")
    assert bridges.recognise(tmp_path / "x.bin") is bridges.by_name("torch")
    report = etui.convert(tmp_path / "x.bin", tmp_path / "y.etui")
    assert report.counts()["variable"]["aliased"] == 1
    with etui.open(tmp_path / "y.etui") as model:
        assert model.weights is not None
        assert model.weights.aliases == {"second/weight": "first/weight"}
        assert not model.weights["norm/running_var"].trainable
    etui.convert(tmp_path / "y.etui", tmp_path / "z.pt")
    held = torch.load(tmp_path / "z.pt", weights_only=True)
    assert _same(held, module.state_dict())
    assert held["second.weight"].data_ptr() == held["first.weight"].data_ptr()


@pytest.mark.clause("PT-64@ecdf8c", "PT-65@b85eac")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Adam", {}),
        ("AdamW", {"lr": 0.01}),
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("RMSprop", {"momentum": 0.5}),
        ("NAdam", {}),
        ("Adagrad", {}),
        ("Adadelta", {}),
        ("Adamax", {}),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_a_checkpoint_passes_through_an_etui(tmp_path: Path, kind: str, options: dict[str, Any], named: bool) -> None:
    """Model, optimizer and counters of a checkpoint are understood, and torch trains on from the file written again."""
    module, optimizer = _trained(kind, named, **options)
    content = {
        "model_state_dict": module.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "epoch": 3,
        "best": {"loss": 0.5, "names": ["a"]},
    }
    torch.save(content, tmp_path / "x.pt")
    report = etui.convert(tmp_path / "x.pt", tmp_path / "y.etui")
    assert report.ok
    with etui.open(tmp_path / "y.etui") as model:
        assert model.manifest is not None
        assert model.manifest.profile == "checkpoint"
        assert model.state is not None
        assert model.state.counters == {"epoch": 3}
        assert model.optimizer is not None
        found = model.optimizer.optimizers["optimizer"]
        assert set(found.slots) == {"first/weight", "norm/weight", "norm/bias", "second/bias"}
    etui.convert(tmp_path / "y.etui", tmp_path / "z.pt")
    again = torch.load(tmp_path / "z.pt", weights_only=True)
    assert again["epoch"] == 3
    assert again["best"] == content["best"]
    other = Mine()
    other.load_state_dict(again["model"])
    trainer = getattr(torch.optim, kind)(other.parameters(), **options)
    trainer.load_state_dict(again["optimizer"])
    torch.manual_seed(1)
    x = torch.randn(5, 3)
    for one, its in ((module, optimizer), (other, trainer)):
        its.zero_grad()
        one(x).square().mean().backward()
        its.step()
    assert _same(module.state_dict(), other.state_dict())


@pytest.mark.clause("PT-66@f83974")
def test_an_optimizer_that_cannot_be_told_is_not_guessed(tmp_path: Path) -> None:
    """Without names, several groups, other shapes, or Adam's decay of old files are not transferable, and said so."""
    module, optimizer = _trained()
    held = optimizer.state_dict()
    group = held["param_groups"][0]
    old = {key: value for key, value in group.items() if key != "decoupled_weight_decay"} | {"weight_decay": 0.1}
    faults = {
        "groups": {**held, "param_groups": [{**group, "params": [0, 1]}, {**group, "params": [2, 3]}]},
        "shapes": {**held, "state": {0: held["state"][1], 1: held["state"][0]}},
        "decay": {**held, "param_groups": [old]},
        "number": {**held, "param_groups": [{**group, "params": [0, 1, 2]}]},
        "form": {**held, "param_groups": [{key: value for key, value in group.items() if key != "betas"}]},
        "empty": {"state": {}, "param_groups": []},
    }
    told = set()
    for name, fault in faults.items():
        torch.save({"model": module.state_dict(), "optimizer": fault}, tmp_path / "x.pt")
        report = etui.Report()
        model = etui.torch.from_file(tmp_path / "x.pt", report=report)
        assert model.optimizer is None, name
        (entry,) = report.lost
        assert entry.status == "not-transferable"
        told.add(entry.detail)
    assert len(told) == len(faults)


@pytest.mark.clause("PT-62@efccff", "PT-67@62432e")
def test_other_content_is_reported(tmp_path: Path) -> None:
    """Values that are no plain ones are not transferable; a file without a state of a model is refused."""
    torch.save({"model": {"w": torch.ones(2)}, "extra": torch.ones(1), "epoch": -1}, tmp_path / "x.pt")
    report = etui.Report()
    etui.torch.from_file(tmp_path / "x.pt", report=report)
    assert {entry.subject for entry in report.lost} == {"'extra'"}
    refused = 0
    for content in ([1, 2], {"a": 1}, torch.ones(2), {"model": {"w": torch.empty(2, device="meta")}}):
        torch.save(content, tmp_path / "y.pt")
        with pytest.raises(RejectError, match="torch-content"):
            etui.torch.from_file(tmp_path / "y.pt")
        refused += 1
    assert refused == 4
    with zipfile.ZipFile(tmp_path / "s.pt", "w") as archive:
        for name in ("s/data.pkl", "s/constants.pkl", "s/code/main.py"):
            archive.writestr(name, b"")
    with pytest.raises(RejectError, match="TorchScript"):
        etui.torch.from_file(tmp_path / "s.pt")


class Runs:
    """Its pickle would make a file, if anything ran it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.clause("PT-60@45f03e", "PT-61@5a90c5")
def test_a_pickle_with_code_is_never_run(tmp_path: Path) -> None:
    """A file that asks for a call, or for a class, is refused, and nothing happened."""
    trap = tmp_path / "trap"
    torch.save({"model": {"w": torch.ones(2)}, "x": Runs(trap)}, tmp_path / "a.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "b.pt")
    refused = 0
    for name in ("a.pt", "b.pt"):
        with pytest.raises(UnsafeError, match="torch-pickle") as caught:
            etui.convert(tmp_path / name, tmp_path / "y.etui")
        assert "weights_only" not in str(caught.value)
        assert "GLOBAL" in str(caught.value)
        refused += 1
    assert refused == 2
    assert not trap.exists()


def _rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)


@pytest.mark.clause("PT-60@45f03e")
def test_broken_files_are_refused(tmp_path: Path) -> None:
    """A pickle that is none, a missing storage and a truncated file give one error each, and no crash."""
    torch.save({"w": torch.arange(64.0)}, tmp_path / "x.pt")
    _rewritten(tmp_path / "x.pt", tmp_path / "a.pt", lambda name, data: b"no" if name.endswith(".pkl") else data)
    _rewritten(tmp_path / "x.pt", tmp_path / "b.pt", lambda name, data: None if "/data/" in name else data)
    _rewritten(tmp_path / "x.pt", tmp_path / "c.pt", lambda name, data: data[:8] if "/data/" in name else data)
    _rewritten(
        tmp_path / "x.pt",
        tmp_path / "d.pt",
        lambda name, data: pickle.dumps({"w": 1}) if name.endswith(".pkl") else data,
    )
    (tmp_path / "e.pt").write_bytes((tmp_path / "x.pt").read_bytes()[:200])
    codes = {}
    for name in "abcde":
        with pytest.raises(EtuiError) as caught:
            etui.torch.from_file(tmp_path / f"{name}.pt")
        codes[name] = caught.value.code
    assert codes == {**dict.fromkeys("abcd", "torch-file"), "e": "foreign-zip"}


def _with_pickle(other: bytes, name: str, data: bytes) -> bytes:
    return other if name.endswith(".pkl") else data


@pytest.mark.clause("PT-60@45f03e", "PT-61@5a90c5")
def test_pickles_that_would_take_memory_are_refused(tmp_path: Path) -> None:
    """Large numbers of the memo, large declared sizes and a storm of changed bytes cost nothing and crash nothing."""
    torch.save({"w": torch.arange(64.0)}, tmp_path / "x.pt")
    pickles = [
        b"\x80\x05Nr\xff\xff\xff\x7f.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\x00\x00\x00.",
        b"\x80\x05(" + b"l" * 1000 + b".",
        b"",
    ]
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        whole = archive.read("x/data.pkl")
    rng = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] = rng.integers(256)
        pickles.append(bytes(changed))
    outcomes: set[str] = set()
    for one in pickles:
        _rewritten(tmp_path / "x.pt", tmp_path / "y.pt", partial(_with_pickle, one))
        try:
            etui.torch.from_file(tmp_path / "y.pt").close()
            outcomes.add("read")
        except RejectError as fault:
            outcomes.add(fault.code)
    assert outcomes >= {"read", "torch-file"}


@pytest.mark.clause("PT-60@45f03e")
def test_a_tensor_larger_than_its_bytes_is_refused(tmp_path: Path) -> None:
    """A tensor of a trillion elements that share one does not grow to its size."""
    torch.save({"w": torch.ones(1).expand(1 << 20, 1 << 20)}, tmp_path / "x.pt")
    with pytest.raises(RejectError, match="in fewer elements"):
        etui.torch.from_file(tmp_path / "x.pt")


@pytest.mark.clause("PT-63@e0cf47")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int64", "bool", "complex64", "float8_e4m3fn"])
def test_dtypes_pass_bit_for_bit(tmp_path: Path, dtype: str) -> None:
    """Tensors of every dtype that both sides have keep their bits."""
    values = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.5, -1.0]]).to(getattr(torch, dtype))
    torch.save({"w": values, "t": values.T}, tmp_path / "x.pt")
    etui.convert(tmp_path / "x.pt", tmp_path / "y.etui")
    etui.convert(tmp_path / "y.etui", tmp_path / "z.pt")
    held = torch.load(tmp_path / "z.pt", weights_only=True)
    assert held["w"].dtype == values.dtype
    assert held["w"].contiguous().view(torch.uint8).equal(values.view(torch.uint8))
    assert held["t"].float().equal(values.T.float()) if dtype != "complex64" else held["t"].equal(values.T)


@pytest.mark.clause("PT-68@21257d")
def test_a_model_with_a_config_is_written_as_its_module(tmp_path: Path) -> None:
    """The file has what the torch module of the model has, in torch's layouts, and its optimizer by the same names."""
    model, _ = kit.trained_model("adam", epsilon_mode="corrected")
    etui.save(model, tmp_path / "a.etui")
    etui.convert(tmp_path / "a.etui", tmp_path / "a.pt", to="torch")
    resumed = etui.torch.load(tmp_path / "a.etui")
    held = torch.load(tmp_path / "a.pt", weights_only=True)
    assert _same(held["model"], resumed.module.state_dict())
    assert held["optimizer"]["param_groups"][0]["param_names"] == [n for n, _ in resumed.module.named_parameters()]
    resumed.optimizer.load_state_dict(held["optimizer"])


@pytest.mark.clause("PT-69@cbee47")
def test_modules_are_written_to_files(tmp_path: Path) -> None:
    """`to_file` writes a module's `state_dict` as either format, which the libraries of both read."""
    module, optimizer = _trained()
    etui.torch.to_file(module, tmp_path / "a.pt", optimizer=optimizer)
    held = torch.load(tmp_path / "a.pt", weights_only=True)
    assert _same(held["model"], module.state_dict())
    assert held["optimizer"]["param_groups"][0]["param_names"] == [n for n, _ in module.named_parameters()]
    etui.torch.to_file(module, tmp_path / "b.safetensors")
    assert _same(torch_file.load_file(tmp_path / "b.safetensors"), dict(module.state_dict()))
    with pytest.raises(TransferError, match="weights alone"):
        etui.torch.to_file(module, tmp_path / "c.safetensors", optimizer=optimizer)
    with pytest.raises(UsageError, match="format-unknown"):
        etui.torch.to_file(module, tmp_path / "c.keras")


@pytest.mark.clause("PT-70@2e264b", "PT-71@6100f0")
def test_safetensors_of_others_are_read_with_metadata(tmp_path: Path) -> None:
    """Files of the official library, in any order and with metadata, come back with both, by the same names."""
    arrays = {
        "b.weight": np.arange(6, dtype="float32").reshape(2, 3),
        "a": np.ones(3, "int8"),
        "x/y": np.zeros((), "f8"),
    }
    numpy_file.save_file(arrays, tmp_path / "x.st", metadata={"format": "pt", "é": "1"})
    assert bridges.recognise(tmp_path / "x.st") is bridges.by_name("safetensors")
    etui.convert(tmp_path / "x.st", tmp_path / "y.etui")
    with etui.open(tmp_path / "y.etui") as model:
        assert model.metadata == {"format": "pt", "é": "1"}
        assert model.weights is not None
        assert set(model.weights.variables) == {"b/weight", "a", "x%2Fy"}
    etui.convert(tmp_path / "y.etui", tmp_path / "z.safetensors")
    found = numpy_file.load_file(tmp_path / "z.safetensors")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    etui.convert(tmp_path / "z.safetensors", tmp_path / "again.safetensors")
    assert (tmp_path / "z.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()


@pytest.mark.clause("PT-70@2e264b")
def test_headers_that_lie_are_refused(tmp_path: Path) -> None:
    """Gaps, overlaps, wrong sizes, double keys, other dtypes and headers that are cut are refused."""
    good = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    faults: list[str | dict[str, Any]] = [
        {"a": {**good, "data_offsets": [4, 12]}},
        {"a": good, "b": {**good, "data_offsets": [4, 12]}},
        {"a": {**good, "shape": [3]}},
        {"a": {**good, "shape": [-2]}},
        {"a": {**good, "dtype": "F33"}},
        {"a": {**good, "more": 1}},
        {"a": good, "__metadata__": {"n": 1}},
        {"a": [1]},
        '{"a":' + json.dumps(good) + ',"a":' + json.dumps(good) + "}",
        '{"a":' + "[" * 100_000 + "}",
        '{"a"',
    ]
    refused = set()
    for fault in faults:
        text = (fault if isinstance(fault, str) else json.dumps(fault)).encode()
        (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
        with pytest.raises(RejectError) as caught:
            etui.torch.from_file(tmp_path / "x.safetensors")
        refused.add(caught.value.code)
    assert refused == {"foreign-safetensors", "safetensors-dtype", "shape-form"}


@pytest.mark.clause("PT-71@6100f0")
def test_what_safetensors_cannot_hold_is_reported(tmp_path: Path) -> None:
    """Complex numbers, values of metadata and optimizers are lost, which strict refuses; aliases become copies."""
    module, optimizer = _trained()
    etui.torch.save(module, optimizer, tmp_path / "c.etui")
    with pytest.raises(TransferError, match="optimizer"):
        etui.convert(tmp_path / "c.etui", tmp_path / "c.safetensors")
    report = etui.convert(tmp_path / "c.etui", tmp_path / "c.safetensors", strict=False)
    assert report.counts()["variable"]["translated"] == 1
    assert _same(torch_file.load_file(tmp_path / "c.safetensors"), dict(module.state_dict()))
    torch.save({"w": torch.ones(2, dtype=torch.complex64)}, tmp_path / "x.pt")
    with pytest.raises(TransferError, match="complex64"):
        etui.convert(tmp_path / "x.pt", tmp_path / "x.safetensors")
