"""What every format of Keras holds, in one layout: that of a `.keras` file (SPEC.md, annex B).

A reader of a format fills a `Content` and hands it to `model_read`; a writer takes one from `model_write`. The layout
names a variable by the group of its layer and its key there: `layers/dense/vars/0`; those of optimizers are
`optimizer/vars/0`, numbered in stored order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from etui.bridges.keras.patches import Json
from etui.containers.tensors import Tensor
from etui.model import Blob

Dialect = Literal["keras", "tf_keras"]


class Stored(Protocol):
    """An array in a file, read when it is needed. `etui.storage.hdf5.Dataset` is one."""

    @property
    def path(self) -> str:
        """Its name in the layout."""

    @property
    def dtype(self) -> str:
        """Its dtype by the name in SPEC.md chapter 2.1."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    def read(self) -> np.ndarray[Any, Any]:
        """Its elements, read-only."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """An array of another format under its name in the layout.

    Attributes:
        path, dtype, shape: as in `Stored`.
        load: gives the elements.
        live: whether they may change, as those of a framework's variable do.
        view: gives those of a live one where they are, for as long as the variable is not changed.
        constant: whether what `view` gave never changes.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray[Any, Any]] = field(repr=False)
    live: bool = False
    view: Callable[[], np.ndarray[Any, Any]] | None = field(default=None, repr=False)
    constant: bool = False

    def read(self) -> np.ndarray[Any, Any]:
        """The elements."""
        return self.load()


@dataclass(slots=True)
class Content:
    """A Keras model as its formats hold it.

    Attributes:
        tree: the model's node, with `compile_config` where it was compiled.
        dialect: ``keras`` for Keras 3, ``tf_keras`` for Keras 2 and tf_keras.
        groups: each group with its attributes, the root under the empty path.
        datasets: each array by its name in the layout.
        metadata: of the file, such as `keras_version`.
        trained: group of an optimizer -> names of the variables that it was built for, in its own order. A source that
            knows them spares the reader the search of B.6.
        implied: group of a layer that the config does not mention -> its name and node, where the source knows it; an
            empty name is that of B.3.
        assets: the parts that belong to the config, such as vocabularies, where it is that of another file.
    """

    tree: dict[str, Json]
    dialect: str
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    datasets: Mapping[str, Stored] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)
    trained: Mapping[str, Sequence[str]] = field(default_factory=dict)
    implied: Callable[[str], tuple[str, Json] | None] = lambda _: None
    assets: dict[str, Blob] = field(default_factory=dict)


@dataclass(slots=True)
class Written:
    """A model in the layout, ready for a format.

    Attributes:
        tree: the model's node, with `compile_config` where it was compiled.
        dialect: as in `Content`.
        groups: each group with its attributes.
        datasets: each array by its name in the layout, in the order of the layout.
    """

    tree: dict[str, Json]
    dialect: str
    groups: dict[str, dict[str, str]]
    datasets: dict[str, Tensor]
