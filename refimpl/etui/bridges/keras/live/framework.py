"""What live models need of their framework: Keras 3 or tf_keras, each behind the same face.

Nothing here imports a framework; `live_keras` and `live_tf_keras` do, when the first model of theirs is met.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import FunctionType
from typing import Any, ClassVar

import numpy as np

from etui import dtypes
from etui.bridges.keras.content import Dialect
from etui.bridges.keras.patches import Json
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.errors import error, shown

_MODULES: dict[str, str] = {
    "keras": "etui.bridges.keras.live.keras3",
    "tf_keras": "etui.bridges.keras.live.tf_keras",
}
_OF_FUNCTIONS = ("activations", "losses", "metrics")


class Framework(ABC):
    """One of the two frameworks, as far as saving and loading live models goes.

    Attributes:
        name: of the package.
        dialect: of the configs that it writes.
        nests: whether it keeps layers in lists of lists, and names each member of a list at its every place.
    """

    name: ClassVar[str]
    dialect: ClassVar[Dialect]
    nests: ClassVar[bool]

    @property
    @abstractmethod
    def version(self) -> str:
        """Of the package."""

    @property
    @abstractmethod
    def api(self) -> Any:
        """The package itself."""

    # Config

    @abstractmethod
    def serialize(self, thing: Any) -> Json:
        """The node of a model, an optimizer, or a structure of such, as the framework writes it.

        Raises:
            NotImplementedError, TypeError: an object has no config.
        """

    @abstractmethod
    def deserialize(self, tree: Json, custom_objects: Mapping[str, Any], *, safe: bool) -> Any:
        """The model of a node. With `safe`, the framework refuses code, too."""

    @abstractmethod
    def compile_arguments(self, model: Any) -> dict[str, Any]:
        """The objects that a model was compiled with, by the names of the arguments; empty for its own `compile`."""

    def registered(self, name: str, custom_objects: Mapping[str, Any]) -> Any:
        """The class or function of that name that the program registered, or `None`."""
        return self.api.saving.get_registered_object(name, custom_objects=dict(custom_objects))

    def function(self, name: str) -> Any:
        """The framework's own function that it finds by its name alone, or `None`: so Keras 2 writes them."""
        found = (getattr(getattr(self.api, package), name, None) for package in _OF_FUNCTIONS)
        return next((one for one in found if isinstance(one, FunctionType)), None)

    # The save tree

    @abstractmethod
    def is_saveable(self, thing: Any) -> bool:
        """Whether the framework saves an object's state."""

    @abstractmethod
    def children(self, thing: Any, known: dict[Any, list[str]]) -> Iterator[tuple[str, Any]]:
        """The attributes of an object in the order in which the framework saves them.

        Args:
            thing: the object.
            known: is filled with the names of attributes by what tells them, for one walk, in which no class changes.
        """

    @abstractmethod
    def own_variables(self, thing: Any) -> dict[str, Any] | None:
        """What an object itself saves, by its keys: variables, or arrays that it computes; `None` if it cannot."""

    def computed(self, thing: Any) -> dict[str, Any]:
        """What an object's own method saves; nothing where it has not made yet what it would save."""
        found: dict[str, Any] = {}
        try:
            thing.save_own_variables(found)
        except AttributeError:
            return {}
        # Both frameworks save numbers and lists of Python, too, as NumPy has them.
        return {key: value if hasattr(value, "dtype") else np.asarray(value) for key, value in found.items()}

    @abstractmethod
    def loads_itself(self, thing: Any) -> bool:
        """Whether an object's class has its own way of taking up what it saves."""

    # Variables

    @abstractmethod
    def is_variable(self, thing: Any) -> bool:
        """Whether an object is a live variable."""

    @abstractmethod
    def dtype(self, variable: Any) -> str:
        """The dtype of a variable or tensor, by its name in SPEC.md chapter 2.1."""

    @abstractmethod
    def raw(self, variable: Any) -> Array:
        """The elements of a variable or tensor, as the framework hands them out."""

    def numpy(self, variable: Any) -> Array:
        """The elements of a variable or tensor in its own dtype."""
        array = np.asarray(self.raw(variable))
        return array.astype(dtypes.by_name(self.dtype(variable), "").numpy, copy=False)

    @property
    def constant(self) -> bool:
        """Whether nothing ever changes the elements that `view` gave."""
        return False

    def view(self, variable: Any) -> Array:
        """The elements of a variable or tensor where they are, until it is changed; a copy where that cannot be had."""
        array = self.in_place(variable)
        fits = array is not None and array.dtype == dtypes.by_name(self.dtype(variable), "").numpy
        return array if array is not None and fits else self.numpy(variable)

    def in_place(self, variable: Any) -> Array | None:  # noqa: ARG002  for those that can
        """What `view` gives, if the framework hands out its memory."""
        return None

    def look(self, variable: Any, tensor: Tensor) -> None:  # noqa: ARG002  for those that need a part of it
        """Read what `take` will need of a tensor, so that damage is found before anything is changed.

        Raises:
            IntegrityError: ``digest-mismatch``.
        """
        tensor.numpy()

    def take(self, variable: Any, tensor: Tensor) -> None:
        """Give a variable the elements of a tensor of its own shape, in its own dtype."""
        array = tensor.numpy()
        fits = self.dtype(variable) == array.dtype.name
        self.assign(variable, array if fits else array.astype(dtypes.by_name(self.dtype(variable), "").numpy))

    def handed(self, variable: Any, tensor: Tensor) -> Any:  # noqa: ARG002  for those that need a part of it
        """The elements of a tensor for the own method of a layer; of its variable, or of something that it computes."""
        return tensor.numpy()

    def assign(self, variable: Any, values: Array) -> None:
        """Give a variable new elements of its own shape and dtype."""
        # Some backends would go on to use the array itself, which may be mapped from a file.
        variable.assign(np.array(values))

    @abstractmethod
    def trainable(self, model: Any) -> list[Any]:
        """The variables that training the model changes by gradients."""

    @abstractmethod
    def set_trainable(self, variable: Any, *, flag: bool) -> bool:
        """Set the flag of one variable; false if the framework has no such flags."""

    def set_layer_trainable(self, layer: Any, *, flag: bool) -> None:
        """Set the flag of a layer, and of nothing in it."""
        layer._trainable = flag  # noqa: SLF001  the setter of both frameworks goes through all layers within

    # Training

    def compiled_flags(self, model: Any) -> MutableMapping[Any, bool]:  # noqa: ARG002  for those that have them
        """The flags that the layers had when the model was compiled, where training goes by them."""
        return {}

    def optimizer(self, model: Any) -> Any:
        """The optimizer of a model, or `None`."""
        return getattr(model, "optimizer", None)

    @abstractmethod
    def trained(self, model: Any) -> list[Any] | None:
        """The variables that a model's optimizer was built for, in its order; `None` if it was not built."""

    @abstractmethod
    def optimizer_variables(self, optimizer: Any) -> list[Any]:
        """The variables of an optimizer in stored order."""

    def hidden_slots(self, optimizer: Any) -> dict[str, Any]:  # noqa: ARG002  for those that have them
        """State of an optimizer that is not among its variables, by names of the framework's own."""
        return {}

    def lost_slots(self, optimizer: Any) -> list[str]:  # noqa: ARG002  for those that have them
        """State of an optimizer that cannot be had."""
        return []

    @abstractmethod
    def rebuilt(self, optimizer: Any, variables: Sequence[Any]) -> Any:
        """A new optimizer of the same config, built for the variables."""

    @abstractmethod
    def set_optimizer(self, model: Any, optimizer: Any) -> None:
        """Have a compiled model go on with another optimizer."""

    @abstractmethod
    def set_rate(self, optimizer: Any, rate: float) -> None:
        """Set a learning rate that is no variable of the optimizer."""

    @abstractmethod
    def metrics(self, model: Any) -> list[Any]:
        """The metrics of a model that hold state, each once, in its order."""

    def kinds(self, metrics: Iterable[Any]) -> list[str]:
        """What each metric is: its class, and the function that it wraps."""
        found = []
        for metric in metrics:
            wrapped = getattr(getattr(metric, "_fn", None), "__name__", "")
            found.append(f"{type(metric).__name__} {wrapped}".strip())
        return found

    @abstractmethod
    def build_metrics(self, model: Any, expected: Sequence[str]) -> bool:
        """Have the model make the metrics of these kinds that it makes at the first batch; false if it cannot."""

    @abstractmethod
    def seeds(self, layer: Any) -> dict[str, tuple[str, Any]]:
        """The random generators of a layer by attribute: algorithm, and the variable that holds the state."""

    @abstractmethod
    def hidden_seeds(self, layer: Any) -> dict[str, str]:
        """The attributes of a layer that draw random numbers whose state is out of reach, and why it is."""


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of a live variable, read whenever they are asked for."""

    framework: Framework
    variable: Any

    def __call__(self) -> Array:
        """All of them."""
        return self.framework.numpy(self.variable)

    @property
    def value(self) -> Any:
        """What the framework itself has, which may lie on several devices."""
        return self.variable.value

    def elements(self, part: Any) -> Array:
        """Those of a part of `value`."""
        return self.framework.numpy(part)


def framework_of(model: object) -> Framework | None:
    """The framework whose class an object's class derives from; `None` for other objects."""
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _MODULES:
            return framework_named(package)
    return None


def require_framework(model: object) -> Framework:
    """The framework of a model.

    Raises:
        UsageError: ``live-model``, the object is of neither framework.
    """
    found = framework_of(model)
    if found is None or not isinstance(model, found.api.Model):
        raise error("live-model", found=shown(type(model).__qualname__))
    return found


def framework_named(name: str | None, dialect: str = "keras") -> Framework:
    """The framework of that name; without one, that of the dialect, or the other if only that is installed.

    Raises:
        UsageError: ``live-model``, an unknown name.
        MissingExtraError: ``live-framework``, it is not installed.
    """
    if name is not None and name not in _MODULES:
        raise error("live-model", found=f"the framework {shown(name)}", hint=f"Frameworks: {', '.join(_MODULES)}.")
    wanted = [name] if name is not None else sorted(_MODULES, key=lambda other: other != dialect)
    for candidate in wanted:
        if find_spec(candidate) is not None:
            found: Framework = import_module(_MODULES[candidate]).FRAMEWORK
            return found
    raise error("live-framework", found=" or ".join(wanted))
