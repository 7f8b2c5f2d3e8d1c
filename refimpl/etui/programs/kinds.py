"""The kinds of programs: by media type, each in a module that is imported when it is first used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from etui.errors import error, shown
from etui.limits import Limits
from etui.model import Blob, Model
from etui.programs.facts import Facts
from etui.report import Report

Arrays = Mapping[str, npt.NDArray[Any]]
StrPath = str | os.PathLike[str]


class Translator(Protocol):
    """What the module of a kind offers. `name` is that of the program's folder below ``programs/``."""

    def facts(self, model: Model, name: str, limits: Limits) -> Facts:
        """What the program says of itself; nothing is run, and no framework is needed.

        Raises:
            RejectError: it is not in the form of its kind.
        """

    def check_installed(self) -> None:
        """Make sure that a program of the kind can be run here.

        Raises:
            MissingExtraError: something is not installed.
        """

    def run(self, model: Model, name: str, signature: str, inputs: Arrays, limits: Limits) -> dict[str, np.ndarray]:
        """Run the program once, in this process.

        Args:
            model: has the program and the weights.
            name: of the program.
            signature: one of those that `facts` names.
            inputs: an array for each input that is given, of its dtype and shape; texts are arrays of objects.
            limits: of what is decoded.

        Returns:
            The outputs by name, in their order.

        Raises:
            EtuiError: ``program-failed``; it cannot be loaded or run.
        """


class Maker(Protocol):
    """What the module of a kind offers whose programs can be made of a model."""

    def make(
        self, model: Model, name: str, options: Mapping[str, Any], report: Report, limits: Limits
    ) -> dict[str, Blob]:
        """The parts, below ``programs/<name>/``, of a program that computes what the model does."""


class Taker(Protocol):
    """What the module of a kind offers whose programs other software writes as files."""

    def take(self, model: Model, name: str, source: StrPath, report: Report, limits: Limits) -> dict[str, Blob]:
        """The parts, below ``programs/<name>/``, of a program that a file of other software holds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of program.

    Attributes:
        name: as commands have it.
        title: for people.
        media_type: of the part ``main`` of its programs.
        module: that knows them; see `Translator`, `Maker` and `Taker`.
    """

    name: str
    title: str
    media_type: str
    module: str

    @property
    def translator(self) -> Translator:
        """The module, which is imported now if it was not before."""
        return cast(Translator, import_module(self.module))

    @property
    def maker(self) -> Maker:
        """The module, if programs of the kind can be made of a model.

        Raises:
            UsageError: ``program-kind``.
        """
        return cast(Maker, self._able("make", "programs of this kind come with a model, and are not made of one"))

    @property
    def taker(self) -> Taker:
        """The module, if it takes programs from files.

        Raises:
            UsageError: ``program-kind``.
        """
        return cast(Taker, self._able("take", "programs of this kind are not taken from a file alone"))

    def _able(self, verb: str, why_not: str) -> Any:
        module = import_module(self.module)
        if not hasattr(module, verb):
            raise error("program-kind", found=f"{self.name}: {why_not}")
        return module


# In the order in which `etui.run` tries them.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("onnx", "ONNX", "application/onnx", "etui.bridges.onnx.kind"),
        Kind("stablehlo", "StableHLO of jax.export", "application/vnd.jax.export", "etui.programs.stablehlo"),
        Kind("saved_model", "SavedModel", "application/vnd.tensorflow.saved-model", "etui.programs.saved_model"),
    )
}
"""Every kind by its name."""

_BY_MEDIA_TYPE = {kind.media_type: kind for kind in KINDS.values()}


def by_name(name: str) -> Kind:
    """The kind of that name.

    Raises:
        UsageError: ``program-kind``.
    """
    if name not in KINDS:
        raise error("program-kind", found=shown(name), hint=f"Kinds: {', '.join(KINDS)}.")
    return KINDS[name]


def by_media_type(media_type: str) -> Kind | None:
    """The kind whose programs have a ``main`` of that media type, if one has."""
    return _BY_MEDIA_TYPE.get(media_type)
