# ruff: noqa: T201
"""Judge what a framework makes of drawn cases of every core op, in a process of its own, and count the cases.

    python run_judge.py SIDE [RESULT.json] [OP...]

SIDE is keras (with TensorFlow), keras_jax, torch, jax or onnx. Prints a table of the cases of each op; the exit code is
1 if one was judged wrong.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax" if sys.argv[1:2] == ["keras_jax"] else "tensorflow"
for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_name] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["JAX_ENABLE_X64"] = "0" if sys.argv[1:2] == ["keras_jax"] else "1"
os.environ["XLA_FLAGS"] = (  # one thread; and compiling costs these small programs more than running does
    "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
sys.path.insert(0, str(Path(__file__).parent))

judging: Any = import_module("op_harness.judging")  # found beside this script


def main(arguments: list[str]) -> int:
    """Judge the ops, all unless some are named."""
    side, *rest = arguments
    result = Path(rest.pop(0)) if rest and rest[0].endswith(".json") else None
    warnings.simplefilter("ignore")
    verdicts = {}
    for op in rest or judging.every_op():
        if op not in judging.NOT_JUDGED[side]:
            verdicts[op] = asdict(judging.judge(side, op))
    print(table(side, verdicts))
    if result is not None:
        result.write_text(json.dumps(verdicts, indent=1))
        return 0
    faults = {op: verdict["fault"] for op, verdict in verdicts.items() if verdict["fault"]}
    for op, fault in faults.items():
        print(f"\n{op}: {fault}")
    return 1 if faults else 0


def table(side: str, verdicts: dict[str, dict[str, Any]]) -> str:
    """A line for each op: its cases by dtype and the largest relative difference in each."""
    lines = [f"{'op':24} {'cases':>5}  of {side}, with the largest relative difference by dtype"]
    for op, verdict in verdicts.items():
        worst = "  ".join(f"{dtype} {count} {verdict['worst'][dtype]:.1e}" for dtype, count in verdict["cases"].items())
        wrong = "  WRONG" if verdict["fault"] else ""
        lines.append(f"{op:24} {sum(verdict['cases'].values()):5}  {worst}{wrong}  {verdict['seconds']:.1f} s")
    total = sum(sum(verdict["cases"].values()) for verdict in verdicts.values())
    lines.append(
        f"{len(verdicts)} ops, {total} cases, {sum(verdict['seconds'] for verdict in verdicts.values()):.0f} s"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
