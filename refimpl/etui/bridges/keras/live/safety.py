"""What a file may not have a framework do: run code, import, or open files (SPEC.md, annex I)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etui.bridges.keras.live.framework import Framework
from etui.bridges.keras.model_read import code_places
from etui.bridges.keras.names import identity_of
from etui.bridges.keras.patches import Json
from etui.bridges.keras.values import is_object
from etui.canonical.value_types import inner_values
from etui.canonical.values import ObjectValue
from etui.containers.training import VALUE_FIELDS
from etui.errors import error, shown
from etui.model import Model

_FRAMEWORKS = ("keras", "tf_keras")
# Layers whose config holds code or the place of some.
_CODE = frozenset({"TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "KerasLayer"})
_LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "IndexLookup"})
# Attributes of lookup layers that are a list, or the path of a file that the layer would open.
_FILES = ("vocabulary", "idf_weights")
# The packages of a framework from which a config may name classes, and those of the last row functions, too.
_CLASSES = frozenset(
    {
        "constraints",
        "dtype_policies",
        "initializers",
        "layers",
        "mixed_precision",
        "models",
        "optimizers",
        "quantizers",
        "random",
        "regularizers",
        "src",
    }
)
_FUNCTIONS = frozenset({"activations", "losses", "metrics", "ops"})
_SINGLE = frozenset({"keras:utils.FeatureSpace", "keras:__tensor__", "keras:__lambda__"})
# Functions of TensorFlow that reach outside of the graph, by a part of their names.
_OUTSIDE = frozenset(
    {
        "data",
        "debugging",
        "io",
        "load_library",
        "load_op_library",
        "numpy_function",
        "print",
        "profiler",
        "py_func",
        "py_function",
        "raw_ops",
        "saved_model",
        "summary",
        "train",
    }
)
_SHOWN = 5


def check_code(model: Model) -> None:
    """Refuse a model whose config has code, or names a file or something other than a part of a model.

    Raises:
        UnsafeError: ``live-code``.
    """
    places = {path or "the root": "the code of a lambda" for path in code_places(model)}
    for path, module in model.config.walk() if model.config is not None else ():
        name = module.op.partition(":")[2].rpartition(".")[2]
        if name in _CODE and not module.op.startswith("custom:"):
            places[path] = f"code, or the place of some ({module.op})"
        if name == "Lambda" and _is_marshalled(module.attrs):
            places[path] = "the code of a lambda"
        if name in ("TFOpLambda", "TensorFlowOpLayer") and _OUTSIDE & set(
            str(module.attrs).replace("'", ".").split(".")
        ):
            places[path] = "a function of TensorFlow that reaches outside of the model"
        if name in _LOOKUPS and any(isinstance(module.attrs.get(key), str) for key in _FILES):
            places[path] = "the path of a vocabulary file"
    for path, text in _classes(model):
        if not text.startswith("custom:") and not _is_part(text):
            places.setdefault(path or "the root", f"{text}, which is no part of a model")
    if places:
        listed = [f"{path} holds {what}" for path, what in places.items()]
        raise error("live-code", found="; ".join(_first(listed)))


def _is_part(text: str) -> bool:
    """Whether a class or function of a framework is one that models are made of."""
    package, _, name = text.partition(":")[2].rpartition(".")
    first = package.partition(".")[0]
    return not package or text in _SINGLE or first in _FUNCTIONS or (first in _CLASSES and name[:1].isupper())


def _is_marshalled(attrs: Mapping[str, Any]) -> bool:
    """Whether a Lambda of Keras 2 holds marshalled code, as a list or under a type that says so."""
    kinds = [attrs.get(f"{key}_type") for key in ("function", "output_shape", "mask")]
    return "lambda" in kinds or isinstance(attrs.get("function"), list | tuple | bytes)


def custom_objects_for(model: Model, framework: Framework, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The caller's classes and functions under every name that the model's documents have for them.

    Args:
        model: the neutral model.
        framework: with its registry.
        given: name -> class or function.

    Raises:
        UsageError: ``live-include``, what was given is no map.
        UnsupportedError: ``live-custom-missing``, names the classes that neither of them has, and who uses them.
    """
    try:
        known = dict(given or {})
    except (TypeError, ValueError):
        hint = "Pass a map from names to classes and functions."
        raise error("live-include", found=f"custom_objects={shown(given)}", hint=hint) from None
    missing: dict[str, list[str]] = {}
    for path, text in _classes(model):
        if not text.startswith("custom:"):
            continue
        name = str(identity_of(text)["registered_name"])
        short = name.rpartition(">")[2]
        found = framework.registered(name, known)
        if found is None:
            found = known.get(short)
        if found is None and short == name:
            found = framework.function(name)
        if found is None:
            missing.setdefault(name, []).append(path or "the root")
        else:
            known.setdefault(name, found)
    if missing:
        raise error("live-custom-missing", found="; ".join(_first([_wanted(*item) for item in missing.items()])))
    return known


def _wanted(name: str, users: list[str]) -> str:
    package, _, short = name.rpartition(">")
    where = f"of the package {shown(package)}" if package else "of no package"
    used = ", ".join(_first(list(dict.fromkeys(users))))
    return f"{short} {where}, which {used} uses" if len(set(users)) == 1 else f"{short} {where}, which {used} use"


def _first(items: list[str]) -> list[str]:
    return items if len(items) <= _SHOWN else [*items[:_SHOWN], f"and {len(items) - _SHOWN} more"]


def _classes(model: Model) -> Iterator[tuple[str, str]]:
    """Every class and function that the documents name, with the module or document that names it."""
    for path, module in model.config.walk() if model.config is not None else ():
        if module.op:
            yield path, module.op
        yield from _objects(path, [module.attrs, module.build])
        if module.graph is not None:
            yield from _objects(path, [[call.args, call.kwargs] for call in module.graph.calls])
    if model.training is not None:
        yield from _objects("training.json", [getattr(model.training, name) for name in VALUE_FIELDS])
    for path, optimizer in model.optimizer.walk() if model.optimizer is not None else ():
        yield path, optimizer.algorithm
        yield from _objects(path, [optimizer.hyperparameters, optimizer.schedule])


def _objects(path: str, value: Any) -> Iterator[tuple[str, str]]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, ObjectValue):
            yield path, item.class_name
        stack.extend(inner_values(item))


def without_imports(tree: Json) -> Json:
    """The tree with no module named in it but those of the frameworks: all else is looked up by its name alone.

    Raises:
        UnsafeError: ``live-code``, it has the code of a lambda somewhere.
    """
    if isinstance(tree, list):
        return [without_imports(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    found = {key: without_imports(item) for key, item in tree.items()}
    if found.get("class_name") == "__lambda__":
        raise error("live-code", found="the code of a lambda")
    module = found.get("module")
    if is_object(found) and isinstance(module, str):
        package = module.partition(".")[0]
        if package not in _FRAMEWORKS and module != "builtins":
            found["module"] = None
    return found
