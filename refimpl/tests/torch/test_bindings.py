"""Variables of the etui and tensors of torch: the same elements in two layouts."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etui.errors import TransferError, UsageError

torch = pytest.importorskip("torch")

from etui.bridges.torch.arrays import array_of, tensor_of
from etui.bridges.torch.binding import Binding, Layout, bindings, source_of
from etui.bridges.torch.build import to_module

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("module_kit")

pytestmark = pytest.mark.frameworks


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Layout, tuple[int, ...]]:
    """A layout and a shape that it fits."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    blocks = draw(st.none() | st.permutations(range(draw(st.integers(1, 3)))).map(tuple))
    if blocks is not None:
        shape[-1] *= len(blocks)
    axes = draw(st.none() | st.permutations(range(len(shape))).map(tuple))
    flat = (int(np.prod(shape)),) if draw(st.booleans()) else None
    return Layout(blocks, axes, flat), tuple(shape)


@pytest.mark.clause("PT-2@4d1a3e")
@settings(derandomize=True, deadline=None, max_examples=60)
@given(layouts())
def test_a_layout_only_moves_elements(drawn: tuple[Layout, tuple[int, ...]]) -> None:
    """Each element goes to one place and comes back, for arrays and for tensors alike."""
    layout, shape = drawn
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    there = layout.forward(array, core_shape=shape)
    binding = Binding("path", "name", layout, shape, there.shape)
    assert sorted(binding.to_torch(array).reshape(-1)) == sorted(array.reshape(-1))
    np.testing.assert_array_equal(binding.to_core(there), array)
    tensor = binding.torch_view(torch.from_numpy(array))
    np.testing.assert_array_equal(tensor.numpy(), there)
    np.testing.assert_array_equal(binding.core_view(tensor).numpy(), array)


@pytest.mark.library
def test_arrays_of_another_shape_are_refused() -> None:
    """Neither direction takes an array of another shape."""
    binding = Binding("path", "name", Layout(axes=(1, 0)), (2, 3), (3, 2))
    for convert, shape in ((binding.to_torch, (3, 2)), (binding.to_core, (2, 3))):
        with pytest.raises(TransferError) as caught:
            convert(np.zeros(shape))
        assert caught.value.code == "torch-shape"


@pytest.mark.library
@pytest.mark.parametrize(
    "name", ["float32", "float16", "int64", "bool", "uint8", "complex64", "bfloat16", "float8_e5m2"]
)
def test_arrays_become_tensors_and_come_back(name: str) -> None:
    """Every dtype that both have keeps its bits, for any rank and memory order."""
    dtype = getattr(ml_dtypes, name) if hasattr(ml_dtypes, name) else np.dtype(name)
    for array in (np.arange(6).reshape(2, 3).astype(dtype).T, np.array(1).astype(dtype), np.zeros((0, 2), dtype)):
        tensor = tensor_of(array)
        assert str(tensor.dtype) == f"torch.{name}"
        found = array_of(tensor)
        assert found.dtype == array.dtype
        assert found.shape == array.shape == tuple(tensor.shape)
        assert found.tobytes() == np.ascontiguousarray(array).tobytes()


@pytest.mark.library
def test_dtypes_that_torch_lacks_are_refused() -> None:
    """Strings, and dtypes of tensors that the etui lacks, are refused."""
    for convert in (
        lambda: tensor_of(np.array(["a"], dtype=object)),
        lambda: array_of(torch.zeros(2, dtype=torch.float8_e4m3fnuz)),
    ):
        with pytest.raises(TransferError) as caught:
            convert()
        assert caught.value.code == "torch-dtype"


@pytest.mark.clause("PT-2@4d1a3e", "PT-3@6ed63a")
@pytest.mark.parametrize("make", [kit.image_model, kit.text_model])
def test_each_variable_is_one_tensor(make: Any) -> None:
    """Every variable has one whole tensor of the state_dict, with its elements; there are no other tensors."""
    model = make()
    module = to_module(model)
    state = module.state_dict()
    found = bindings(module)
    assert [binding.path for binding in found] == list(model.weights.variables)
    assert sorted(binding.name for binding in found) == sorted(state)
    parameters = dict(module.named_parameters())
    for binding in found:
        variable = model.weights[binding.path]
        assert tuple(state[binding.name].shape) == binding.torch_shape
        np.testing.assert_array_equal(binding.to_core(array_of(state[binding.name])), variable.numpy())
        needs = binding.name in parameters and parameters[binding.name].requires_grad
        assert needs == variable.trainable == binding.trainable


@pytest.mark.clause("PT-15@749296")
def test_the_model_is_read_back_as_it_is_then() -> None:
    """Weights are read from the module when they are asked for; the config is the one that it was made of."""
    model = kit.image_model()
    module = to_module(model)
    again = source_of(module)
    assert again.config is not None
    assert again.weights is not None
    assert again.config.model is model.config.model
    assert list(again.weights.variables) == list(model.weights.variables)
    assert {path: variable.trainable for path, variable in again.weights.variables.items()} == {
        path: variable.trainable for path, variable in model.weights.variables.items()
    }
    with torch.no_grad():
        module.head.weight.mul_(2)
    np.testing.assert_array_equal(again.weights["head/kernel"].numpy(), 2 * model.weights["head/kernel"].numpy())
    compiled = torch.compile(module, backend="eager")
    assert [one.name for one in bindings(compiled)] == [one.name for one in bindings(module)]


@pytest.mark.library
def test_other_modules_have_no_bindings() -> None:
    """A module that was not made of an etui is refused."""
    for ask in (bindings, source_of):
        with pytest.raises(UsageError) as caught:
            ask(torch.nn.Linear(2, 2))
        assert caught.value.code == "torch-module"
