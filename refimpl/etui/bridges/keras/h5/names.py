"""The names that Keras gives arrays in a legacy HDF5 file. Readers go by their order; people go by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from etui.bridges.keras.layer_variables import LayerVariable, LayerVariables
from etui.bridges.keras.modules import is_sequential
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor

# Layers whose held layer does not name its arrays in tf_keras.
_SILENT = ("keras:TimeDistributed", "keras:ConvLSTM1D", "keras:ConvLSTM2D", "keras:ConvLSTM3D")
_TF_SLOTS = {"momentum": "m", "velocity": "v", "velocity_hat": "vhat"}


def array_names(layer: LayerVariables, dialect: str) -> list[str]:
    """The names of a layer's arrays in the order of its weights, no two alike and none in the way of another."""
    names = [_name(layer, one, dialect) for one in layer.variables]
    if _clash(names):
        names = ["/".join((*one.names, _role(one, dialect))) for one in layer.variables]
    if _clash(names):
        names = [f"{name}_{at}" for at, name in enumerate(names)]
    return [f"{name}:0" for name in names] if dialect == "tf_keras" else names


def _role(one: LayerVariable, dialect: str) -> str:
    return one.attribute if dialect == "tf_keras" and one.attribute == "depthwise_kernel" else one.role


def _name(layer: LayerVariables, one: LayerVariable, dialect: str) -> str:
    names = list(one.names)
    hops = _hops(one.owner)
    inside = [at for at, hop in enumerate(hops, 1) if hop == "layers"]
    if inside and (dialect == "tf_keras" or not is_sequential(layer.module)):
        # A layer of a nested model is named without the model, but for a Sequential one in Keras 3.
        names = names[inside[-1] :]
    elif dialect == "tf_keras" and layer.module.op in _SILENT:
        names = names[:1]
    return "/".join((*names, _role(one, dialect)))


def _hops(owner: Sequence[str]) -> list[str]:
    """The attributes on a way, without the numbers of lists."""
    return [step for step in owner if not step.isdecimal()]


def _clash(names: Iterable[str]) -> bool:
    listed = list(names)
    known = set(listed)
    if len(known) != len(listed):
        return True
    return any("/".join(name.split("/")[:count]) in known for name in listed for count in range(1, name.count("/") + 1))


def slot_names(
    optimizer: Optimizer, tensors: Sequence[Tensor], variables: Mapping[str, str], dialect: str
) -> list[str]:
    """The names of an optimizer's arrays.

    Args:
        optimizer: it.
        tensors: its arrays in stored order.
        variables: path of a variable -> its name in the file.
        dialect: ``keras`` or ``tf_keras``.
    """
    kind = optimizer.algorithm.rpartition(":")[2].rpartition(".")[2]
    legacy = ".legacy." in optimizer.algorithm
    known: dict[int, str] = {}
    for path, slots in optimizer.slots.items():
        name = variables.get(path, path).removesuffix(":0")
        for slot, tensor in slots.items():
            short = _TF_SLOTS.get(slot, slot)
            if dialect == "keras":
                known[id(tensor)] = f"{kind.lower()}/{name.replace('/', '_')}_{slot}"
            else:
                known[id(tensor)] = f"{kind}/{name}/{short}:0" if legacy else f"{kind}/{short}/{name}:0"
    for slot, tensor in optimizer.shared_slots.items():
        known[id(tensor)] = f"{kind.lower()}/{slot}" if dialect == "keras" else f"{kind}/{slot}:0"
    first = f"{kind.lower()}/iteration" if dialect == "keras" else f"{kind}/iter:0" if legacy else "iteration:0"
    names = [known.get(id(tensor), f"{kind}/{at}") for at, tensor in enumerate(tensors)]
    names[0] = first
    if dialect == "keras" and len(tensors) > 1 and id(tensors[1]) not in known:
        names[1] = f"{kind.lower()}/learning_rate"
    return names if not _clash(names) else [f"{kind}/{at}" for at in range(len(tensors))]
