"""Raw data as numbers, and steps that are none (SPEC.md J.12)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from etui.bridges.torch.layers.registry import Spec, floating, layer, shown_attrs
from etui.bridges.torch.layers.shaping import Shaping
from etui.errors import error

_MATRIX = 2


class Rescale(Shaping):
    """A factor and an offset; lists lie along the last axes."""

    scale: Any
    offset: Any

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x · scale + offset`."""
        x = floating(x)
        scale, offset = (
            values if isinstance(values, float) else torch.tensor(values, dtype=x.dtype, device=x.device)
            for values in (self.scale, self.offset)
        )
        return x * scale + offset


@layer("rescale")
def rescale(spec: Spec) -> nn.Module:
    """A class of its own, without variables."""
    return Rescale(spec, "scale", "offset")


class Masking(Shaping):
    """Steps that have one value only are masked, and become zero."""

    mask_value: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor with zeros at masked steps."""
        return torch.where(self.make_mask(x).unsqueeze(-1), x, torch.zeros_like(x))

    def make_mask(self, x: torch.Tensor, *_: Any) -> torch.Tensor:
        """The steps that have another value."""
        return (x != self.mask_value).any(dim=-1)


@layer("masking")
def masking(spec: Spec) -> nn.Module:
    """A class of its own, without variables."""
    return Masking(spec, "mask_value")


class Lookup(nn.Module):
    """The index of each term, or the term at each index; terms are integers, for torch has no strings."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.invert, self.unknown_index = spec["invert"], 0 if spec["mask_token"] is None else 1
        self.knows_all = spec["num_oov_indices"] > 0
        head = [] if spec["mask_token"] is None else [spec["mask_token"]]
        terms = [*head, *[spec["oov_token"]] * spec["num_oov_indices"], *spec["vocabulary"]]
        self.unknown_term = spec["oov_token"]
        self.vocabulary_size = len(spec["vocabulary"])
        places = {term: place for place, term in enumerate(terms) if place >= len(terms) - self.vocabulary_size}
        places |= {} if spec["mask_token"] is None else {spec["mask_token"]: 0}
        found = sorted(places.items())
        self.keys = torch.tensor([term for term, _ in found], dtype=torch.int64)
        self.places = torch.tensor([place for _, place in found], dtype=torch.int64)
        self.terms = torch.tensor([0 if term is None else term for term in terms], dtype=torch.int64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Look up."""
        x = x.long()
        if self.invert:
            terms = self.terms.to(x.device)
            inside = (x >= 0) & (x < len(terms))
            unknown = torch.full_like(x, 0 if self.unknown_term is None else self.unknown_term)
            return torch.where(inside, terms[x.clamp(0, len(terms) - 1)], unknown)
        keys, places = self.keys.to(x.device), self.places.to(x.device)
        rows = torch.searchsorted(keys, x).clamp(max=len(keys) - 1)
        known = keys[rows] == x
        if not self.knows_all and not bool(known.all()):
            raise error("torch-call", found="a term that is not in the vocabulary")
        return torch.where(known, places[rows], torch.full_like(x, self.unknown_index))

    def extra_repr(self) -> str:
        """The number of terms."""
        return shown_attrs(terms=self.vocabulary_size, invert=self.invert or None)


@layer("lookup")
def lookup(spec: Spec) -> nn.Module:
    """A class of its own for integers; strings are refused."""
    tokens = [spec["oov_token"], spec["mask_token"], *spec["vocabulary"]]
    if any(isinstance(term, str) for term in tokens):
        hint = "torch has no tensors of strings: look terms up before the model, and cut it after this layer."
        raise error("torch-op", where=spec.path, found="core:lookup of strings", hint=hint)
    if not spec["vocabulary"]:
        spec.refuse("vocabulary", "Give the layer its terms.")
    return Lookup(spec)


class OneHot(Shaping):
    """Indices as vectors of 0 and 1, or their sums for each sample."""

    num_tokens: int
    output_mode: str

    def forward(self, x: torch.Tensor, count_weights: torch.Tensor | None = None) -> torch.Tensor:
        """Encode; an index outside of the range is the vector of zeros.

        Args:
            x: the indices.
            count_weights: of each index, for the mode `count`.
        """
        if self.output_mode == "one_hot":
            return self._vectors(x[..., 0] if x.dim() >= _MATRIX and x.shape[-1] == 1 else x)
        vectors = self._vectors(x)
        if self.output_mode == "count":
            return (vectors if count_weights is None else vectors * count_weights.unsqueeze(-1)).sum(dim=-2)
        return vectors.amax(dim=-2)

    def _vectors(self, x: torch.Tensor) -> torch.Tensor:
        places = torch.arange(self.num_tokens, device=x.device)
        return (x.unsqueeze(-1) == places).to(torch.get_default_dtype())


@layer("one_hot")
def one_hot(spec: Spec) -> nn.Module:
    """A class of its own, without variables."""
    return OneHot(spec, "num_tokens", "output_mode")


class Discretize(Shaping):
    """The number of boundaries that are less than or equal to each element."""

    boundaries: list[float]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Count."""
        dtype = x.dtype if x.is_floating_point() else torch.float64
        boundaries = torch.tensor(self.boundaries, dtype=dtype, device=x.device)
        return torch.bucketize(x.to(dtype), boundaries, right=True)


@layer("discretize")
def discretize(spec: Spec) -> nn.Module:
    """A class of its own, without variables."""
    return Discretize(spec, "boundaries")
