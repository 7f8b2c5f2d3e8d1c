"""How long the viewer takes to show a model: from the start of loading to the first picture.

    python refimpl/benchmarks/viewer.py [--rounds N]

Makes pages of a MobileNet with the state of its optimizer and of a model of 10,000 tensors, and opens each in a
headless Chromium, new for every round. It prints the seconds from navigation to the first box of the graph that is
drawn, and of the long table the milliseconds from a jump to the next frame; for comparison, the same for an empty page.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FIRST_BOX = """() => new Promise((resolve) => {
  const done = () => resolve(performance.now());
  const look = () => requestAnimationFrame(document.querySelector('.node') ? done : look);
  look();
})"""
JUMPS = """async () => {
  const grid = document.querySelector('.grid');
  const times = [];
  for (let jump = 0; jump < 100; jump += 1) {
    const start = performance.now();
    grid.scrollTop += 300;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    times.push(performance.now() - start);
  }
  return times;
}"""


def pages(folder: Path) -> dict[str, Path]:
    """The pages that are opened."""
    import etui
    from etui.testing import view_models

    keras: Any = import_module("keras")
    mobilenet = keras.applications.MobileNet(weights=None)
    mobilenet.compile("adam", "categorical_crossentropy")
    mobilenet.optimizer.build(mobilenet.trainable_variables)
    models = {"MobileNet": mobilenet, "10,000 tensors": view_models.chain(5000)}
    found = {}
    for name, model in models.items():
        found[name] = folder / f"{name.split()[0].strip(',').replace(',', '')}.html"
        etui.view(model, html=found[name], browser=False)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    playwright: Any = import_module("playwright.sync_api")
    browser_path = os.environ.get("ETUI_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as name, playwright.sync_playwright() as started:
        empty = Path(name) / "empty.html"
        empty.write_text('<!doctype html><div class="node"></div>', encoding="utf-8")
        for title, page_path in {"an empty page": empty, **pages(Path(name))}.items():
            seconds, jumps = [], []
            for _ in range(options.rounds):
                browser = started.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto(page_path.as_uri(), wait_until="commit")
                seconds.append(page.evaluate(FIRST_BOX) / 1000)
                if title.startswith("10,000"):
                    page.click("#tab-tensors")
                    page.wait_for_selector(".grid .row")
                    jumps += page.evaluate(JUMPS)
                browser.close()
            span = f"{min(seconds):.2f}-{max(seconds):.2f}"
            print(f"{title}: first picture after {statistics.median(seconds):.2f} s ({span})")
            if jumps:
                slow = sorted(jumps)[int(0.95 * len(jumps))]
                middle = statistics.median(jumps)
                print(f"{title}: a jump in the table takes {middle:.0f} ms, 95 in 100 at most {slow:.0f} ms")


if __name__ == "__main__":
    main()
