"""Judge of what torch exports: taken in beside the module's own variables, it gives what the module gives.

    python judge_torch.py FOLDER 0|1      with the exporter by tracing, or that of torch.export

Prints JSON: {"variables": those that an initializer is, "parts": of the program, "difference": the largest}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import etui


class Net(torch.nn.Module):  # type: ignore[misc]  # torch is seen as Any
    """Layers whose kernels torch has in another order than the vocabulary."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.hidden = torch.nn.Linear(8, 8)
        self.words = torch.nn.Embedding(600, 8)
        self.last = torch.nn.Linear(8, 4)

    def forward(self, x: Any, i: Any) -> Any:
        """Scores of an image and a word."""
        h = torch.relu(self.conv(x)).mean((2, 3))
        return self.last(torch.nn.functional.gelu(self.hidden(h)) + self.words(i))


def main(folder: str, dynamo: str) -> None:
    """Judge one exporter; files are written below the folder."""
    torch.backends.mkldnn.enabled = False
    torch.manual_seed(0)
    net, x, i = Net().eval(), torch.randn(2, 3, 8, 8), torch.tensor([3, 5])
    wanted = net(x, i).detach().numpy()
    place, exported = Path(folder) / "model.etui", Path(folder) / "model.onnx"
    etui.save(etui.torch.capture(net, None, example=(x, i)), place)
    torch.onnx.export(net, (x, i), str(exported), dynamo=dynamo == "1", verbose=False)
    report = etui.Report()
    etui.onnx.add(place, exported, report=report)
    model = etui.open(place)
    session = etui.onnx.session(model)
    given = dict(zip([one.name for one in session.get_inputs()], [x.numpy(), i.numpy()], strict=True))
    found = {
        "variables": sorted(entry.subject for entry in report.entries if entry.kind == "variable"),
        "parts": sorted(model.programs),
        "difference": float(np.abs(session.run(None, given)[0] - wanted).max()),
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
