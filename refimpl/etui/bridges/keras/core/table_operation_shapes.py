"""Operations of Keras 3 on shapes, and those that are layers in the vocabulary (SPEC.md, annex L.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

from etui import dtypes
from etui.bridges.keras.core.rules import (
    REQUIRED,
    Attr,
    Attrs,
    Idle,
    NotCoreError,
    NotKerasError,
    Shape,
    Signature,
    all_axes,
    axes,
    data_format,
    flag,
    integer,
    operation,
    per_axis,
    text,
)
from etui.bridges.keras.core.table_linear import padding
from etui.canonical.values import OutputRef, references
from etui.errors import EtuiError, shown

_TWO = Signature(("x1", "x2"), inputs=2, positional=2)
_LIST = Signature(("xs",), listed=True)

# --- shapes -----------------------------------------------------------------------------------------------------------


def _same_batch(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
    """A new shape keeps the batch if it has as many elements behind its first size as the input has."""
    found = given.get("newshape")
    if not isinstance(found, list | tuple) or not found or not all(type(item) is int for item in found):
        raise NotCoreError(f"newshape is {shown(found)}")
    rest = list(found[1:])
    if shape is None or not shape:
        raise NotCoreError("the shape of its input is not known, so that it may move elements between samples")
    kept = shape[0] is not None and found[0] == shape[0]
    sizes_known = None not in shape[1:] and -1 not in rest and math.prod(rest) == math.prod(shape[1:])  # type: ignore[arg-type]
    if not sizes_known and not kept:
        raise NotCoreError("it may move elements between samples")
    attrs["shape"] = rest


def _newshape(attrs: Attrs, core: Mapping[str, Any], _: int | None) -> None:
    if -1 in core["shape"]:
        raise NotKerasError("a size that is not known beside that of the batch")
    attrs["newshape"] = [-1, *core["shape"]]


def _reversed(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
    """Without axes the order is turned around, which takes their number."""
    found = given.get("axes")
    if found is None and shape is not None:
        found = list(reversed(range(len(shape))))
    if not isinstance(found, list | tuple) or not all(type(item) is int for item in found):
        raise NotCoreError(f"axes is {shown(found)}")
    attrs["axes"] = [axis % len(found) for axis in found]


def _moved(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
    if shape is None:
        raise NotCoreError("the number of axes of its input is not known")
    ends = []
    for key in ("source", "destination"):
        value = given.get(key)
        found = [value] if type(value) is int else value
        if not isinstance(found, list | tuple) or not all(type(item) is int for item in found):
            raise NotCoreError(f"{key} is {shown(value)}")
        ends.append([axis % len(shape) for axis in found])
    order = [axis for axis in range(len(shape)) if axis not in ends[0]]
    for target, source in sorted(zip(ends[1], ends[0], strict=True)):
        order.insert(target, source)
    attrs["axes"] = order


def _swapped(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
    ends = [given.get("axis1"), given.get("axis2")]
    if shape is None or not all(type(axis) is int for axis in ends):
        raise NotCoreError("the number of axes of its input is not known")
    one, two = (axis % len(shape) for axis in ends if axis is not None)
    order = list(range(len(shape)))
    order[one], order[two] = two, one
    attrs["axes"] = order


def _exchanged(attrs: Mapping[str, Any]) -> list[int]:
    """The axes that do not stay at their place."""
    return [at for at, axis in enumerate(attrs["axes"]) if at != axis]


def _widths(value: Any, _: Mapping[str, Any]) -> list[list[int]]:
    if not isinstance(value, list | tuple) or not value or isinstance(value[0], int):
        raise NotCoreError(f"pad_width is {shown(value)}")
    found = [per_axis(pair, 2, "pad_width") for pair in value]
    if found[0] != [0, 0]:
        raise NotCoreError("it pads the batch")
    return found[1:]


def _no_value(attrs: Attrs, _: Mapping[str, Any], __: Shape | None) -> None:
    value = attrs.get("value")
    if value is not None and type(value) not in (int, float):
        raise NotCoreError(f"it pads with {shown(value)}")
    attrs["value"] = 0.0 if value is None else float(value)


def _sections(value: Any, _: Mapping[str, Any]) -> int:
    if type(value) is not int:
        raise NotCoreError("it is split at places, and the sizes of the sections are not known")
    return value


def _sized(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
    """The places of cuts as the sizes between them."""
    value, axis = given.get("indices_or_sections"), attrs.get("axis", 0)
    if type(value) is int:
        attrs["sections"] = value
        return
    length = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
    if not isinstance(value, list | tuple) or not all(type(item) is int for item in value) or length is None:
        raise NotCoreError("it is split at places, and the sizes of the sections are not known")
    places = [0, *value, length]
    found = [after - before for before, after in pairwise(places)]
    if min(found) < 0:
        raise NotCoreError("it is split at places that do not rise")
    attrs["sections"] = found


def _places(attrs: Attrs, core: Mapping[str, Any], _: int | None) -> None:
    found = core["sections"]
    attrs["indices_or_sections"] = found if type(found) is int else list(accumulate(found))[:-1]


def _dtype(value: Any, _: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        raise NotCoreError(f"dtype is {shown(value)}")
    try:
        return dtypes.by_name(value, "").name
    except EtuiError:
        raise NotCoreError(f"dtype is {shown(value)}") from None


def _index(attrs: Attrs, _: Mapping[str, Any], __: Shape | None) -> None:
    """A key of Python's indexing as the vocabulary writes it."""
    key = attrs["index"]
    items = key if isinstance(key, list | tuple) else [key]
    found: list[Any] = []
    for item in items:
        if item is Ellipsis:
            found.append("...")
        elif item is None:
            found.append("newaxis")
        elif type(item) is int:
            found.append(item)
        elif isinstance(item, slice) and all(end is None or type(end) is int for end in _ends(item)):
            found.append(_ends(item))
        else:
            raise NotCoreError(f"it is indexed by {shown(item)}")
    attrs["index"] = found


