"""Config trees of Keras 1, Keras 2 and Keras 3's legacy files, brought to the form of `config.json` (SPEC.md, annex C).

Older files name a class by one word, and say less around it. `lift` adds what newer files say: the module of a class,
its registered name, the list of a Sequential model as a map, and its input layer. Nothing changes its meaning, nothing
is looked up, and no code is run. `lower` writes the short form again, which every version of Keras reads.
"""

from __future__ import annotations

from collections.abc import Mapping

from etui.bridges.keras.class_names import identity, package_of
from etui.bridges.keras.keras1 import rename_layer
from etui.bridges.keras.names import FUNCTIONAL
from etui.bridges.keras.operation_names import operation
from etui.bridges.keras.patches import Json, with_config
from etui.bridges.keras.values import is_object
from etui.errors import error, shown

_GRAPH = ("layers", "input_layers", "output_layers")
_IDENTITY = ("module", "class_name", "registered_name")
_TRIPLE = 3
_OPERATIONS = "keras.src.ops."
_TF_KERAS = "2.21.0"
_MODELS = frozenset({"Functional", "Model", "Sequential"})
# A class that Keras exports under another name than its own, which legacy files use.
_OWN_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}


def dialect_of(keras_version: str | None) -> str:
    """The dialect of the files that a version of Keras writes."""
    return "keras" if keras_version is not None and keras_version.partition(".")[0] in ("3", "4") else "tf_keras"


def lift(tree: Mapping[str, Json], keras_version: str | None, *, where: str = "model_config") -> dict[str, Json]:
    """The node of a model as a `.keras` file holds it.

    Args:
        tree: what the file holds: `class_name` and `config`, and for `to_json` also versions, which are left out.
        keras_version: the version of the file; `None` means that of Keras 1.0, which wrote none.
        where: the document, for messages.

    Returns:
        A new tree; a class that Keras does not have gets no module, and its name as `registered_name`.

    Raises:
        InvalidError: ``keras-config``, no node of a model.
        UnsupportedError: ``keras-legacy``, a form of Keras 1 that has no equal in later versions.
    """
    if not is_object(tree):
        raise error("keras-config", where=where, found=shown(tree))
    old = keras_version is None or keras_version.partition(".")[0] in ("0", "1")
    lifting = _Lifting(dialect_of(keras_version), where, old=old)
    return lifting.layer({key: item for key, item in tree.items() if key not in ("keras_version", "backend")})


def lift_within(tree: dict[str, Json], *, where: str) -> dict[str, Json]:
    """The node of a model of tf_keras's newer files, of which parts may have the older form.

    Once tf_keras has saved a model to HDF5, it writes what a Sequential model within it holds in that form everywhere.

    Args:
        tree: what the file holds.
        where: the document, for messages.

    Returns:
        The same object where nothing has the older form.

    Raises:
        InvalidError: ``keras-config``.
    """
    return lift(tree, _TF_KERAS, where=where) if _has_older(tree) else tree


def _has_older(node: Json) -> bool:
    """Whether a model lists a layer that does not say its module, or what it holds does."""
    config = node["config"] if is_object(node) else None
    if not isinstance(config, dict):
        return False
    listed = config.get("layers")
    layers = [layer for layer in listed if is_object(layer)] if isinstance(listed, list) else []
    older = any("module" not in layer and "registered_name" not in layer for layer in layers)
    if older and node["class_name"] in _MODELS:
        return True
    return any(map(_has_older, [*layers, *config.values()]))


def lift_object(node: Json, package: str, keras_version: str | None, *, where: str) -> Json:
    """The node of an optimizer, loss or metric, or what holds such: lists, maps and names stay as they are.

    Args:
        node: what the file holds.
        package: ``optimizers``, ``losses`` or ``metrics``.
        keras_version: of the file.
        where: the document, for messages.
    """
    return _Lifting(dialect_of(keras_version), where, old=False).value("", node, package)


