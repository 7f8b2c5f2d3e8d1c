"""The arrays of a legacy HDF5 file, given to the layers of a config (SPEC.md, annex C)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby, repeat

from etui.bridges.keras.content import Renamed, Stored
from etui.bridges.keras.h5.lists import Section
from etui.bridges.keras.h5.old_arrays import Given, converted
from etui.bridges.keras.h5.shapes import fault_of
from etui.bridges.keras.layer_variables import LayerVariables, layer_variables
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.modules import is_model, join, keras_name
from etui.containers.config import Config
from etui.errors import error, shown
from etui.report import Report

_FLOATS = ("bfloat16", "float", "complex")


@dataclass(slots=True)
class Matched:
    """What the layers of a config have in a file.

    Attributes:
        datasets: each array by its name in the layout.
        groups: the groups of the layout with their attributes.
        names: name of an array in the file, without `:0` -> its name in the layout; `None` where two have that name.
        flags: name in the layout of a variable of a layer that is not built in -> whether the layer trains it, where
            the order of the arrays tells.
        trainable: whole name of an array in the file -> its name in the layout, of the variables that are trained, in
            the model's order.
    """

    datasets: dict[str, Stored] = field(default_factory=dict)
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, str | None] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)
    trainable: dict[str, str] = field(default_factory=dict)


def match_layers(config: Config, dialect: str, section: Section, report: Report, where: str) -> Matched:
    """Give each layer of a config the arrays that the file has for it.

    Layers are found by name, or one after the other among those that have arrays, where no name of the file fits.

    Args:
        config: the neutral config, as read without a weights file.
        dialect: ``keras`` or ``tf_keras``.
        section: the layers of the file.
        report: gets an entry for arrays whose elements are brought to another form, and for a layer of another name.
        where: the file's name, for messages.

    Raises:
        InvalidError: ``keras-h5-layers``, a layer whose number of arrays is another, or layers that do not fit.
    """
    pairs = list(_paired(layer_variables(config, dialect), section, report, where))
    keys: dict[str, dict[str, bool]] = {}
    for layer, arrays in pairs:
        keys.update(_unknown(layer, arrays))
    if any(keys.values()):
        known = {layer.name: layer for layer in layer_variables(config, dialect, keys)}
        pairs = [(known[layer.name] if layer.unknown else layer, arrays) for layer, arrays in pairs]
    matched = Matched()
    for group, found in keys.items():
        matched.flags.update((f"{join(group, VARS)}/{key}", flag) for key, flag in found.items())
    for layer, arrays in pairs:
        given = _given(layer, arrays, section, where)
        for change in given.changes:
            report.add("layer", layer.name, "translated", change)
        _add(matched, given, list(arrays))
    _own(matched, config, section, where)
    for layer, _ in pairs:
        for group, name in layer.named.items():
            matched.groups[group] = {"name": name} if dialect == "keras" else {}
    root = {"name": keras_name(config.model)} if dialect == "keras" else {}
    matched.groups[VARS] = root
    for path in [*matched.groups, *matched.datasets]:
        parent = path
        while parent:
            parent = parent.rpartition("/")[0]
            matched.groups.setdefault(parent, {})
    return matched


def _paired(
    layers: Sequence[LayerVariables], section: Section, report: Report, where: str
) -> Iterator[tuple[LayerVariables, Mapping[str, Stored]]]:
    stored = section.layers
    if len(layers) == 1 and not layers[0].path and not is_model(layers[0].module):
        found = f"{layers[0].module.op}, whose layers no config tells"
        raise error("keras-h5-layers", where=where, found=found)
    names = {layer.name for layer in layers}
    filled = [name for name, arrays in stored.items() if arrays]
    if names.issuperset(filled):
        for layer in layers:
            yield layer, stored.get(layer.name, {})
        return
    having = [layer.name for layer in layers if layer.variables or layer.unknown]
    both = names & set(filled)
    # Those of one class have to be in the same order; stable sorting keeps theirs.
    one, two = (sorted(filter(both.__contains__, listed), key=_unnumbered) for listed in (having, filled))
    turned = one != two
    if turned or len(having) != len(filled) or not all(map(_may_be, having, filled, repeat(both))):
        odd = next(name for name in filled if name not in names)
        raise error("keras-h5-layers", where=where, found=f"the layer {shown(odd)}, which the config does not have")
    arrays = dict(zip(having, filled, strict=True))
    for layer in layers:
        other = arrays.get(layer.name, layer.name)
        if other != layer.name:
            report.add("layer", layer.name, "translated", f"by its place, as the layer {shown(other)} of the file")
        yield layer, stored[other] if layer.name in arrays else {}


def _may_be(name: str, stored: str, both: AbstractSet[str]) -> bool:
    """Whether a layer may be the stored one in its place.

    A name that the config and the file have tells the layer, but for the number that Keras puts behind the name of a
    class: it counts the layers of a process, whichever model they are of.
    """
    return name == stored or not both & {name, stored} or _unnumbered(name) == _unnumbered(stored)


def _unnumbered(name: str) -> str:
    base, _, number = name.rpartition("_")
    return base if number.isdecimal() else name


def _unknown(layer: LayerVariables, arrays: Mapping[str, Stored]) -> dict[str, dict[str, bool]]:
    """The keys of the layers in a layer that are not built in: their arrays have the layer's name in theirs."""
    found = {}
    names = list(arrays)
    for group, way in layer.unknown.items():
        whole = group == layer.group and len(layer.unknown) == 1 and not layer.variables
        mine = [at for at, name in enumerate(names) if whole or way[-1] in name.split("/")[:-1]]
        # The trainable ones are together, and so are the others, behind those of other layers.
        blocks = [[at for _, at in run] for _, run in groupby(enumerate(mine), lambda pair: pair[1] - pair[0])]
        flags: dict[str, bool] = {}
        for number, block in enumerate(blocks):
            for at in block:
                flags[str(len(flags))] = number == 0 and arrays[names[at]].dtype.startswith(_FLOATS)
        found[group] = flags
    return found


