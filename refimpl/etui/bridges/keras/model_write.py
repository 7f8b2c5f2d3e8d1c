"""A neutral model to what a format of Keras holds (SPEC.md, annex B.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from etui.bridges.keras.config_write import ConfigWriter
from etui.bridges.keras.content import Written
from etui.bridges.keras.groups import expected_groups, written_groups
from etui.bridges.keras.layout import VARS, Place, places
from etui.bridges.keras.modules import join, residue, row
from etui.bridges.keras.optimizer_write import OptimizerWriter, slotless_paths
from etui.bridges.keras.patches import Json
from etui.bridges.keras.training_write import write_compile_config
from etui.bridges.keras.variables import by_number, written_datasets
from etui.containers.config import Config
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error
from etui.model import Model

_OPTIMIZER, _METRICS, _INNER = "optimizer", "metrics", "inner_optimizer"


@dataclass(slots=True, init=False)
class Writing:
    """What a model becomes in a format of Keras."""

    model: Model
    model_config: Config
    weights: Weights
    dialect: str

    def __init__(self, model: Model) -> None:
        """Take a model.

        Raises:
            TransferError: ``keras-parts``, it has no config or no weights.
        """
        if model.config is None or (model.weights is None and any(m.params for _, m in model.config.walk())):
            missing = "config" if model.config is None else "weights"
            raise error("keras-parts", found=f"no {missing}")
        self.model = model
        self.model_config = model.config
        self.weights = Weights() if model.weights is None else model.weights
        self.dialect = residue(model.config.model).get("dialect", "keras")

    def config(self) -> dict[str, Json]:
        """The tree of `config.json`.

        Raises:
            LimitError: ``limit-document``, a config that readers refuse.
        TransferError: a code that begins with ``keras-``.
        """
        root = self.model_config.model
        writer = ConfigWriter(self.model_config.find, self.dialect)
        tree = writer.node(root, "")
        compiled = self._compile_config(writer)
        if compiled is not None:
            tree["compile_config"] = compiled
        else:
            usual = "empty" if self.dialect == "keras" else "absent"
            kind = residue(root).get("uncompiled", usual)
            if kind != "absent":
                tree["compile_config"] = {} if kind == "empty" else None
        return tree

    def _compile_config(self, writer: ConfigWriter) -> dict[str, Json] | None:
        training = self.model.training
        if training is None:
            return None
        optimizer = self._optimizers().get(_OPTIMIZER)
        node = None if optimizer is None else self._optimizer_writer(writer).node(optimizer, _OPTIMIZER)
        return write_compile_config(training, node, writer.values)

    def _optimizers(self) -> dict[str, Optimizer]:
        return {} if self.model.optimizer is None else self.model.optimizer.optimizers

    def _optimizer_writer(self, writer: ConfigWriter) -> OptimizerWriter:
        slotless = slotless_paths(places(self.model_config))
        return OptimizerWriter(self.weights, slotless, writer.values, self.dialect)

    def _optimizer_groups(self) -> dict[str, str]:
        """The group of each optimizer by its path."""
        groups = {join(place.path, _OPTIMIZER): join(place.group, _OPTIMIZER) for place in places(self.model_config)}
        for path in self._optimizers():
            if path not in groups:
                raise error("keras-slots", where=path, found="an optimizer of no model")
        return groups

    def datasets(self) -> Iterator[tuple[str, Tensor]]:
        """Every dataset of the weights file with its tensor, in an order that follows from the content alone.

        Raises:
            TransferError: ``keras-variables``, ``keras-slots``.
        """
        yield from written_datasets(self.model_config, self.weights)
        groups = self._optimizer_groups()
        writer = self._optimizer_writer(ConfigWriter(self.model_config.find, self.dialect))
        for path, optimizer in sorted(self._optimizers().items()):
            yield from writer.datasets(optimizer, groups[path], path)
        if self.model.state is not None and self.dialect == "tf_keras":
            for name, stored in sorted(self.model.state.metrics.items()):
                for key, tensor in sorted(stored.items(), key=by_number):
                    yield f"{_METRICS}/{name}/{VARS}/{key}", tensor

    def other_groups(self) -> dict[str, dict[str, str]]:
        """The groups of optimizers with the attributes that Keras gives them."""
        found = {}
        groups = self._optimizer_groups()
        for path, optimizer in self._optimizers().items():
            group, one = groups[path], optimizer
            while True:
                name = one.residue.get("keras", {}).get("name")
                named = self.dialect == "keras" and isinstance(name, str)
                found[join(group, VARS)] = {"name": name} if named else {}
                if one.inner is None:
                    break
                group, one = join(group, _INNER), one.inner
        return found

    def written(self) -> Written:
        """All of it, in the layout of a `.keras` file.

        Raises:
            TransferError: a code that begins with ``keras-``; ``keras-parts``, the model has no weights.
        """
        if self.model.weights is None and any(map(_has_variables, places(self.model_config))):
            raise error("keras-parts", found="no weights")
        datasets = dict(self.datasets())
        groups = expected_groups(self.model_config, self.dialect, datasets, self.other_groups())
        return Written(self.config(), self.dialect, written_groups(self.model_config, groups), datasets)


def _has_variables(place: Place) -> bool:
    """Whether a layer has variables as far as its class and attributes tell: one of the author's own may have some."""
    known = row(place.op)
    return (
        place.op.startswith("custom:")
        or known.made is not None
        or any(var.when(place.attrs) for var in known.variables)
    )
