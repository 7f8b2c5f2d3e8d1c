"""How notebooks come to show the objects of Etui."""

from __future__ import annotations

from importlib import import_module


class InNotebooks:
    """Notebooks show such an object as `etui.viewing.notebook` draws it."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """For notebooks."""
        # By its name: what draws stands above all that it draws, and most programs never load it.
        html: str = import_module("etui.viewing.notebook").html_of(self)
        return html