class _Lifting:
    def __init__(self, dialect: str, where: str, *, old: bool) -> None:
        self.dialect = dialect
        self.where = where
        self.old = old

    def layer(self, node: Json) -> dict[str, Json]:
        """A layer or model."""
        if not is_object(node):
            raise error("keras-config", where=self.where, found=shown(node))
        if self.old and "module" not in node:
            node = rename_layer(node, self.where)
        config = node["config"]
        if node["class_name"] == "Sequential" and isinstance(config, list):
            config = {"name": self._sequential_name(node), "layers": config}
        if not isinstance(config, dict):
            raise error("keras-config", where=self.where, found=shown(node))
        is_graph = all(isinstance(config.get(key), list | dict) for key in _GRAPH)
        fields = self._identity(node, "layers", is_graph=is_graph)
        sequential = fields["class_name"] == "Sequential" and fields.get("module") == "keras"
        if is_graph or sequential:
            config = self._model(config, graph=is_graph)
        else:
            config = {key: self.value(key, item, package_of(key)) for key, item in config.items()}
        rest = {key: item for key, item in node.items() if key not in (*_IDENTITY, "config", "inbound_nodes")}
        lifted = with_config({"module": fields.get("module"), **fields}, config) | rest
        if "inbound_nodes" in node:
            lifted["inbound_nodes"] = self._calls(node["inbound_nodes"])
        return lifted

    def _identity(self, node: Mapping[str, Json], package: str | None, *, is_graph: bool = False) -> dict[str, Json]:
        if "module" in node or "registered_name" in node or node["class_name"].startswith("__"):
            return {key: node[key] for key in _IDENTITY if key in node}
        name = node["class_name"]
        if package == "layers" and self.dialect == "keras" and _is_operation(node):
            known = operation(name)
            if known is not None:
                return dict(known)
        if is_graph and name in ("Model", "Functional"):
            return {"module": FUNCTIONAL[self.dialect], "class_name": "Functional", "registered_name": "Functional"}
        if package == "optimizers" and name.startswith("Custom>"):
            # tf_keras registers its newer optimizers under this package; the plain name is the older one's.
            name = name.removeprefix("Custom>")
        elif package == "optimizers" and self.dialect == "tf_keras" and not _is_new(node):
            found = identity(name, package, self.dialect)
            older = found["module"] == "keras.optimizers"
            return dict(found) | ({"module": "keras.optimizers.legacy"} if older else {})
        return dict(identity(name, package, self.dialect))

    def _sequential_name(self, node: Mapping[str, Json]) -> str:
        name = node.get("name")
        return name if isinstance(name, str) and name else "sequential"

    def _model(self, config: Mapping[str, Json], *, graph: bool) -> dict[str, Json]:
        """The config of a model: its layers are layers, and its ends are not objects."""
        layers = config.get("layers")
        if not isinstance(layers, list):
            raise error("keras-config", where=self.where, found=f"the layers {shown(layers)}")
        lifted = [self.layer(node) for node in layers]
        if not graph:
            lifted = self._with_input(lifted)
        ends = {key: config[key] for key in config if key in _GRAPH}
        found = {
            key: lifted if key == "layers" else item if key in ends else self.value(key, item, package_of(key))
            for key, item in config.items()
        }
        if not graph and "name" not in found:
            found = {"name": "sequential"} | found
        return found

    def _with_input(self, layers: list[dict[str, Json]]) -> list[dict[str, Json]]:
        """Put the input layer in front that a first layer with an input shape stands for (Keras 1 to 2.2, and TF 1)."""
        if self.dialect != "tf_keras" or not layers or layers[0]["class_name"] == "InputLayer":
            return layers
        found = _input_of(layers[0])
        if found is None:
            return layers
        shape, dtype = found
        first = layers[0]["config"].get("name", layers[0].get("name"))
        config = {"batch_input_shape": shape, "dtype": dtype, "sparse": False, "ragged": False}
        config["name"] = f"{first}_input"
        return [self.layer({"class_name": "InputLayer", "config": config}), *layers]

    def _calls(self, nodes: Json) -> Json:
        """Inbound nodes of Keras 1.0, whose references have no keyword arguments yet, get empty ones."""
        if not isinstance(nodes, list) or self.dialect != "tf_keras":
            return nodes
        return [[_with_kwargs(item) for item in node] if isinstance(node, list) else node for node in nodes]

    def value(self, key: str, item: Json, package: str | None) -> Json:
        """A value in a config; the objects in it are lifted."""
        if isinstance(item, list):
            return [self.value(key, one, package) for one in item]
        if not isinstance(item, dict):
            return item
        if not is_object(item):
            return {name: self.value(name, one, package_of(name) or package) for name, one in item.items()}
        if package == "layers" and isinstance(item["config"], dict | list):
            return self.layer(item)
        if item["class_name"].startswith("__") or item["class_name"] == "function":
            return item
        fields = self._identity(item, package)
        rest = {name: one for name, one in item.items() if name not in (*_IDENTITY, "config")}
        config = item["config"]
        if isinstance(config, dict):
            config = {name: self.value(name, one, package_of(name)) for name, one in config.items()}
        return with_config({"module": fields.get("module"), **fields}, config) | rest


