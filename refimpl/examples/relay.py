"""A relay of frameworks: train in Keras, resume in PyTorch, go on in JAX, and finish in Keras.

    python refimpl/examples/relay.py [--out FOLDER] [--steps N] [--task NAME ...]

Two models are trained: without interruption in Keras, and as a relay in which each framework takes the etui of the one
before and hands its own on. The losses of both runs are printed side by side and drawn over each other (relay.png and
relay.svg). The exit code is 1 if the relay strays from the uninterrupted run by more than BOUND.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from relay_models import TASKS

HERE = Path(__file__).parent
LEGS = ("keras", "torch", "jax", "keras")
COLOURS = {"keras": "#b2182b", "torch": "#e08214", "jax": "#2166ac"}
TITLES = {"keras": "Keras", "torch": "PyTorch", "jax": "JAX"}
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
# Largest relative difference of a loss, in float32, over the whole relay.
BOUND = 1e-4


@dataclass(frozen=True)
class Race:
    """The losses of one model: of the uninterrupted run, and of the relay."""

    task: str
    alone: np.ndarray
    relay: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """The relative differences of the losses, step by step."""
        return np.asarray(np.abs(self.relay - self.alone) / np.abs(self.alone))


def run_leg(framework: str, task: str, steps: range, source: str, target: Path) -> np.ndarray:
    """The losses of one leg, which runs in a process of its own."""
    losses = target.with_suffix(".json")
    command = [sys.executable, HERE / "relay_leg.py", framework, task, steps.start, steps.stop, source, target, losses]
    environment = {"KERAS_BACKEND": "jax", **dict.fromkeys(THREADS, "1"), **os.environ}
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{framework} failed:\n{done.stderr}")
    return np.array(json.loads(losses.read_text())["losses"])


def race(task: str, steps: int, folder: Path) -> Race:
    """Both runs of a model; each leg of the relay has `steps` steps."""
    print(f"\n# {TASKS[task].title}: {len(LEGS)} x {steps} steps")
    alone = run_leg("keras", task, range(len(LEGS) * steps), "-", folder / f"{task}-alone.etui")
    found, source = [], "-"
    for leg, framework in enumerate(LEGS):
        part = range(leg * steps, (leg + 1) * steps)
        target = folder / f"{task}-{leg + 1}-{framework}.etui"
        found.append(run_leg(framework, task, part, source, target))
        source = str(target)
        gap = np.max(np.abs(found[-1] - alone[part]) / np.abs(alone[part]))
        size = target.stat().st_size
        print(
            f"  {framework:6}steps {part.start:3}-{part.stop - 1:<3} loss {found[-1][0]:.4f} -> {found[-1][-1]:.4f}"
            f"   largest difference {gap:.1e}   {target.name} ({size:,} bytes)"
        )
    return Race(task, alone, np.concatenate(found))


def draw(races: list[Race], steps: int, folder: Path) -> None:
    """The loss curves, each leg in its framework's colour, over the uninterrupted run; below, the difference."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    mpl.rcParams |= {"svg.hashsalt": "etui", "font.size": 9}
    figure, axes = plt.subplots(
        2, len(races), figsize=(5 * len(races), 5), sharex="col", height_ratios=(2, 1), squeeze=False
    )
    for column, one in enumerate(races):
        curve, gap = axes[0, column], axes[1, column]
        curve.plot(one.alone, color="#bbbbbb", linewidth=5, label="Keras, uninterrupted")
        for leg, framework in enumerate(LEGS):
            at = np.arange(leg * steps, (leg + 1) * steps)
            label = TITLES[framework] if framework not in LEGS[:leg] else None
            curve.plot(at, one.relay[at], color=COLOURS[framework], linewidth=1.5, label=label)
            gap.semilogy(at, np.maximum(one.gaps[at], 1e-9), ".-", color=COLOURS[framework], linewidth=1)
        curve.set_title(TASKS[one.task].title)
        curve.set_ylabel("loss")
        curve.legend(frameon=False)
        gap.set_ylabel("relative difference")
        gap.set_xlabel("step")
        gap.set_ylim(1e-9, 1e-2)
        gap.axhline(BOUND, color="#bbbbbb", linestyle=":")
    figure.tight_layout()
    for suffix in ("png", "svg"):
        figure.savefig(folder / f"relay.{suffix}", dpi=150, metadata={"Date": None} if suffix == "svg" else None)
    plt.close(figure)


def main() -> int:
    """Run the relay; the exit code is 1 if a curve strays."""
    parser = argparse.ArgumentParser(description="Train in Keras, resume in PyTorch, go on in JAX, finish in Keras.")
    parser.add_argument("--out", type=Path, help="folder for the etuis and the picture (a temporary one)")
    parser.add_argument("--steps", type=int, default=15, help="steps of each leg (15)")
    parser.add_argument("--task", choices=sorted(TASKS), nargs="*", help="the models (all)")
    given = parser.parse_args()
    folder = given.out or Path(tempfile.mkdtemp(prefix="etui-relay-"))
    folder.mkdir(parents=True, exist_ok=True)
    races = [race(task, given.steps, folder) for task in given.task or TASKS]
    draw(races, given.steps, folder)
    print(f"\nThe picture: {folder / 'relay.png'} and {folder / 'relay.svg'}")
    strays = [one for one in races if not np.max(one.gaps) <= BOUND]
    for one in races:
        verdict = "STRAYS" if one in strays else "as one"
        print(f"{TASKS[one.task].title}: largest relative difference of a loss {np.max(one.gaps):.1e}: {verdict}")
    return 1 if strays else 0


if __name__ == "__main__":
    sys.exit(main())
