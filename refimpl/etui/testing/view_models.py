"""Models that are hard to show: very large ones, and those whose names and values are made to harm who shows them."""

from __future__ import annotations

import numpy as np

from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.model import Blob, Model, Native
from etui.testing.runnable import core_graph, core_input

MARKUP = "<script>document.body.dataset.pwned='1'<%2Fscript><img src=x onerror=\"document.body.dataset.pwned='2'\">"
"""A name that would change the page if it were taken as HTML."""

TURNED = "abc\u202egnp.exe"
"""A name with the mark that turns the direction of what follows."""

ARABIC = "طبقة"
LONG = "l" * 10_000


def chain(layers: int, width: int = 4) -> Model:
    """A model of so many dense layers one after the other: twice as many tensors."""
    generator = np.random.default_rng(11)
    modules = [Module("input", op="keras:InputLayer", attrs={"batch_shape": (None, width)})]
    calls = [Call("input", "input")]
    weights = Weights()
    for number in range(layers):
        name = f"dense_{number}"
        kernel, bias = f"{name}/kernel", f"{name}/bias"
        weights.add(kernel, Tensor.of(generator.standard_normal((width, width)).astype(np.float32)), role="kernel")
        weights.add(bias, Tensor.of(np.full(width, number, np.float32)), role="bias")
        modules.append(
            Module(
                name,
                op="keras:Dense",
                attrs={"activation": "relu", "units": width},
                params={"bias": bias, "kernel": kernel},
                build={"input_shape": (None, width)},
            )
        )
        calls.append(Call(name, name, [OutputRef(calls[-1].id, 0)]))
    graph = Graph([OutputRef("input", 0)], OutputRef(calls[-1].id, 0), calls)
    return Model(
        config=Config(Module("chain", "graph", "keras:Functional", modules=modules, graph=graph)), weights=weights
    )


def doubled(depth: int, inner: Module | None = None, shape: tuple[int, ...] = (4,)) -> Module:
    """A model that calls a model twice, which does the same, and so on: 2^depth calls of the innermost one."""
    found = inner or Module("m", op="core:relu")
    for _ in range(depth):
        source = core_input("input", *shape)
        reference = OutputRef("input", 0)
        calls = [
            Call("input", "input"),
            Call("a", "m", [reference]),
            Call("b", "m", [OutputRef("a", 0)]),
        ]
        found = core_graph("m", [source, found], calls, [reference], [OutputRef("b", 0)])
    return found


def hostile() -> Model:
    """A valid model whose names, attributes and metadata hold markup, marks of direction, and very much text."""
    weights = Weights()
    names = {"markup": MARKUP, "turned": TURNED, "arabic": ARABIC, "long": "n" * 200}
    modules = [Module("input", op="keras:InputLayer", attrs={"batch_shape": (None, 2)})]
    calls = [Call("input", "input")]
    for number, name in enumerate(names.values()):
        segment = name.replace("/", "%2F")
        path = f"{segment}/kernel"
        values = np.array([[np.nan, np.inf], [-np.inf, number]], np.float32)
        weights.add(path, Tensor.of(values), role=MARKUP if number == 0 else "kernel")
        attrs = {
            MARKUP: MARKUP,
            "text": LONG,
            "numbers": list(range(20_000)),
            "deep": _nested(40),
            "initializer": ObjectValue("keras:initializers.Zeros", {"note": MARKUP}),
            "tricky": {"__proto__": 1, "constructor": 2, "toString": MARKUP},
        }
        modules.append(
            Module(segment, op="custom:tests>" + name.replace(" ", "_"), attrs=attrs, params={"kernel": path})
        )
        calls.append(Call(segment, segment, [OutputRef(calls[-1].id, 0)]))
    weights.add("loose/__proto__", Tensor.of(np.array(["<b>bold</b>", ""], object)), role="constructor")
    graph = Graph([OutputRef("input", 0)], {MARKUP: OutputRef(calls[-1].id, 0)}, calls)
    model = Model(
        config=Config(Module(MARKUP.replace("/", "%2F"), "graph", "keras:Functional", modules=modules, graph=graph)),
        weights=weights,
        metadata={MARKUP: MARKUP, "note": TURNED},
    )
    model.native["native/keras/config.json"] = Native(Blob.of(b"{}", "text/html"), "keras", MARKUP, {})
    return model


def _nested(depth: int) -> object:
    value: object = "bottom"
    for _ in range(depth):
        value = {"inside": value}
    return value


