"""Variables of the weights file: paths, roles, flags, order, and their way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.layer_table import LAYERS
from etui.bridges.keras.names import snake_case
from etui.containers.tensors import Tensor
from etui.errors import TransferError
from etui.report import Report

Json = Any


def arrays_of(group: str, *arrays: Any) -> dict[str, Any]:
    """Numbered datasets of one group."""
    return {f"{group}/vars/{number}": np.asarray(array, "float32") for number, array in enumerate(arrays)}


def zeros(*shapes: tuple[int, ...]) -> list[Any]:
    """Arrays of different content for some shapes."""
    return [np.full(shape, at + 0.5, "float32") for at, shape in enumerate(shapes)]


def listing(model: Any) -> list[tuple[str, bool]]:
    """Paths and flags in order."""
    return [(path, variable.trainable) for path, variable in model.weights.variables.items()]


POLICY = {"module": "keras", "class_name": "QuantizedDTypePolicy", "registered_name": None}


def mode(name: str) -> Json:
    """The dtype policy of a quantized layer."""
    return {"dtype": POLICY | {"config": {"mode": name, "source_name": "float32"}}}


TABLE: list[tuple[str, dict[str, Json], str]] = [
    ("Dense", {}, "kernel bias"),
    ("Dense", {"use_bias": False}, "kernel"),
    ("Dense", mode("int8"), "-kernel bias -kernel_scale"),
    ("Dense", mode("int4/128"), "-kernel bias -kernel_scale -kernel_zero -g_idx"),
    ("Dense", mode("int4"), "-kernel bias -kernel_scale"),
    ("Dense", {"dtype": "int8_from_float32", "use_bias": False}, "-kernel -kernel_scale"),
    ("Dense", mode("gptq/4/128"), "bias -quantized_kernel -kernel_scale -kernel_zero -g_idx"),
    ("Dense", mode("awq/4/128"), "bias -quantized_kernel -kernel_scale -kernel_zero -awq_scales -g_idx"),
    (
        "EinsumDense",
        {"bias_axes": "c"} | mode("float8"),
        (
            "kernel bias inputs_scale inputs_amax_history kernel_scale kernel_amax_history outputs_grad_scale "
            "outputs_grad_amax_history"
        ),
    ),
    ("EinsumDense", {"bias_axes": None}, "kernel"),
    ("Embedding", {}, "embeddings"),
    ("Embedding", mode("int4/128"), "-embeddings -embeddings_scale -embeddings_zero -g_idx"),
    ("ReversibleEmbedding", {"tie_weights": True}, "embeddings"),
    ("ReversibleEmbedding", {"tie_weights": False}, "embeddings reverse_embeddings"),
    (
        "ReversibleEmbedding",
        {"tie_weights": False} | mode("int8"),
        "-embeddings -embeddings_scale -reverse_embeddings -reverse_embeddings_scale",
    ),
    ("Conv2D", {}, "kernel bias"),
    ("Conv3DTranspose", {"use_bias": False}, "kernel"),
    ("DepthwiseConv1D", {}, "kernel bias"),
    ("SeparableConv2D", {}, "depthwise_kernel pointwise_kernel bias"),
    ("BatchNormalization", {}, "gamma beta -moving_mean -moving_variance"),
    ("BatchNormalization", {"scale": False, "center": False}, "-moving_mean -moving_variance"),
    (
        "BatchNormalization",
        {"renorm": True, "scale": False},
        "beta -moving_mean -moving_variance -moving_stddev -renorm_mean -renorm_stddev",
    ),
    ("LayerNormalization", {}, "gamma beta"),
    ("LayerNormalization", {"rms_scaling": True, "scale": False}, "gamma"),
    ("GroupNormalization", {"center": False}, "gamma"),
    ("RMSNormalization", {}, "scale"),
    ("PReLU", {}, "alpha"),
    ("Attention", {"use_scale": True, "score_mode": "concat"}, "scale concat_score_weight"),
    ("AdditiveAttention", {}, "scale"),
    ("Normalization", {"mean": None}, "-mean -variance -count"),
    ("LSTMCell", {}, "kernel recurrent_kernel bias"),
    ("GRUCell", {"use_bias": False}, "kernel recurrent_kernel"),
    ("LocallyConnected1D", {}, "kernel bias"),
    ("LocallyConnected2D", {"use_bias": False}, "kernel"),
    ("CuDNNLSTM", {}, "kernel recurrent_kernel bias"),
    ("CuDNNGRU", {}, "kernel recurrent_kernel bias"),
    ("STFTSpectrogram", {"mode": "real"}, "real_kernel"),
    ("STFTSpectrogram", {"mode": "psd"}, "real_kernel imag_kernel"),
]


@pytest.mark.clause("K-19@5f61ba", "K-48@6a0db9", "K-49@caeb83")
@pytest.mark.parametrize(("kind", "config", "text"), TABLE)
def test_built_in_layers_have_named_variables(kit: Any, kind: str, config: dict[str, Json], text: str) -> None:
    """Stored numbers become the table's names, with its flags; trainable variables are listed first."""
    names = text.split()
    layer = kit.layer(kind, "it", **config)
    group = f"layers/{snake_case(kind)}"
    arrays = arrays_of(group, *zeros(*[(2, at + 1) for at in range(len(names))]))
    model = kit.round_trip(kit.sequential([layer]), arrays)
    expected = [(f"it/{name.lstrip('-')}", not name.startswith("-")) for name in names]
    assert listing(model) == sorted(expected, key=lambda item: not item[1])
    for number, name in enumerate(names):
        path = f"it/{name.lstrip('-')}"
        assert model.weights[path].numpy().tobytes() == arrays[f"{group}/vars/{number}"].tobytes()
        assert model.weights[path].role == name.lstrip("-")
        assert model.config.find("it").params[name.lstrip("-")] == path


