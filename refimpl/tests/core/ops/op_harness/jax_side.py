"""What the JAX bridge makes of a case: the function of its model, applied to its inputs."""

# mypy: disable-error-code="misc, no-untyped-call"
# (JAX is seen as Any.)

from __future__ import annotations

from typing import Any

import numpy as np

from etui.jax import to_function

from .case import Case


def compute(case: Case) -> list[Any]:
    """The outputs of the case, flattened."""
    function = to_function(case.model())
    found = function.apply(function.params, *case.arrays().values(), training=case.training)
    found = found[0] if case.training else found
    outputs = list(found) if isinstance(found, list | tuple) else [found]
    return [np.asarray(output) for output in outputs]
