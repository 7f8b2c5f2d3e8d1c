"""Run the scenarios in one process of one framework and write what became of each.

ETUI_TEST_FRAMEWORK=keras KERAS_BACKEND=jax python run_scenarios.py FOLDER RESULT.json [NAME...]
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_name] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

scenarios: Any = import_module("scenarios")
moments: Any = import_module("scenarios.moments")
FRAMEWORK, k = (getattr(import_module("scenarios.base"), name) for name in ("FRAMEWORK", "k"))

SEED = 20261
# A part of what each framework saves.
LEAST_SAVED = 20


def main(arguments: list[str]) -> int:
    """Run all scenarios, or the named ones."""
    folder, result, *only = arguments
    if FRAMEWORK == "keras" and k.backend.backend() == "torch":
        import torch

        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
    k.utils.disable_interactive_logging()
    outcome: dict[str, dict[str, object]] = {}
    saved = 0
    once = FRAMEWORK == "tf_keras" or k.backend.backend() == "torch" or bool(only)
    for name, scenario in scenarios.all_scenarios(once=once).items():
        if only and name not in only:
            continue
        k.utils.set_random_seed(SEED)
        place = Path(folder, name)
        place.mkdir(parents=True)
        start = time.process_time()
        fault = ""
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            try:
                with moments.watched() as written:
                    scenario(place)
                saved += len(written)
            except BaseException:
                fault = traceback.format_exc()
        outcome[name] = {"fault": fault, "seconds": round(time.process_time() - start, 2)}
    fault = "" if saved > LEAST_SAVED or only else f"{saved} saves were watched"
    outcome["every_save_is_that_of_a_moment"] = {"fault": fault, "seconds": 0}
    Path(result).write_text(json.dumps(outcome, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
