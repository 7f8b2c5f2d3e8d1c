"""Profiles of conformance (SPEC.md, annex P.4): what an implementation must be able to do, and pass, to have a name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from etui_conformance.protocol.messages import AREAS, DTYPES, FEATURES, FORMS, OPS, PLAIN_DTYPES

_FORMAT: Final = "format:"
_OWN_FORMS: Final = tuple(form for form in FORMS if form != "series")


@dataclass(frozen=True, slots=True)
class Profile:
    """What an adapter must name in its hello, and pass every check of.

    Attributes:
        name: of the profile.
        capabilities: as `Hello.capabilities` has them.
    """

    name: str
    capabilities: frozenset[str]

    def lacking(self, capabilities: Iterable[str]) -> tuple[str, ...]:
        """What a set of capabilities has not that the profile needs."""
        return tuple(sorted(self.capabilities.difference(capabilities)))

    def covers(self, needs: Iterable[str]) -> bool:
        """Whether a check with these needs belongs to the profile; foreign formats belong to those that convert."""
        return all(
            need in self.capabilities or (need.startswith(_FORMAT) and "convert" in self.capabilities) for need in needs
        )


def _profile(
    name: str,
    ops: Iterable[str],
    *,
    areas: Iterable[str] = AREAS,
    forms: Iterable[str] = _OWN_FORMS,
    features: Iterable[str] = FEATURES,
    dtypes: Iterable[str] = DTYPES,
) -> Profile:
    marked = (*(f"feature:{each}" for each in features), *(f"dtype:{each}" for each in dtypes))
    return Profile(name, frozenset((*ops, *areas, *forms, *marked)))


def _plain(name: str, ops: Iterable[str], areas: Iterable[str]) -> Profile:
    """A profile of the packed form, of no features, and of the dtypes that need no encoding."""
    return _profile(name, ops, areas=areas, forms=("packed",), features=(), dtypes=PLAIN_DTYPES)


PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        _plain("weights-reader", ("decode",), ("weights",)),
        _profile("reader", ("decode",)),
        _profile("verifier", ("decode", "validate")),
        _profile("writer", ("decode", "encode")),
        _profile("rewriter", ("decode", "transcode")),
        _plain("training", ("decode", "encode"), ("weights", "training", "optimizer", "state")),
        _plain("core-evaluator", ("decode", "evaluate"), ("config", "weights")),
        _plain(
            "core-trainer", ("decode", "evaluate", "step", "compute"), ("config", "weights", "training", "optimizer")
        ),
        _plain("bridge", ("decode", "convert"), ("config", "weights")),
        _profile("series", ("decode", "validate", "encode"), forms=FORMS),
        _profile("full", tuple(op for op in OPS if op != "convert")),
    )
}
