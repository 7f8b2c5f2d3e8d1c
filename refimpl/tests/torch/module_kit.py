"""What the tests of torch modules share: small models in the core vocabulary, made without Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.canonical.values import OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.core import vocabulary
from etui.model import Model

Array = npt.NDArray[Any]


class Builder:
    """A graph under construction, with random weights in float64.

    Args:
        name: of the model.
        seed: of the weights.
        prefix: of the paths of its variables.
    """

    def __init__(self, name: str = "model", seed: int = 0, prefix: str = "") -> None:
        self.name, self.prefix = name, prefix
        self.rng = np.random.default_rng(seed)
        self.weights = Weights()
        self.modules: list[Module] = []
        self.calls: list[Call] = []
        self.inputs: list[OutputRef] = []

    def input(self, name: str, *, dtype: str = "float32") -> OutputRef:
        """An input of any shape."""
        self.modules.append(Module(name, op="core:input", attrs={"shape": [None], "dtype": dtype}))
        self.inputs.append(self.call(name))
        return self.inputs[-1]

    def call(self, module: str, *args: Any, **kwargs: Any) -> OutputRef:
        """One more call of a module; the reference to its first output."""
        taken = sum(call.module == module for call in self.calls)
        self.calls.append(Call(f"{module}:{taken}" if taken else module, module, list(args), kwargs))
        return OutputRef(self.calls[-1].id, 0)

    def add(
        self,
        name: str,
        op: str,
        *args: Any,
        params: Mapping[str, Any] | None = None,
        frozen: bool = False,
        **attrs: Any,
    ) -> OutputRef:
        """A module and its call; `params` are shapes or arrays by role."""
        self.modules.append(self.module(name, op, params or {}, frozen=frozen, **attrs))
        return self.call(name, *args)

    def module(self, name: str, op: str, params: Mapping[str, Any], *, frozen: bool = False, **attrs: Any) -> Module:
        """A module whose variables are added to the weights; attributes that are the defaults are left out (CV-3)."""
        known = vocabulary.ops()[op].attrs
        stated = {key: value for key, value in attrs.items() if known[key].required or value != known[key].default}
        module = Module(name, op=f"core:{op}", attrs=stated)
        for role, value in params.items():
            module.params[role] = f"{self.prefix}{name}/{role}"
            self.weights.add(
                module.params[role],
                Tensor.of(value if isinstance(value, np.ndarray) else self.values(role, value)),
                role=role,
                trainable=not frozen and role not in {"moving_mean", "moving_variance", "mean", "variance", "count"},
            )
        return module

    def values(self, role: str, shape: tuple[int, ...]) -> Array:
        """Random numbers that suit a role."""
        if role in {"moving_variance", "variance"}:
            return self.rng.uniform(0.5, 1.5, shape)
        return self.rng.normal(scale=0.5, size=shape)

    def root(self, outputs: Any, inputs: Any = None) -> Module:
        """The module of the graph."""
        graph = Graph(self.inputs if inputs is None else inputs, outputs, self.calls)
        return Module(self.name, "graph", "core:graph", modules=self.modules, graph=graph)

    def model(self, outputs: Any, inputs: Any = None) -> Model:
        """The model."""
        return Model(config=Config(self.root(outputs, inputs)), weights=self.weights)


def dense(inputs: int, units: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a dense module's variables."""
    return {"kernel": (inputs, units), "bias": (units,)}


def recurrent(gates: int, inputs: int, units: int, bias: tuple[int, ...] = ()) -> dict[str, tuple[int, ...]]:
    """The shapes of a recurrent module's variables; its bias is one row unless `bias` says otherwise."""
    return {
        "kernel": (inputs, gates * units),
        "recurrent_kernel": (units, gates * units),
        "bias": (*bias, gates * units),
    }


def norm(channels: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a batch normalization's variables."""
    return dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (channels,))


def heads(inputs: int, count: int, dim: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the variables of multi-head attention."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name in ("query", "key", "value"):
        shapes |= {f"{name}_kernel": (inputs, count, dim), f"{name}_bias": (count, dim)}
    return shapes | {"output_kernel": (count, dim, inputs), "output_bias": (inputs,)}


def image_model() -> Model:
    """A convolution on an even size with strides, normalization, pooling and a dense layer."""
    b = Builder()
    x = b.input("image")
    x = b.add("conv", "conv", x, params={"kernel": (3, 3, 2, 4), "bias": (4,)}, kernel_size=[3, 3], filters=4,
              strides=[2, 2], padding="same", activation="relu")  # fmt: skip
    x = b.add("norm", "batch_norm", x, params=norm(4))
    x = b.add("pool", "max_pool", x, pool_size=[2, 2], padding="same")
    x = b.add("flatten", "flatten", x)
    x = b.add("drop", "dropout", x, rate=0.5)
    return b.model(b.add("head", "dense", x, params=dense(16, 3), units=3, activation="softmax"))


def text_model() -> Model:
    """Embedded, masked words through attention and recurrent layers in both directions."""
    b = Builder()
    x = b.input("words", dtype="int32")
    x = b.add("embedding", "embedding", x, params={"embeddings": (9, 4)}, input_dim=9, output_dim=4, mask_zero=True)
    b.modules.append(b.module("attention", "mha", heads(4, 2, 3), num_heads=2, key_dim=3))
    x = b.call("attention", x, x)
    x = b.add("lstm", "lstm", x, params=recurrent(4, 4, 5), units=5, return_sequences=True)
    both = Module("both", op="core:bidirectional")
    for side in ("forward", "backward"):
        child = b.module(
            side, "gru", recurrent(3, 5, 2, (2,)), units=2, **({"go_backwards": True} if side == "backward" else {})
        )
        both.modules.append(child)
    b.modules.append(both)
    x = b.call("both", x)
    return b.model(b.add("head", "dense", x, params=dense(4, 3), units=3))