def _ends(item: slice) -> list[Any]:
    return [item.start, item.stop, item.step]


def index_key(index: list[Any]) -> list[Any]:
    """The key of Keras for an index of the vocabulary."""
    words: dict[str, Any] = {"...": Ellipsis, "newaxis": None}
    return [
        words[item] if isinstance(item, str) else slice(*item) if isinstance(item, list) else item for item in index
    ]


def _no_tensors(value: Any, _: Mapping[str, Any]) -> Any:
    if any(isinstance(item, OutputRef) for item in references(value)):
        raise NotCoreError("an attribute is a tensor")
    return value


_SHAPES = [
    operation("core.Cast", "cast", Attr("dtype", "dtype", REQUIRED, _dtype, lambda value, _: value)),
    operation("numpy.Reshape", "reshape", idle={"newshape": Idle()}, more=_same_batch, back=_newshape),
    operation(
        "numpy.Transpose",
        "permute",
        idle={"axes": Idle()},
        more=_reversed,
        back=lambda attrs, core, _: attrs.update(axes=list(core["axes"])),
    ),
    operation(
        "numpy.Moveaxis",
        "permute",
        idle={"source": Idle(), "destination": Idle()},
        more=_moved,
        back=lambda attrs, core, _: attrs.update(source=list(core["axes"]), destination=list(range(len(core["axes"])))),
    ),
    operation(
        "numpy.Swapaxes",
        "permute",
        idle={"axis1": Idle(), "axis2": Idle()},
        more=_swapped,
        back=lambda attrs, core, _: attrs.update(zip(("axis1", "axis2"), _exchanged(core), strict=True)),
        fits=lambda attrs: len(_exchanged(attrs)) == 2,
    ),
    operation("numpy.ExpandDims", "expand_dims", axes("axis", REQUIRED)),
    operation("numpy.Squeeze", "squeeze", all_axes("axis")),
    operation(
        "numpy.BroadcastTo",
        "broadcast_to",
        Attr("shape", "shape", REQUIRED, lambda v, _: _whole(v), lambda v, _: list(v)),
    ),
    operation("numpy.Concatenate", "concat", integer("axis", 0), signature=_LIST),
    operation("numpy.Stack", "stack", integer("axis", 0), signature=_LIST),
    operation(
        "numpy.Split",
        "split",
        integer("axis", 0),
        idle={"indices_or_sections": Idle()},
        more=_sized,
        back=_places,
    ),
    operation(
        "numpy.Pad",
        "pad",
        Attr("pad_width", "padding", REQUIRED, _widths, lambda value, _: [[0, 0], *(list(pair) for pair in value)]),
        text("mode", "constant", choices=("constant", "reflect", "symmetric")),
        more=_no_value,
        signature=Signature(("x", "constant_values"), taken=("constant_values=value",)),
    ),
    operation("numpy.GetItem", "slice", more=_index, signature=Signature(("x", "key"), taken=("key=index",))),
    operation("numpy.Take", "take", integer("axis", None, null=True), signature=Signature(("x", "indices"), 2, 2)),
]


def _whole(value: Any) -> list[int]:
    if not isinstance(value, list | tuple) or not all(type(item) is int for item in value):
        raise NotCoreError(f"shape is {shown(value)}")
    return list(value)