def _is_operation(node: Mapping[str, Json]) -> bool:
    """Whether a node of Keras 3 is that of an operation: every layer says whether it is trainable, but for inputs."""
    config = node["config"]
    return isinstance(config, dict) and "trainable" not in config and node["class_name"] != "InputLayer"


def _is_new(node: Mapping[str, Json]) -> bool:
    """Whether an optimizer is of the kind that came with TensorFlow 2.11."""
    config = node["config"]
    return isinstance(config, dict) and config.get("is_legacy_optimizer") is False


def _with_kwargs(item: Json) -> Json:
    is_triple = isinstance(item, list) and len(item) == _TRIPLE and isinstance(item[0], str)
    return [*item, {}] if is_triple else item


def _input_of(node: Mapping[str, Json]) -> tuple[list[Json], Json] | None:
    """The batch shape and dtype that a Sequential model takes from its first layer."""
    while True:
        config = node["config"]
        shape = config.get("batch_input_shape")
        if isinstance(shape, list):
            policy = config.get("dtype", "float32")
            return shape, policy if isinstance(policy, str) else "float32"
        layers = config.get("layers")
        if node["class_name"] not in ("Sequential", "Functional") or not isinstance(layers, list) or not layers:
            return None
        node = layers[0]


def lower(tree: Mapping[str, Json]) -> dict[str, Json]:
    """The short form of a model's node: the layers of a model by one word, as legacy files name them.

    Objects inside of a layer's config stay as they are: files of both forms hold them so.

    Args:
        tree: the node as a `.keras` file holds it, without `compile_config`.
    """
    if str(tree.get("module")).startswith(_OPERATIONS):
        # By one word, Keras 3 takes an operation for the layer of that name.
        return dict(tree)
    name = _OWN_NAMES.get(tree["class_name"], tree["class_name"])
    registered = tree.get("registered_name")
    if tree.get("module") is None and isinstance(registered, str) and registered:
        name = registered
    config = tree["config"]
    if isinstance(config, dict) and isinstance(config.get("layers"), list) and _holds_layers(tree):
        layers = [lower(node) if is_object(node) else node for node in config["layers"]]
        config = config | {"layers": layers}
    rest = ("name", "inbound_nodes", "shared_object_id")
    return {"class_name": name, "config": config} | {key: tree[key] for key in rest if key in tree}


def _holds_layers(tree: Mapping[str, Json]) -> bool:
    config: dict[str, Json] = tree["config"]
    return all(key in config for key in _GRAPH) or tree["class_name"] == "Sequential"
