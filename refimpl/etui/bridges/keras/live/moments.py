"""Moments of a live model, for a save beside its training (SPEC.md, annex R.2).

To look at a model is to ask its framework for its config, and to walk through its objects; to translate that takes as
long again. A translation asks the model for layers that its config does not mention, and it may refuse. So the first
moment of a model is translated at once. Of the next ones it is known which layers will be asked for: if all that a
translation goes by is the same but for the elements of variables and the learning rate, it is put off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etui.bridges.keras.live import save as live_save
from etui.bridges.keras.live.capture import translated
from etui.bridges.keras.live.look import Look, look
from etui.bridges.keras.patches import Json
from etui.containers.tensors import Tensor
from etui.garbage import no_garbage
from etui.model import Model
from etui.moment import Moment
from etui.report import Report

_RATE = "learning_rate"
# Of which all variables are saved, so that none is copied in vain.
_WHOLE = frozenset({"weights", "optimizer", "state"})


class Moments:
    """Takes moments of live models with the same options, most often of one model.

    Args:
        include: as for `etui.keras.capture`.
    """

    def __init__(self, include: str) -> None:
        self._include = include
        self._asked: tuple[str, ...] = ()
        self._structure = b""

    @no_garbage()
    def of(self, model: Any, target: str, counters: Mapping[str, int], user: Mapping[str, Any]) -> Model | Moment:
        """What a live model is now: an `etui.Model` whose tensors read it, or what becomes one.

        Args:
            model: of Keras 3 or of tf_keras.
            target: where it is saved, for messages.
            counters: as for `etui.keras.capture`.
            user: as for `etui.keras.capture`.

        Raises:
            UsageError: ``live-model``; ``live-checkpoint``, a counter that is none.
            TransferError: ``live-unbuilt``; ``live-config``; ``not-complete``.
        """
        report = Report()
        framework, kept = live_save.required(model, self._include, target, report)
        seen = look(framework, model, need_config="config" in kept)
        options = live_save.Options(kept, live_save.counted(counters), user)
        for group in self._asked:
            seen.implied(group)
        if kept >= _WHOLE and self._structure == _structure(seen):
            return _Kept(seen, options, report)
        seen.asked.clear()
        made = live_save.finished(translated(seen), options, report)
        self._asked, self._structure = tuple(seen.asked), _structure(seen)
        return made


@dataclass(frozen=True, slots=True)
class _Kept(Moment):
    """A look at a model of which the one before was translated."""

    seen: Look
    options: live_save.Options
    report: Report

    def changing(self) -> tuple[dict[int, Tensor], dict[str, Any]]:
        """The elements of variables, and the caller's values."""
        return self.seen.changing(), dict(self.options.user)

    @no_garbage()
    def model(self, held: tuple[dict[int, Tensor], dict[str, Any]]) -> Model:
        """See `Moment`."""
        tensors, user = held
        options = live_save.Options(self.options.kept, self.options.counters, user)
        return live_save.finished(translated(self.seen.with_copies(tensors)), options, self.report)


def _structure(seen: Look) -> bytes:
    """A digest of all that a translation goes by but for the elements of variables and the learning rate."""
    entries = {
        name: [seen.framework.dtype(one), [int(size) for size in one.shape]]
        for name, one in seen.tree.entries().items()
    }
    facts = [_without_rate(seen.node), seen.groups, entries, seen.trained, seen.asked]
    return hashlib.sha256(json.dumps(facts).encode()).digest()


def _without_rate(node: Json) -> Json:
    """The config of a model, but for the number that the optimizer has as its learning rate."""
    compiled = node.get("compile_config") if isinstance(node, dict) else None
    if not isinstance(node, dict) or not isinstance(compiled, dict):
        return node
    return node | {"compile_config": compiled | {"optimizer": _rateless(compiled.get("optimizer"))}}


def _rateless(node: Json) -> Json:
    config = node.get("config") if isinstance(node, dict) else None
    if not isinstance(node, dict) or not isinstance(config, dict):
        return node
    changed = {name: _rateless(one) for name, one in config.items() if name == "inner_optimizer"}
    if isinstance(config.get(_RATE), float):
        changed[_RATE] = 0.0
    return node | {"config": config | changed}
