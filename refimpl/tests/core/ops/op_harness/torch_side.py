"""What the PyTorch bridge makes of a case: the module of its model, called on its inputs."""

# mypy: disable-error-code="misc, no-untyped-call"
# (Torch is seen as Any.)

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from etui.bridges.torch.arrays import array_of, tensor_of
from etui.bridges.torch.build import to_module

from .case import Case

torch.set_num_threads(1)


def compute(case: Case) -> list[Any]:
    """The outputs of the case, flattened."""
    module = to_module(case.model())
    module.train(case.training)
    inputs = [tensor_of(array) for array in case.arrays().values()]
    with torch.no_grad():
        found = module(*inputs)
    outputs = list(found) if isinstance(found, list | tuple) else [found]
    return [np.asarray(array_of(output)) for output in outputs]