@pytest.mark.clause("K-19@5f61ba")
def test_the_table_of_tests_has_every_class_with_variables() -> None:
    """Each class of the layer table that owns variables is tested, its siblings of other ranks aside."""
    tested = {kind for kind, _, _ in TABLE}
    elsewhere = ("Conv", "Cell", "Lookup", "TextVectorization", "SpectralNormalization", "Sync", "experimental")
    owners = {kind for kind, row in LAYERS.items() if row.variables and not any(part in kind for part in elsewhere)}
    assert len(owners) > 12
    assert owners - tested == set()


@pytest.mark.clause("K-46@5d9f82")
def test_a_file_that_does_not_fit_the_table_keeps_its_numbers(kit: Any) -> None:
    """Three variables of a Dense layer that is not quantized into them, and of a custom layer, are named by number."""
    report = Report()
    layer = kit.layer("Conv2D", "odd")
    arrays = arrays_of("layers/conv2d", *zeros((1,), (2,), (3,)))
    model = kit.round_trip(kit.sequential([layer]), arrays)
    assert list(model.weights) == ["odd/0", "odd/1", "odd/2"]
    custom = layer | {"module": None, "class_name": "Odd", "registered_name": "mine>Odd"}
    counts = np.zeros((2,), "int64")
    arrays = arrays_of("layers/odd", *zeros((1,), (2,))) | {"layers/odd/vars/2": counts, "layers/odd/vars/10": counts}
    del arrays["layers/odd/vars/1"]
    arrays |= {"layers/odd/vars/1": np.ones(3, "float32")}
    model = kit.round_trip(kit.sequential([custom]), arrays)
    assert set(model.weights) == {"odd/0", "odd/1", "odd/2", "odd/10"}
    path = kit.write(kit.sequential([custom]), arrays_of("layers/odd", [1.0], [2.0]))
    kit.read(path, report=report)
    assert [entry.detail for entry in report.entries if entry.kind == "variable"] == [
        "named by the file, and its flag is a guess"
    ] * 2


@pytest.mark.clause("K-46@5d9f82", "D-3@4c720b")
def test_variables_that_the_file_names_keep_their_names(kit: Any) -> None:
    """A layer that saves its variables by name, slashes included, has them under these names."""
    layer = kit.layer("Keeper", "keeper") | {"module": None, "registered_name": "mine>Keeper"}
    group = "layers/keeper/vars"
    arrays = {f"{group}/gain values": [1.5], f"{group}/a/b": [2.5], f"{group}/seen": np.int64(3)}
    model = kit.round_trip(kit.sequential([layer]), {key: np.asarray(value) for key, value in arrays.items()})
    assert dict(listing(model)) == {"keeper/a%2Fb": True, "keeper/gain values": True, "keeper/seen": False}
    assert model.weights["keeper/a%2Fb"].role == "a/b"