# --- the operations of layers -----------------------------------------------------------------------------------------


def _of_rank(key: str) -> Any:
    """The number of spatial axes of an operation, from the shape of its input."""

    def more(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
        if shape is None or len(shape) not in (3, 4, 5):
            raise NotCoreError("the number of axes of its input is not known")
        rank = len(shape) - 2
        attrs[key] = per_axis(given.get(key), rank, key)
        strides = given.get("strides")
        found = None if strides is None else per_axis(strides, rank, "strides")
        attrs["strides"] = None if found == attrs[key] else found

    return more


def _window(key: str) -> Any:
    def back(attrs: Attrs, core: Mapping[str, Any], _: int | None) -> None:
        attrs[key] = list(core[key])
        attrs["strides"] = list(core["strides"] or core[key])

    return back


def _resized(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
    if shape is not None and len(shape) != 4:
        raise NotCoreError("it resizes a single image")
    attrs["size"] = per_axis(given.get("size"), 2, "size")


def _default_epsilon(default: float) -> Attr:
    """The epsilon of an operation; null is Keras' own setting."""

    def lift(value: Any, _: Mapping[str, Any]) -> float:
        found = default if value is None else value
        if type(found) not in (int, float):
            raise NotCoreError(f"epsilon is {shown(value)}")
        return float(found)

    return Attr("epsilon", "epsilon", None, lift, lambda value, _: value)


def _bare(attrs: Mapping[str, Any]) -> bool:
    """Whether a normalization has no variables."""
    return not attrs["scale"] and not attrs.get("center", False)


def _one_hot(attrs: Attrs, given: Mapping[str, Any], shape: Shape | None) -> None:
    """An operation puts the classes behind the axes of the indices, of which the op drops a last one of size 1."""
    axis = given.get("axis", -1)
    if shape is None or len(shape) < 2 or shape[-1] in (None, 1) or axis not in (-1, len(shape)):
        raise NotCoreError("it does not put the classes behind an axis that is known to have several elements")
    attrs["output_mode"] = "one_hot"


_POOLED = {"pool_size": Idle(), "strides": Idle()}
_LAYERS = [
    operation(
        "nn.MaxPool",
        "max_pool",
        padding(),
        data_format(),
        idle=_POOLED,
        more=_of_rank("pool_size"),
        back=_window("pool_size"),
        fits=lambda attrs: attrs.get("dilation") is None,
    ),
    operation(
        "nn.AveragePool",
        "avg_pool",
        padding(),
        data_format(),
        idle=_POOLED,
        more=_of_rank("pool_size"),
        back=_window("pool_size"),
        fits=lambda attrs: not attrs["count_padding"] or attrs["padding"] == "valid",
    ),
    operation(
        "image.Resize",
        "resize",
        text("interpolation", "bilinear", choices=("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")),
        flag("antialias"),
        data_format(None),
        idle={
            "size": Idle(),
            "crop_to_aspect_ratio": Idle(False, (False,)),
            "pad_to_aspect_ratio": Idle(False, (False,)),
            "fill_mode": Idle("constant"),
            "fill_value": Idle(0.0),
        },
        more=_resized,
        back=lambda attrs, core, _: attrs.update(size=list(core["size"])),
        fits=lambda attrs: attrs["size"] is not None and len(attrs["size"]) == 2,
    ),
]
_LAYERS += [
    operation(
        "nn.LayerNorm",
        "layer_norm",
        axes("axis"),
        _default_epsilon(1e-7),
        idle={"rms_scaling": Idle(False, (False,))},
        fixed={"center": False, "scale": False},
        fits=_bare,
        signature=Signature(("x", "gamma", "beta"), blanks=2),
    ),
    operation(
        "nn.RMSNorm",
        "rms_norm",
        axes("axis"),
        _default_epsilon(1e-7),
        fixed={"scale": False},
        fits=_bare,
        signature=Signature(("x", "scale"), blanks=1),
    ),
    operation("nn.Normalize", "unit_norm", axes("axis"), _default_epsilon(1e-7), idle={"order": Idle(2, (2,))}),
    operation(
        "nn.OneHot",
        "one_hot",
        integer("num_classes", name="num_tokens"),
        idle={"axis": Idle(-1), "dtype": Idle("float32", ("float32", None)), "sparse": Idle(False, (False,))},
        more=_one_hot,
        fits=lambda attrs: bool(attrs["output_mode"] == "one_hot"),
    ),
]
SHAPE_OPERATIONS = [*_SHAPES, *_LAYERS]