def _given(layer: LayerVariables, arrays: Mapping[str, Stored], section: Section, where: str) -> Given:
    plans = [layer.variables, *layer.alternatives]
    listed = list(arrays.values())
    variables = next((plan for plan in plans if len(plan) == len(listed)), None)
    given = converted(layer, variables, listed, section.version, section.backend)
    if given is None:
        found = f"the layer {shown(layer.name)} has {len(listed)} arrays in place of {len(layer.variables)}"
        raise error("keras-h5-layers", where=where, found=found)
    for variable, array in zip(given.variables, given.arrays, strict=True):
        fault = fault_of(variable, array.shape)
        if fault:
            raise error("keras-h5-layers", where=where, found=f"the layer {shown(layer.name)} has {fault}")
    return given


def _add(matched: Matched, given: Given, names: list[str]) -> None:
    for at, (variable, array) in enumerate(zip(given.variables, given.arrays, strict=True)):
        for layout in (variable.layout, *variable.copies):
            matched.datasets[layout] = Renamed(layout, array.dtype, array.shape, array.read)
        if len(names) == len(given.arrays):
            name = plain_name(names[at])
            matched.names[name] = None if name in matched.names else variable.layout
            if variable.trainable:
                matched.trainable[names[at]] = variable.layout


def plain_name(name: str) -> str:
    """The name of an array without the number of the output that TensorFlow puts behind it."""
    return name.removesuffix(":0")


def _own(matched: Matched, config: Config, section: Section, where: str) -> None:
    """The model's own variables."""
    if section.top and not is_model(config.model):
        raise error("keras-h5-layers", where=where, found="variables of a model whose config is not known")
    for at, (name, array) in enumerate(section.top.items()):
        layout = join(VARS, str(at))
        matched.datasets[layout] = Renamed(layout, array.dtype, array.shape, array.read)
        matched.names[plain_name(name)] = layout