@pytest.mark.clause("K-47@b6c087")
def test_datasets_of_no_layer_are_variables_of_their_own(kit: Any) -> None:
    """Nothing in the weights file is dropped, wherever it lies."""
    report = Report()
    arrays = {"stray": np.arange(3), "layers/dense/loose/x": np.arange(2.0)}
    path = kit.write(kit.sequential([kit.layer("Dense", "d", units=1)]), arrays)
    model = kit.read(path, report=report)
    assert dict(listing(model)) == {"layers%2Fdense%2Floose%2Fx": False, "stray": False}
    assert {entry.subject for entry in report.entries if entry.status == "data-only"} == set(model.weights)
    assert kit.content(kit.back(model))["weights"] == kit.content(path)["weights"]


@pytest.mark.clause("K-48@6a0db9")
def test_frozen_layers_freeze_what_is_in_them(kit: Any) -> None:
    """A variable is trainable only if no module around it has `trainable` false."""
    inner = kit.sequential([kit.layer("Dense", "a", units=1), kit.layer("Dense", "b", units=1, trainable=False)], "in")
    outer = kit.sequential([kit.layer("Dense", "c", units=1)], "out", trainable=False)
    arrays = arrays_of("layers/sequential/layers/dense", *zeros((1, 1), (1,)))
    arrays |= arrays_of("layers/sequential/layers/dense_1", *zeros((1, 1), (1,)))
    arrays |= arrays_of("layers/sequential_1/layers/dense", *zeros((1, 1), (1,)))
    model = kit.round_trip(kit.sequential([inner, outer]), arrays)
    assert dict(listing(model)) == {
        "in/a/kernel": True,
        "in/a/bias": True,
        "in/b/kernel": False,
        "in/b/bias": False,
        "out/c/kernel": False,
        "out/c/bias": False,
    }


@pytest.mark.clause("K-49@caeb83", "K-15@06a275")
def test_attention_lists_its_layers_in_its_own_order(kit: Any) -> None:
    """The layers that an attention layer makes are its modules, in the order in which it makes them."""
    attrs = {"num_heads": 2, "key_dim": 3, "use_bias": False}
    group = "layers/multi_head_attention"
    children = ("key_dense", "output_dense", "query_dense", "value_dense")
    arrays = {f"{group}/{name}/vars/0": np.full((2, 2), at, "float32") for at, name in enumerate(children)}
    names = {f"{group}/_softmax": "softmax_4", f"{group}/_dropout_layer": "dropout_2", f"{group}/query_dense": "query"}
    model = kit.round_trip(kit.sequential([kit.layer("MultiHeadAttention", "mha", **attrs)]), arrays, names=names)
    assert list(model.weights) == [f"mha/{name}_dense/kernel" for name in ("query", "key", "value", "output")]
    assert model.config.find("mha/query_dense").op == "keras:EinsumDense"
    assert model.config.find("mha/softmax").op == "keras:Softmax"
    assert model.config.find("mha/dropout_layer").op == "keras:Dropout"
    assert model.config.find("mha/query_dense").attrs == {}


@pytest.mark.clause("K-15@06a275", "K-19@5f61ba")
def test_cells_and_backward_layers_are_modules(kit: Any) -> None:
    """The cell of an LSTM, and the layer that a Bidirectional makes from the one it holds, have the right names."""
    lstm = kit.layer("LSTM", "lstm", units=2, use_bias=False)
    arrays: dict[str, Any] = {}
    for side in ("forward_layer", "backward_layer"):
        arrays |= arrays_of(f"layers/bidirectional/{side}/cell", *zeros((3, 8), (2, 8)))
    model = kit.round_trip(kit.sequential([kit.layer("Bidirectional", "both", layer=lstm)]), arrays)
    sides = ("forward_layer", "backward_layer")
    names = ("kernel", "recurrent_kernel")
    assert list(model.weights) == [f"both/{side}/cell/{name}" for side in sides for name in names]


