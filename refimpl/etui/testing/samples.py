"""A small model that uses everything an artifact can hold, for tests of code that handles whole artifacts."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from etui.canonical.values import AssetRef, DtypeName, ObjectValue, OutputRef, VariableRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.state import Rng, State
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.model import Blob, Model, Native

VOCABULARY = "assets/vocabulary.txt"
PROGRAM = "programs/forward/main.onnx"
CURRENT = "native/keras/config.json"
STALE = "native/keras/old.json"


def everything() -> Model:
    """A new model with every container, dtype family, encoding and kind of part; the numbers are always the same."""
    model = Model(
        config=config(),
        weights=weights(),
        training=training(),
        optimizer=optimizer(),
        state=state(),
        assets={VOCABULARY: Blob.of(b"[UNK]\nthe\na\n", "text/plain")},
        programs={PROGRAM: Blob.of(bytes(range(64)))},
        metadata={"author": "a test", "ratio": 1.0},
    )
    kept = Blob.of(b'{"class_name": "Functional"}', "application/json")
    model.native[CURRENT] = model.bind(kept, "keras", "3.15.1", "config.json", "training.json")
    model.native[STALE] = Native(Blob.of(b"{}"), "keras", None, {"config.json": "sha256:" + "0" * 64})
    return model


def config() -> Config:
    """A graph of an input, a lookup, a dense layer that is called twice and shared, and an opaque layer."""
    modules = [
        Module("input", op="keras:InputLayer", attrs={"batch_shape": (None, 4), "dtype": DtypeName("float32")}),
        Module("lookup", op="keras:StringLookup", attrs={"vocabulary": AssetRef(VOCABULARY)}),
        Module(
            "dense",
            op="keras:Dense",
            attrs={"units": 4, "scale": 1.0, "kernel_initializer": ObjectValue("keras:initializers.Zeros", {})},
            params={"bias": "dense/bias", "kernel": "dense/kernel"},
            build={"input_shape": (None, 4)},
            residue={"keras": {"module": "keras.layers"}},
        ),
        Module(
            "own",
            "opaque",
            "custom:tests>Own",
            attrs={"nan": float("nan"), "big": 2**70, "raw": b"\x00\xff", "small": np.arange(3, dtype=np.int16)},
            modules=[Module("inner", "shared", target="dense")],
        ),
    ]
    calls = [
        Call("input", "input"),
        Call("dense", "dense", [OutputRef("input", 0)]),
        Call("dense:1", "dense", [OutputRef("dense", 0)], {"training": False}),
        Call("own", "own", [[OutputRef("dense:1", 0)], slice(0, None, 2)]),
    ]
    graph = Graph([OutputRef("input", 0)], {"result": OutputRef("own", 0)}, calls)
    return Config(Module("everything", "graph", "keras:Functional", modules=modules, graph=graph))


def weights() -> Weights:
    """Variables of every encoding, some with no elements and with one, frozen ones, and an alias."""
    found = Weights()
    generator = np.random.default_rng(7)
    kernel = generator.standard_normal((4, 4)).astype(np.float32)
    kernel[0, :3] = [np.nan, -0.0, 1e-42]
    found.add("dense/kernel", Tensor.of(kernel), role="kernel")
    found.add("dense/bias", Tensor.of(np.zeros(4, np.float32)), role="bias", trainable=False)
    plain = {
        "mask": np.array([True, False, True]),
        "half": generator.standard_normal((2, 3)).astype(ml_dtypes.bfloat16),
        "eighth": np.arange(4).astype(ml_dtypes.float8_e4m3fn),
        "count": np.array(2**63, np.uint64),
        "nothing": np.zeros((0, 3), np.int8),
        "nibbles": np.array([-8, 7, 1], ml_dtypes.int4),
        "words": np.array(["", "Ebene", "ä"], object),
        "raw": np.array([b"\xff", b""], object),
        "complex": np.array([[1 + 2j, np.nan - 1j]], np.complex128),
    }
    for name, array in plain.items():
        found.add(f"own/{name}", Tensor.of(array), role=name, trainable=name == "half")
    integers, scale = (
        Tensor.of(np.arange(-4, 4, dtype=np.int8).reshape(4, 2)),
        Tensor.of(np.full((1, 2), 0.5, np.float32)),
    )
    found.add("own/quantized", Tensor.quantized(integers, scale, dtype="float32"), role="kernel", trainable=False)
    boxes = [((0, 0), np.ones((1, 3))), ((1, 0), np.zeros((2, 3)))]
    found.add("own/chunked", Tensor.chunked("float64", (3, 3), boxes), role="kernel")
    found.aliases["tied/kernel"] = "dense/kernel"
    return found


def training() -> Training:
    """Losses, metrics and a mixed precision."""
    return Training(
        loss=ObjectValue("keras:losses.Huber", {"delta": 1.0}),
        metrics=["mae", ObjectValue("custom:tests>Metric", {})],
        precision={"name": "mixed_bfloat16", "variable_dtype": "float32", "compute_dtype": "bfloat16"},
        options={"steps_per_execution": 1},
    )


def optimizer() -> OptimizerState:
    """Adam behind a loss scaler, with slots, a variable without yet, and a schedule."""
    slots = {
        name: Tensor.of(np.full((4, 4), value, np.float32)) for name, value in (("momentum", 0.5), ("velocity", 0.1))
    }
    adam = Optimizer(
        "keras:Adam",
        {"beta_1": 0.9, "epsilon": 1e-7, "learning_rate": 0.001},
        learning_rate=0.0005,
        step=120,
        micro_step=240,
        schedule=ObjectValue("keras:optimizers.schedules.ExponentialDecay", {"decay_steps": 10}),
        schedule_clock="step",
        groups=[Group(["dense/kernel", "own/half"]), Group(["own/chunked"], {"weight_decay": 0.5})],
        slots={"dense/kernel": slots},
        fresh=["own/half", "own/chunked"],
        shared_slots={"product": Tensor.of(np.array(0.25))},
    )
    return OptimizerState({"optimizer": Optimizer("keras:LossScaleOptimizer", {"initial_scale": 32768.0}, inner=adam)})


def state() -> State:
    """Counters, a generator, a metric, and a caller's own values with a tensor among them."""
    return State(
        counters={"batch": 5, "epoch": 3},
        rng={"dropout/seed": Rng("keras:SeedGenerator", Tensor.of(np.array([1, 2], np.uint32)))},
        metrics={"mae": {"total": Tensor.of(np.array(0.5, np.float32)), "count": 10.0}},
        data={"position": (1, 2)},
        user={
            "best": float("-inf"),
            "history": Tensor.of(np.arange(5, dtype=np.float32)),
            "of": VariableRef("dense/bias"),
        },
    )
