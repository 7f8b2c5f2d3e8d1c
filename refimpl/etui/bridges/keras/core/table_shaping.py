"""Pooling, resizing, shapes and merging (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.core.rules import (
    ANY,
    Attr,
    Attrs,
    Idle,
    NotCoreError,
    Rule,
    Shape,
    Signature,
    data_format,
    flag,
    integer,
    per_axis,
    sizes,
    text,
)
from etui.bridges.keras.core.table_linear import padding
from etui.errors import shown

Pairs = list[list[int]]
_NO_PADDING = [0, 0]


def _length(rank: int, key: str) -> Any:
    return lambda attrs: attrs.get(key) is not None and len(attrs[key]) == rank


# --- pooling ----------------------------------------------------------------------------------------------------------


def _pool_strides(rank: int) -> Attr:
    """The strides of a pooling; those that equal the window are null."""

    def lift(value: Any, attrs: Mapping[str, Any]) -> list[int] | None:
        if value is None:
            return None
        found = per_axis(value, rank, "strides")
        return None if found == per_axis(attrs.get("pool_size", 2), rank, "pool_size") else found

    return Attr("strides", "strides", None, lift, lambda value, attrs: list(value or attrs["pool_size"]))


def _undilated(rank: int) -> Any:
    return lambda attrs: len(attrs["pool_size"]) == rank and attrs.get("dilation") is None


def _uncounted(rank: int) -> Any:
    def fits(attrs: Mapping[str, Any]) -> bool:
        return len(attrs["pool_size"]) == rank and not (attrs["count_padding"] and attrs["padding"] != "valid")

    return fits


def _pools(rank: int) -> list[Rule]:
    window = (_pool_size(rank), padding(), _pool_strides(rank), data_format())
    ends = (data_format(), flag("keepdims"))
    given = (sizes("output_size", rank), data_format())
    fits = _length(rank, "output_size")
    return [
        Rule(f"MaxPooling{rank}D", "max_pool", window, fits=_undilated(rank)),
        Rule(f"AveragePooling{rank}D", "avg_pool", window, fits=_uncounted(rank)),
        Rule(f"GlobalMaxPooling{rank}D", "global_max_pool", ends, ranks=(rank + 2,)),
        Rule(
            f"GlobalAveragePooling{rank}D",
            "global_avg_pool",
            ends,
            signature=Signature(("x", "mask")),
            ranks=(rank + 2,),
        ),
        Rule(f"AdaptiveMaxPooling{rank}D", "adaptive_max_pool", given, fits=fits),
        Rule(f"AdaptiveAveragePooling{rank}D", "adaptive_avg_pool", given, fits=fits),
    ]


def _pool_size(rank: int) -> Attr:
    return Attr(
        "pool_size",
        "pool_size",
        2,
        lambda value, _: per_axis(value, rank, "pool_size"),
        lambda value, _: list(value),
    )


POOLING = [rule for rank in (1, 2, 3) for rule in _pools(rank)]

# --- resizing ---------------------------------------------------------------------------------------------------------


def _scaled(rank: int) -> Any:
    def fits(attrs: Mapping[str, Any]) -> bool:
        plain = rank == 2 or (attrs["interpolation"] == "nearest" and not attrs["antialias"])
        first = rank == 1 and attrs["data_format"] != "channels_last"
        return attrs["scale"] is not None and len(attrs["scale"]) == rank and plain and not first

    return fits


def _scale(rank: int) -> Attr:
    """The factors, which a layer of one axis has as a number."""

    def lower(value: Any, _: Mapping[str, Any]) -> Any:
        return value[0] if rank == 1 else list(value)

    return Attr("size", "scale", 2, lambda value, _: per_axis(value, rank, "size"), lower)


def _upsampled(attrs: Mapping[str, Any]) -> bool:
    return bool(_scaled(2)(attrs) and not attrs["antialias"])


def _target_size(attrs: Attrs, given: Mapping[str, Any], _: Shape | None) -> None:
    attrs["size"] = per_axis([given.get("height"), given.get("width")], 2, "size")
    attrs.setdefault("interpolation", "bilinear")


def _height_and_width(attrs: Attrs, core: Mapping[str, Any], _: int | None) -> None:
    attrs["height"], attrs["width"] = core["size"]


_METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
RESIZING = [
    Rule("UpSampling1D", "resize", (_scale(1),), fits=_scaled(1)),
    Rule(
        "UpSampling2D",
        "resize",
        (_scale(2), data_format(), text("interpolation", "nearest", choices=_METHODS)),
        fits=_upsampled,
    ),
    Rule("UpSampling3D", "resize", (_scale(3), data_format()), fits=_scaled(3)),
    Rule(
        "Resizing",
        "resize",
        (data_format(), text("interpolation", "bilinear", choices=_METHODS), flag("antialias")),
        {
            "height": Idle(),
            "width": Idle(),
            "crop_to_aspect_ratio": Idle(False, (False,)),
            "pad_to_aspect_ratio": Idle(False, (False,)),
            "fill_mode": Idle("constant"),
            "fill_value": Idle(0.0),
        },
        fits=_length(2, "size"),
        more=_target_size,
        back=_height_and_width,
    ),
]

# --- shapes -----------------------------------------------------------------------------------------------------------


def _whole_shape(value: Any, _: Mapping[str, Any]) -> list[int]:
    found = [value] if type(value) is int else value
    if not isinstance(found, list | tuple) or not all(type(item) is int for item in found):
        raise NotCoreError(f"target_shape is {shown(value)}")
    return list(found)


def _dims(value: Any, _: Mapping[str, Any]) -> list[int]:
    if not isinstance(value, list | tuple) or sorted(map(str, value)) != sorted(map(str, range(1, len(value) + 1))):
        raise NotCoreError(f"dims is {shown(value)}")
    return [0, *value]


def pairs(value: Any, rank: int, key: str) -> Pairs:
    """One number for all ends, one for both ends of each axis, or a pair for each axis, as pairs.

    Raises:
        NotCoreError: none of these.
    """
    if type(value) is int:
        return [[value, value] for _ in range(rank)]
    if rank == 1 and isinstance(value, list | tuple) and len(value) == 2 and all(type(item) is int for item in value):
        return [list(value)]
    listed = list(value) if isinstance(value, list | tuple) else []
    if len(listed) != rank:
        raise NotCoreError(f"{key} is {shown(value)}")
    return [per_axis(item, 2, key) for item in listed]


def _amounts(rank: int, key: str, core: str) -> Attr:
    """Pairs of the spatial axes in Keras, of all axes but the batch in the core op."""

    def lift(value: Any, attrs: Mapping[str, Any]) -> Pairs:
        found = pairs(value, rank, key)
        first = attrs.get("data_format") == "channels_first"
        return [_NO_PADDING[:], *found] if first else [*found, _NO_PADDING[:]]

    def lower(value: Any, _: Mapping[str, Any]) -> Any:
        inner = value[:-1] if list(value[-1]) == _NO_PADDING else value[1:]
        return list(inner[0]) if rank == 1 else [list(pair) for pair in inner]

    return Attr(key, core, 0 if key == "cropping" and rank == 2 else 1, lift, lower)


def _around(rank: int, key: str, *, formats: bool) -> Any:
    """Whether nothing is added to, or cut from, the channels."""

    def fits(attrs: Mapping[str, Any]) -> bool:
        found = attrs[key]
        last = len(found) == rank + 1 and list(found[-1]) == _NO_PADDING
        first = len(found) == rank + 1 and list(found[0]) == _NO_PADDING and formats
        plain = attrs.get("mode", "constant") == "constant" and attrs.get("value", 0.0) == 0.0
        return plain and (last or first)

    return fits


def _format_of(key: str) -> Any:
    def back(attrs: Attrs, core: Mapping[str, Any], _: int | None) -> None:
        last = list(core[key][-1]) == _NO_PADDING
        attrs["data_format"] = "channels_last" if last else "channels_first"

    return back


_FORMAT = {"data_format": Idle(ANY, ("channels_last", "channels_first", None))}
SHAPING = [
    Rule("Flatten", "flatten", (data_format(),)),
    Rule("Reshape", "reshape", (Attr("target_shape", "shape", None, _whole_shape, lambda value, _: list(value)),)),
    Rule(
        "Permute",
        "permute",
        (Attr("dims", "axes", None, _dims, lambda value, _: list(value[1:])),),
        fits=lambda attrs: attrs["axes"][:1] == [0],
    ),
    Rule("RepeatVector", "repeat", (integer("n", name="count"),)),
    *(
        Rule(
            f"ZeroPadding{rank}D",
            "pad",
            (_amounts(rank, "padding", "padding"),),
            _FORMAT,
            fits=_around(rank, "padding", formats=True),
            back=_format_of("padding"),
        )
        for rank in (1, 2, 3)
    ),
    Rule("Cropping1D", "crop", (_amounts(1, "cropping", "cropping"),), fits=_around(1, "cropping", formats=False)),
    *(
        Rule(
            f"Cropping{rank}D",
            "crop",
            (_amounts(rank, "cropping", "cropping"),),
            _FORMAT,
            fits=_around(rank, "cropping", formats=True),
            back=_format_of("cropping"),
        )
        for rank in (2, 3)
    ),
    Rule("Identity", "identity", signature=Signature(("x",))),
]

# --- merging ----------------------------------------------------------------------------------------------------------

_LIST = Signature(("xs",), listed=True)
_TWO = Signature(("x", "y"), inputs=2, positional=2, spread=True)


def _dot_axes(value: Any, _: Mapping[str, Any]) -> Any:
    if type(value) is int:
        return value
    found = per_axis(value, 2, "axes")
    return found[0] if found[0] == found[1] else found


MERGING = [
    Rule("Add", "add", signature=_LIST),
    Rule("Multiply", "mul", signature=_LIST),
    Rule("Average", "mean", signature=_LIST),
    Rule("Maximum", "max", signature=_LIST),
    Rule("Minimum", "min", signature=_LIST),
    Rule("Subtract", "sub", signature=_TWO),
    Rule(
        "Dot",
        "dot",
        (Attr("axes", "axes", None, _dot_axes, lambda value, _: value), flag("normalize")),
        signature=_TWO,
    ),
    Rule("Concatenate", "concat", (integer("axis", -1),), signature=_LIST),
]
