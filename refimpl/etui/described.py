"""What a model's documents say of the tensors in a data part: enough to compute the part's header (SPEC.md RM-4)."""

from __future__ import annotations

from collections.abc import Collection

from etui.containers.pieces import Stored
from etui.garbage import no_garbage
from etui.model import Model
from etui.storage.safetensors import TensorSpec


class Described:
    """Dtypes and shapes of the stored tensors of a model, by data part.

    Args:
        model: as it was opened. If it is changed, what it says does not have the digest of the part's header any more.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._all: dict[str, list[TensorSpec]] | None = None

    def __call__(self, part: str, names: Collection[str]) -> list[TensorSpec]:
        """The tensors of a part.

        Args:
            part: the data part.
            names: of the tensors in it, as the documents' chunks name them.
        """
        found = self._plain(part, names) if self._all is None else None
        if found is None:
            found = self._everything().get(part, [])
        return found

    def _plain(self, part: str, names: Collection[str]) -> list[TensorSpec] | None:
        """The same without a look at other parts, where each tensor is a variable of its name in one chunk."""
        weights, found = self._model.weights, []
        for name in names:
            pieces = weights[name].tensor.pieces if weights is not None and weights.has_variable(name) else ()
            source = pieces[0].source if len(pieces) == 1 else None
            if not isinstance(source, Stored) or (source.chunk.part, source.chunk.tensor) != (part, name):
                return None
            found.append(TensorSpec(name, source.dtype, source.shape))
        return found

    @no_garbage()
    def _everything(self) -> dict[str, list[TensorSpec]]:
        if self._all is None:
            self._all = {}
            for _, _, tensor in self._model.stored_tensors():
                for _, plain in tensor.physical(""):
                    for _, shape, source in plain.pieces:
                        if isinstance(source, Stored):
                            spec = TensorSpec(source.chunk.tensor, plain.dtype, shape)
                            self._all.setdefault(source.chunk.part, []).append(spec)
        return self._all
