"""Activations, random layers and preprocessing (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.core.objects import is_inline
from etui.bridges.keras.core.rules import (
    ANY,
    REQUIRED,
    Attr,
    Attrs,
    Idle,
    NotCoreError,
    Rule,
    Shape,
    Signature,
    axes,
    data_format,
    flag,
    integer,
    number,
    seed,
    text,
)
from etui.bridges.keras.core.table_linear import activation, floats
from etui.errors import shown

_X = Signature(("x",))

# --- activations ------------------------------------------------------------------------------------------------------


def _shared_axes(value: Any, _: Mapping[str, Any]) -> list[int] | None:
    found = [value] if type(value) is int else value
    if found is not None and not (isinstance(found, list | tuple) and all(type(item) is int for item in found)):
        raise NotCoreError(f"shared_axes is {shown(value)}")
    return list(found) if found else None


ACTIVATION = [
    Rule(
        "Activation",
        "activation",
        (activation(name="function"),),
        signature=_X,
        fits=lambda attrs: is_inline(attrs["function"]),
    ),
    Rule(
        "ReLU",
        "relu",
        (
            number("max_value", None, null=None),
            number("negative_slope", 0.0, null=0.0),
            number("threshold", 0.0, null=0.0),
        ),
        signature=_X,
    ),
    Rule("LeakyReLU", "leaky_relu", (number("negative_slope", 0.3),), signature=_X),
    Rule(
        "PReLU",
        "prelu",
        (Attr("shared_axes", "shared_axes", None, _shared_axes, lambda value, _: value),),
        roles={"alpha": "alpha"},
        signature=_X,
    ),
    Rule("ELU", "elu", (number("alpha", 1.0),), signature=_X),
    Rule("Softmax", "softmax", (axes("axis"),), signature=Signature(("x", "mask"))),
]

# --- random layers ----------------------------------------------------------------------------------------------------

_TRAINED = Signature(("x", "training"))


def _noise_shape(value: Any, _: Mapping[str, Any]) -> list[int | None] | None:
    if value is not None and not isinstance(value, list | tuple):
        raise NotCoreError(f"noise_shape is {shown(value)}")
    return None if value is None else list(value)


_NOISE_SHAPE = Attr("noise_shape", "noise_shape", None, _noise_shape, lambda value, _: value)
RANDOM = [
    Rule("Dropout", "dropout", (number("rate"), seed(), _NOISE_SHAPE), signature=_TRAINED),
    Rule(
        "SpatialDropout1D",
        "spatial_dropout",
        (number("rate"), seed()),
        signature=_TRAINED,
        ranks=(3,),
        fits=lambda attrs: bool(attrs["data_format"] == "channels_last"),
        flagged=False,
    ),
    *(
        Rule(
            f"SpatialDropout{rank}D",
            "spatial_dropout",
            (number("rate"), seed(), data_format()),
            signature=_TRAINED,
            ranks=(rank + 2,),
            flagged=False,
        )
        for rank in (2, 3)
    ),
    Rule("GaussianNoise", "gaussian_noise", (number("stddev"), seed()), signature=_TRAINED),
    Rule("GaussianDropout", "gaussian_dropout", (number("rate"), seed()), signature=_TRAINED),
    Rule("AlphaDropout", "alpha_dropout", (number("rate"), seed(), _NOISE_SHAPE), signature=_TRAINED),
    Rule(
        "ActivityRegularization",
        "activity_regularization",
        (number("l1", 0.0), number("l2", 0.0)),
        signature=_X,
    ),
]

# --- preprocessing ----------------------------------------------------------------------------------------------------


def _numbers(key: str, default: Any = REQUIRED) -> Attr:
    return Attr(key, key, default, lambda value, _: floats(value, key), lambda value, _: value)


def _vocabulary(value: Any, _: Mapping[str, Any]) -> list[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise NotCoreError("its vocabulary is not in the config")
    if not all(type(item) is str for item in value) and not all(type(item) is int for item in value):
        raise NotCoreError("its terms are of several types")
    if len(set(value)) != len(value):
        raise NotCoreError("a term is twice in its vocabulary")
    return list(value)


def _lookup_terms(attrs: Attrs, given: Mapping[str, Any], _: Shape | None) -> None:
    """Keras counts the special terms of a vocabulary as given, where it begins with them."""
    special = [] if attrs.get("mask_token") is None else [attrs["mask_token"]]
    special += [attrs["oov_token"]] * attrs["num_oov_indices"]
    found = attrs["vocabulary"]
    if special and found[: len(special)] == special:
        attrs["vocabulary"] = found[len(special) :]
    if not attrs["vocabulary"] or attrs["oov_token"] in attrs["vocabulary"]:
        raise NotCoreError("its vocabulary holds a special term among the others")
    size = given.get("max_tokens")
    if size is not None and type(size) is not int:
        raise NotCoreError(f"max_tokens is {shown(size)}")


def _few(value: Any, _: Mapping[str, Any]) -> int:
    if value not in (0, 1) or type(value) is not int:
        raise NotCoreError(f"num_oov_indices is {shown(value)}: its terms are hashed")
    return value


def _token(key: str, default: Any) -> Attr:
    def lift(value: Any, _: Mapping[str, Any]) -> Any:
        if value is not None and type(value) not in (str, int):
            raise NotCoreError(f"{key} is {shown(value)}")
        return value

    return Attr(key, key, default, lift, lambda value, _: value)


def _lookup(kind: str, terms: type, oov: Any) -> Rule:
    def fits(attrs: Mapping[str, Any]) -> bool:
        return all(type(term) is terms for term in attrs["vocabulary"])

    def back(attrs: Attrs, _: Mapping[str, Any], __: int | None) -> None:
        if attrs["oov_token"] is None:
            attrs["oov_token"] = oov
        attrs["vocabulary_size"] = None

    return Rule(
        kind,
        "lookup",
        (
            flag("invert"),
            Attr("num_oov_indices", "num_oov_indices", 1, _few, lambda value, _: value),
            _token("oov_token", oov),
            _token("mask_token", None),
            Attr("vocabulary", "vocabulary", None, _vocabulary, lambda value, _: list(value)),
        ),
        {
            "max_tokens": Idle(None),
            "output_mode": Idle("int", ("int",)),
            "sparse": Idle(False, (False,)),
            "pad_to_max_tokens": Idle(False),
            "vocabulary_dtype": Idle("int64" if terms is int else "string", ("int64", "int32", "string", None)),
            "idf_weights": Idle(None, (None,)),
            "vocabulary_size": Idle(),
            "oov_method": Idle("floormod", ("floormod", None)),
            "salt": Idle(None),
            "encoding": Idle(*(("utf-8", ("utf-8",)) if terms is str else ())),
            "has_input_vocabulary": Idle(),
        },
        signature=_X,
        fits=fits,
        more=_lookup_terms,
        back=back,
        typed=True,
    )


def _boundaries(value: Any, _: Mapping[str, Any]) -> list[float]:
    if not isinstance(value, list | tuple):
        raise NotCoreError("its boundaries are not in the config")
    found = floats(list(value), "bin_boundaries")
    if sorted(found) != found:
        raise NotCoreError("its boundaries do not rise")
    return list(found)


def _mask_value(value: Any, _: Mapping[str, Any]) -> float:
    if type(value) not in (int, float):
        raise NotCoreError(f"mask_value is {shown(value)}")
    return float(value)


PREPROCESSING = [
    Rule("Rescaling", "rescale", (_numbers("scale"), _numbers("offset", 0.0)), signature=_X),
    Rule(
        "Masking",
        "masking",
        (Attr("mask_value", "mask_value", 0.0, _mask_value, lambda value, _: value),),
        signature=_X,
    ),
    _lookup("StringLookup", str, "[UNK]"),
    _lookup("IntegerLookup", int, -1),
    Rule(
        "CategoryEncoding",
        "one_hot",
        (
            integer("num_tokens"),
            text("output_mode", "multi_hot", choices=("one_hot", "multi_hot", "count")),
        ),
        {"sparse": Idle(ANY, (False,))},
        signature=Signature(("x", "count_weights")),
    ),
    Rule(
        "Discretization",
        "discretize",
        (Attr("bin_boundaries", "boundaries", None, _boundaries, lambda value, _: list(value)),),
        {
            "num_bins": Idle(None),
            "epsilon": Idle(0.01),
            "output_mode": Idle("int", ("int",)),
            "sparse": Idle(False, (False,)),
        },
        signature=_X,
        typed=True,
        flagged=False,
    ),
]