@pytest.mark.clause("K-15@06a275")
def test_containers_are_modules(kit: Any) -> None:
    """Lists in a custom layer are modules without variables, and private attributes lose their underscore."""
    layer = kit.layer("Block", "block") | {"module": None, "registered_name": "mine>Block"}
    group = "layers/block"
    arrays = arrays_of(f"{group}/steps/dense", [1.0]) | arrays_of(f"{group}/steps/dense_1", [2.0])
    arrays |= arrays_of(f"{group}/steps/container/dense", [3.0]) | arrays_of(f"{group}/_own", [4.0])
    arrays |= arrays_of(f"{group}/own", [5.0])
    model = kit.round_trip(kit.sequential([layer]), arrays)
    assert set(model.weights) == {
        "block/steps/dense/0",
        "block/steps/dense_1/0",
        "block/steps/container/dense/0",
        "block/own/0",
        "block/own_1/0",
    }
    assert model.weights["block/own_1/0"].numpy().tolist() == [4.0]
    assert model.config.find("block/steps").op == model.config.find("block/steps/container").op == "keras:Container"


@pytest.mark.clause("K-50@3ed3b1", "W-14@118588")
def test_a_kernel_that_is_stored_twice_is_an_alias(kit: Any) -> None:
    """The kernel of a spectral normalization is that of the layer it holds, if the bits agree."""
    dense = kit.layer("Dense", "dense", units=2)
    layer = kit.layer("SpectralNormalization", "spectral", layer=dense)
    group = "layers/spectral_normalization"
    kernel, bias, vector = zeros((3, 2), (2,), (1, 2))
    arrays = arrays_of(group, kernel, vector) | arrays_of(f"{group}/layer", kernel, bias)
    model = kit.round_trip(kit.sequential([layer]), arrays)
    assert model.weights.aliases == {"spectral/kernel": "spectral/layer/kernel"}
    assert list(model.weights) == ["spectral/layer/kernel", "spectral/vector_u", "spectral/layer/bias"]
    arrays[f"{group}/vars/0"] = kernel + 1
    other = kit.round_trip(kit.sequential([layer]), arrays)
    assert other.weights.aliases == {}
    assert "spectral/kernel" in other.weights.variables
    embedding = kit.layer("SpectralNormalization", "spectral", layer=kit.layer("Embedding", "e"))
    arrays = arrays_of(group, kernel, vector) | arrays_of(f"{group}/layer", kernel)
    assert kit.round_trip(kit.sequential([embedding]), arrays).weights.aliases == {
        "spectral/kernel": "spectral/layer/embeddings"
    }


@pytest.mark.clause("K-51@ab3c27", "K-48@6a0db9", "K-49@caeb83", "KL-27@8ad49b")
@pytest.mark.parametrize(("kind", "name"), [("Dense", "kernel"), ("Conv1D", "kernel"), ("Embedding", "embeddings")])
def test_adapters_are_variables_of_zeros(kit: Any, kind: str, name: str) -> None:
    """A low-rank adapter freezes what it adapts, and has two variables that the file does not hold."""
    layer = kit.layer(kind, "it", lora_rank=2, lora_alpha=4)
    arrays = arrays_of(f"layers/{kind.lower()}", *zeros((6, 4), (4,))[: 1 + (kind != "Embedding")])
    model = kit.round_trip(kit.sequential([layer]), arrays)
    bias = [] if kind == "Embedding" else [("it/bias", True)]
    expected = [(f"it/{name}", False), *bias, (f"it/lora_{name}_a", True), (f"it/lora_{name}_b", True)]
    assert listing(model) == expected
    assert model.weights[f"it/lora_{name}_a"].shape == (6, 2)
    assert not model.weights[f"it/lora_{name}_b"].numpy().any()
    generator = np.random.default_rng(0)
    a, b = (generator.normal(size=shape).astype(np.float32) for shape in ((6, 2), (2, 4)))
    model.weights[f"it/lora_{name}_a"].tensor, model.weights[f"it/lora_{name}_b"].tensor = Tensor.of(a), Tensor.of(b)
    report = Report()
    merged = kit.read(kit.back(model, report=report)).weights[f"it/{name}"].numpy()
    assert merged.any()
    assert np.array_equal(merged, model.weights[f"it/{name}"].numpy() + np.float32(2) * (a @ b))
    assert [entry.status for entry in report.entries].count("translated") == 3
    model.weights[f"it/lora_{name}_b"].tensor = model.weights[f"it/{name}"].tensor
    with pytest.raises(TransferError) as caught:
        kit.back(model)
    assert caught.value.code == "keras-variables"


