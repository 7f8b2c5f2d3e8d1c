"""What something live is now, of which a model is made later."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from etui.model import Model


class Moment(ABC):
    """Something live at one moment: a snapshot copies what may change of it, and the rest can wait."""

    @abstractmethod
    def changing(self) -> Any:
        """What may change: tensors and values in maps and lists."""

    @abstractmethod
    def model(self, held: Any) -> Model:
        """The model, made without a look at what is live.

        Args:
            held: the same as `changing` gave, with copies in the place of what may change.
        """