def weights_only() -> Model:
    """Weights without a config, one of them as wide as a page is not."""
    weights = Weights()
    weights.add("encoder/kernel", Tensor.of(np.linspace(-1, 1, 96, dtype=np.float32).reshape(8, 12)), role="kernel")
    weights.add("encoder/steps", Tensor.of(np.array([2**62, -(2**62)])), role="steps", trainable=False)
    weights.add("flags", Tensor.of(np.array([True, False, True])), role="flags", trainable=False)
    return Model(weights=weights)


def pictures() -> Model:
    """Tensors of the shapes that are shown as pictures, one of them with elements that are not finite."""
    generator = np.random.default_rng(5)
    weights = Weights()
    broken = generator.standard_normal((6, 9)).astype(np.float32)
    broken[0, :3] = [np.nan, np.inf, -np.inf]
    tensors = {
        "colours/kernel": generator.standard_normal((3, 3, 3, 8)).astype(np.float32),
        "windows/kernel": generator.standard_normal((3, 3, 4, 5)).astype(np.float32),
        "steps/kernel": generator.standard_normal((5, 6, 7)).astype(np.float32),
        "matrix/kernel": broken,
        "vector/bias": np.arange(-8, 8, dtype=np.int8),
    }
    for path, values in tensors.items():
        weights.add(path, Tensor.of(values), role=path.rpartition("/")[2])
    return Model(weights=weights)


def trained(epoch: int) -> Model:
    """A model with two inputs, a nested model that is called twice, and an optimizer; epochs differ in everything.

    The second epoch has other numbers, a wider layer, a layer more, another loss, and a step of its optimizer more.
    """
    inputs = [Module(name, op="keras:InputLayer", attrs={"batch_shape": (None, 8)}) for name in ("left", "right")]
    units = 4 + epoch
    expand = Module(
        "expand",
        op="keras:Dense",
        attrs={"activation": "relu", "units": units},
        params={"bias": "encoder/expand/bias", "kernel": "encoder/expand/kernel"},
    )
    inner = [Module("features", op="keras:InputLayer", attrs={"batch_shape": (None, 8)}), expand]
    inner_calls = [Call("features", "features"), Call("expand", "expand", [OutputRef("features", 0)])]
    encoder = Module(
        "encoder",
        "graph",
        "keras:Functional",
        modules=inner,
        graph=Graph(OutputRef("features", 0), OutputRef("expand", 0), inner_calls),
    )
    calls = [
        Call("left", "left"),
        Call("right", "right"),
        Call("encoder", "encoder", [OutputRef("left", 0)]),
        Call("encoder:1", "encoder", [OutputRef("right", 0)]),
        Call("add", "add", [[OutputRef("encoder", 0), OutputRef("encoder:1", 0)]]),
    ]
    modules = [*inputs, encoder, Module("add", op="keras:Add")]
    if epoch:
        modules.append(Module("drop", op="keras:Dropout", attrs={"rate": 0.25}))
        calls.append(Call("drop", "drop", [OutputRef("add", 0)]))
    head = Module("head", op="keras:Dense", attrs={"units": 1}, params={"kernel": "head/kernel"})
    modules.append(head)
    calls.append(Call("head", "head", [OutputRef(calls[-1].id, 0)]))
    graph = Graph([OutputRef("left", 0), OutputRef("right", 0)], {"score": OutputRef("head", 0)}, calls)
    weights = Weights()
    kernel = np.arange(8 * units, dtype=np.float32).reshape(8, units) / 8
    weights.add("encoder/expand/kernel", Tensor.of(kernel), role="kernel")
    weights.add("encoder/expand/bias", Tensor.of(np.zeros(units, np.float32)), role="bias", trainable=not epoch)
    weights.add("head/kernel", Tensor.of(np.array([[1], [2], [3], [4.0 + epoch]], np.float32)), role="kernel")
    moment = np.full((4, 1), 0.5 * (epoch + 1), np.float32)
    slots = {"head/kernel": {"momentum": Tensor.of(moment), "velocity": Tensor.of(np.ones((4, 1), np.float32))}}
    adam = Optimizer(
        "keras:Adam",
        {"beta_1": 0.9, "learning_rate": 0.001},
        learning_rate=0.001,
        step=10 + epoch,
        micro_step=10 + epoch,
        groups=[Group(["head/kernel"])],
        slots=slots,
    )
    return Model(
        config=Config(Module("pair", "graph", "keras:Functional", modules=modules, graph=graph)),
        weights=weights,
        training=Training(loss="mse" if epoch else "mae", metrics=["accuracy"]),
        optimizer=OptimizerState({"optimizer": adam}),
        state=State(counters={"epoch": epoch}),
    )