@pytest.mark.clause("K-51@ab3c27")
def test_the_adapter_of_a_packed_kernel_is_left_out(kit: Any) -> None:
    """The shape of a packed kernel does not tell those of its adapter."""
    layer = kit.layer("Dense", "it", lora_rank=2, use_bias=False, **mode("int4"))
    arrays = {"layers/dense/vars/0": np.zeros((6, 2), "int8"), "layers/dense/vars/1": np.ones(4, "float32")}
    assert dict(listing(kit.round_trip(kit.sequential([layer]), arrays))) == {
        "it/kernel": False,
        "it/kernel_scale": False,
    }


@pytest.mark.clause("K-46@5d9f82", "K-19@5f61ba")
def test_a_lookup_names_its_weights(kit: Any) -> None:
    """The inverse document frequencies of a lookup are stored by name, and shared by the layer around it."""
    arrays = {
        f"layers/text_vectorization{end}/vars/idf_weights": np.ones(4, "float32") for end in ("", "/_lookup_layer")
    }
    layer = kit.layer("TextVectorization", "text", output_mode="tf_idf")
    model = kit.round_trip(kit.sequential([layer]), arrays)
    assert listing(model) == [("text/lookup_layer/idf_weights", False)]
    assert model.weights.aliases == {"text/idf_weights": "text/lookup_layer/idf_weights"}
    assert model.config.find("text/lookup_layer").op == "keras:StringLookup"


@pytest.mark.clause("K-51@ab3c27", "X-2@ca2f55")
@pytest.mark.parametrize("rank", [0, -1, 10**12, "2", True])
def test_a_senseless_rank_makes_no_adapter(kit: Any, rank: Json) -> None:
    """A rank from a hostile config allocates nothing."""
    layer = kit.layer("Dense", "it", lora_rank=rank)
    model = kit.model(kit.sequential([layer]), arrays_of("layers/dense", *zeros((6, 4), (4,))))
    assert [path for path, _ in listing(model)] == ["it/kernel", "it/bias"]


@pytest.mark.clause("K-63@279545", "N-4@fc390c")
def test_flags_that_keras_cannot_hold_are_reported(kit: Any) -> None:
    """A variable that is frozen while its layer is not is lost in a `.keras` file, and strict writing refuses."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    model.weights["first/kernel"].trainable = False
    report = Report()
    with pytest.raises(TransferError) as caught:
        kit.back(model, report=report)
    assert caught.value.code == "not-complete"
    assert [(entry.kind, entry.subject) for entry in report.lost] == [("flag", "first/kernel")]
    assert kit.content(kit.back(model, strict=False))["config"] is not None


@pytest.mark.clause("K-58@3c09cf")
@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint16", "int64", "bool", "complex64", "complex128"])
def test_every_dtype_goes_there_and_back(kit: Any, dtype: str) -> None:
    """Bits and dtype of a variable are those of the file, complex numbers included."""
    layer = kit.layer("Odd", "odd") | {"module": None, "registered_name": "mine>Odd"}
    array = (np.arange(6).reshape(2, 3) * 1.25).astype(dtype)
    model = kit.round_trip(kit.sequential([layer]), {"layers/odd/vars/0": array})
    assert model.weights["odd/0"].dtype == dtype
    assert model.weights["odd/0"].numpy().tobytes() == array.tobytes()


@pytest.mark.clause("K-60@e528a0")
def test_variables_that_a_layer_cannot_have_are_refused(kit: Any) -> None:
    """A Dense layer with a variable `scale`, and a variable that no module names, have no place in the file."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    params = model.config.find("first").params
    params["scale"] = params.pop("bias")
    with pytest.raises(TransferError, match="first") as caught:
        kit.back(model)
    assert caught.value.code == "keras-variables"
    params["bias"] = params.pop("scale")
    model.weights.add("first/ghost", model.weights["first/bias"].tensor, role="ghost")
    with pytest.raises(TransferError, match="first/ghost") as caught:
        kit.back(model)
    assert caught.value.code == "keras-variables"
