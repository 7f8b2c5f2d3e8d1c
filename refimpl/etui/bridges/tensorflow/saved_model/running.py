"""The program of a SavedModel run by TensorFlow, over the variables of the artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.bridges.tensorflow.saved_model.program import MAIN, Program
from etui.bridges.tensorflow.saved_model.write import write_to_run
from etui.errors import EtuiError, error, shown
from etui.limits import Limits
from etui.model import Model
from etui.storage.remote_spool import scratch_folder


def run(
    model: Model, program: Program, signature: str, inputs: Mapping[str, npt.NDArray[Any]], limits: Limits
) -> dict[str, np.ndarray]:
    """Call one signature once; the folder that TensorFlow needs is written for the time of the call.

    Raises:
        TransferError: ``program-stale``.
        StorageError: ``program-failed``.
    """
    import tensorflow as tf

    with scratch_folder() as scratch:
        write_to_run(model, program, scratch / "model", limits)
        try:
            loaded = tf.saved_model.load(str(scratch / "model"))
            function = loaded.signatures[signature]
            given = {name: tf.constant(array) for name, array in inputs.items()}
            found = {name: np.asarray(tensor) for name, tensor in function(**given).items()}
        except EtuiError:
            raise
        except Exception as cause:  # each op of TensorFlow has errors of its own
            reason = f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
            raise error("program-failed", where=MAIN, found=f"{shown(signature)}: {reason[:300]}") from cause
    return dict(sorted(found.items()))
