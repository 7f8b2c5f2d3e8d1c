"""A case: a small core model that calls one op, with its inputs; and the drawing that cases are made by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

from etui.canonical.values import OutputRef, equal
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights
from etui.core.vocabulary import ops
from etui.model import Model

Array = np.ndarray[Any, Any]
DTYPES: Mapping[str, Any] = {
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}
OP = "op"
"""Name of the module under test and of its call."""


@dataclass(frozen=True)
class In:
    """Stands for an input of the model among the arguments of a call."""

    name: str


@dataclass
class Case:
    """A model of one op.

    Attributes:
        op: its name without the namespace.
        dtype: of its floats.
        module: that of the op.
        inputs: name -> array, in the order of the graph's inputs.
        args, kwargs: of the call, with `In` for tensors.
        variables: path -> array.
        outputs: how many tensors the op gives.
        before, after: modules around the op; each input of rank 3 goes through `before`, the first output through
            `after`.
        extra: modules without arguments, called first; they are inputs of the op by their names.
        training: the mode.
        compared: for each output the places to be compared with Keras, or `None` for all; see the cases of attention.
    """

    op: str
    dtype: str
    module: Module
    inputs: dict[str, Array]
    args: list[Any]
    kwargs: dict[str, Any]
    variables: dict[str, Array]
    outputs: int = 1
    before: Module | None = None
    after: Module | None = None
    extra: list[Module] = field(default_factory=list)
    training: bool = False
    compared: list[Array | None] = field(default_factory=list)

    def arrays(self, dtype: str | None = None) -> dict[str, Array]:
        """The inputs, their floats in a dtype."""
        return {name: as_dtype(array, dtype or self.dtype) for name, array in self.inputs.items()}

    def model(self, dtype: str | None = None) -> Model:
        """The model with its floats in a dtype, else the case's own."""
        dtype = dtype or self.dtype
        modules = [_input(name, array, dtype) for name, array in self.arrays(dtype).items()]
        calls = [Call(name, name) for name in self.inputs]
        sources = {name: OutputRef(name, 0) for name in self.inputs}
        for module in self.extra:
            modules.append(_precise(module, dtype))
            calls.append(Call(module.name, module.name))
            sources[module.name] = OutputRef(module.name, 0)
        if self.before is not None:
            modules.append(_precise(self.before, dtype))
            for name in self.through():
                calls.append(Call(f"{name}-before", self.before.name, [sources[name]]))
                sources[name] = OutputRef(f"{name}-before", 0)
        modules.append(_precise(self.module, dtype))
        calls.append(Call(OP, OP, mapped(self.args, sources), mapped(self.kwargs, sources)))
        outputs = [OutputRef(OP, index) for index in range(self.outputs)]
        if self.after is not None:
            modules.append(_precise(self.after, dtype))
            calls.append(Call("after", self.after.name, [outputs[0]]))
            outputs[0] = OutputRef("after", 0)
        graph = Graph([OutputRef(name, 0) for name in self.inputs], outputs if self.outputs > 1 else outputs[0], calls)
        root = Module("model", "graph", "core:graph", modules=modules, graph=graph)
        variables = {
            path: Variable(Tensor.of(as_dtype(array, dtype)), path.rpartition("/")[2])
            for path, array in self.variables.items()
        }
        return Model(config=Config(root), weights=Weights(variables))

    def through(self) -> list[str]:
        """The inputs that go through `before`."""
        return [name for name, array in self.inputs.items() if array.ndim == 3 and array.dtype.kind == "f"]

    def __str__(self) -> str:
        shapes = {name: f"{array.dtype}{list(array.shape)}" for name, array in self.inputs.items()}
        shapes |= {path: str(list(array.shape)) for path, array in self.variables.items()}
        around = [module.op for module in (self.before, self.after) if module is not None]
        children = {child.name: (child.op, child.attrs) for child in self.module.modules}
        return (
            f"{self.op} {self.module.attrs} in {self.dtype}, training={self.training}, args={self.args}, "
            f"kwargs={self.kwargs}, arrays={shapes}, children={children}, around={around}"
        )


def as_dtype(array: Array, dtype: str) -> Array:
    """An array with its floats in a dtype; other arrays stay."""
    return array.astype(DTYPES[dtype]) if array.dtype.kind == "f" or array.dtype == ml_dtypes.bfloat16 else array


def mapped(value: Any, sources: Mapping[str, Any]) -> Any:
    """A value with each `In` replaced by what stands for the input."""
    if isinstance(value, In):
        return sources[value.name]
    if isinstance(value, list):
        return [mapped(item, sources) for item in value]
    if isinstance(value, dict):
        return {key: mapped(item, sources) for key, item in value.items()}
    return value


def _input(name: str, array: Array, dtype: str) -> Module:
    own = dtype if array.dtype in [np.dtype(one) for one in DTYPES.values()] else array.dtype.name
    own = "string" if array.dtype.kind in "UO" else own
    return Module(name, op="core:input", attrs={"shape": [None, *array.shape[1:]], "dtype": own})


