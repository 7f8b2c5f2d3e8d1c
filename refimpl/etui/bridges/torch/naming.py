"""Names of torch modules: the model's own, where Python lets an attribute have them."""

from __future__ import annotations

import keyword
import re

from torch import nn

_OTHER = re.compile(r"\W", re.ASCII)


def free_name(parent: nn.Module, name: str) -> str:
    """A name for a child that is an identifier, and that the parent has no attribute or child of yet.

    Args:
        parent: who gets the child.
        name: of the module in the config; what no identifier has becomes `_`, and `_` or `_1` and so on is put after
            a name that is taken.
    """
    plain = _OTHER.sub("_", name)
    if not plain or plain[0].isdigit():
        plain = f"_{plain}"
    if keyword.iskeyword(plain) or (hasattr(parent, plain) and plain not in dict(parent.named_children())):
        plain = f"{plain}_"
    found, number = plain, 0
    while hasattr(parent, found):
        number += 1
        found = f"{plain}_{number}"
    return found