def _precise(module: Module, dtype: str) -> Module:
    """The module and all below it, computing in a dtype."""
    attrs = dict(module.attrs)
    if dtype != "float32":
        attrs["precision"] = {"variable_dtype": dtype, "compute_dtype": dtype}
    children = [_precise(child, dtype) for child in module.modules]
    return Module(module.name, module.kind, module.op, attrs, module.params, children, module.graph)


class Draw:
    """Draws what a case is made of.

    Attributes:
        judge: who will be asked; some attributes exist in one framework only.
        dtype: of the floats.
    """

    def __init__(self, data: st.DataObject, judge: str, dtype: str) -> None:
        self.data = data
        self.judge = judge
        self.dtype = dtype
        self.random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))

    def number(self, low: int, high: int) -> int:
        """A number of a range, both ends included."""
        return self.data.draw(st.integers(low, high))

    def flag(self) -> bool:
        """True or false."""
        return self.data.draw(st.booleans())

    def pick(self, *options: Any) -> Any:
        """One of the options."""
        return self.data.draw(st.sampled_from(options))

    def ints(self, count: int, low: int, high: int) -> list[int]:
        """Several numbers of a range."""
        return [self.number(low, high) for _ in range(count)]

    def floats(self, *shape: int, low: float = -2.0, high: float = 2.0) -> Array:
        """An array of the case's dtype, as float64."""
        return as_dtype(self.random.uniform(low, high, shape), self.dtype).astype(np.float64)

    def kernel(self, *shape: int) -> Array:
        """A variable whose sums stay near 1."""
        return self.floats(*shape, low=-0.8, high=0.8)

    def bools(self, *shape: int) -> Array:
        """An array of booleans."""
        return self.random.random(shape) < 0.6

    def mask(self, batch: int, time: int) -> Array:
        """A mask with at least one step for each example."""
        mask = self.bools(batch, time)
        mask[np.arange(batch), self.random.integers(0, time, batch)] = True
        return mask

    def indices(self, *shape: int, below: int) -> Array:
        """An array of indices."""
        return self.random.integers(0, below, shape, dtype=np.int32)

    @property
    def keras(self) -> bool:
        """Whether the case must be one that Keras can express."""
        return self.judge in {"keras", "keras_jax"}

    def data_format(self) -> str:
        """Where the channels are; Keras with TensorFlow has them last on a CPU."""
        return "channels_last" if self.judge == "keras" else str(self.pick("channels_last", "channels_first"))

    def activation(self) -> str:
        """The name of an activation that layers are often given."""
        return str(self.pick("linear", "relu", "tanh", "sigmoid"))


Maker = Callable[[Draw], Case]
CASES: dict[str, Maker] = {}


def case(*names: str) -> Callable[[Callable[[Draw, str], Case]], Callable[[Draw, str], Case]]:
    """Register the decorated function as the one that draws the cases of these ops."""

    def keep(function: Callable[[Draw, str], Case]) -> Callable[[Draw, str], Case]:
        for name in names:
            CASES[name] = lambda draw, name=name: function(draw, name)  # type: ignore[misc]
        return function

    return keep


def own_attrs(op: str, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that differ from their defaults, which are all that a module states."""
    known = ops()[op].attrs
    return {
        name: value for name, value in attrs.items() if known[name].required or not equal(value, known[name].default)
    }


def module_of(op: str, attrs: Mapping[str, Any], name: str, roles: Iterable[str], path: str) -> Module:
    """A module of one op whose variables have the path of the module before their role."""
    return Module(name, op=f"core:{op}", attrs=own_attrs(op, attrs), params={role: f"{path}/{role}" for role in roles})


def single(
    draw: Draw,
    op: str,
    inputs: Mapping[str, Array],
    attrs: Mapping[str, Any] | None = None,
    params: Mapping[str, Array] | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    args: Sequence[Any] | None = None,
    outputs: int = 1,
    training: bool = False,
    masked: bool = False,
) -> Case:
    """A case of one op.

    Args:
        draw: the drawing.
        op: name without the namespace.
        inputs: name -> array.
        attrs: of the op; defaults may be among them.
        params: role -> array.
        kwargs: of the call.
        args: of the call; else all inputs that no keyword names, in order.
        outputs: how many tensors the op gives.
        training: the mode.
        masked: whether steps of the inputs of rank 3 are masked before the op, and the output is averaged over the
            steps that its mask has.
    """
    params, kwargs = dict(params or {}), dict(kwargs or {})
    named = {value.name for value in kwargs.values() if isinstance(value, In)}
    if args is None:
        args = [In(name) for name in inputs if name not in named]
    case = Case(
        op,
        draw.dtype,
        module_of(op, attrs or {}, OP, params, OP),
        dict(inputs),
        list(args),
        kwargs,
        {f"{OP}/{role}": array for role, array in params.items()},
        outputs,
        training=training,
    )
    return carrying_masks(draw, case) if masked else case


def carrying_masks(draw: Draw, case: Case) -> Case:
    """The case with masks: some steps of its inputs are zeros, which `masking` masks, and a mean shows what is left."""
    for name in case.through():
        array = case.inputs[name]
        case.inputs[name] = np.where(draw.mask(*array.shape[:2])[..., np.newaxis], array, 0.0)
    case.before = Module("before", op="core:masking")
    case.after = Module("after", op="core:global_avg_pool")
    return case
