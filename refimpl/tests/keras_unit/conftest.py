"""A kit that makes small `.keras` files without Keras, and checks the way through the bridge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etui.model import Model
from etui.testing import keras_files

Json = Any


class Kit(keras_files.Kit):
    """Makes and reads `.keras` files in one folder."""

    def round_trip(self, tree: Json, arrays: dict[str, Any] | None = None, **options: Any) -> Model:
        """Read an archive without its native documents, write it, and check that nothing in it changed."""
        path = self.write(tree, arrays, **options)
        model = self.read(path, native=False)
        one, two = self.content(path), self.content(self.back(model))
        assert two["config"] == one["config"]
        assert json.dumps(two["config"], sort_keys=True) == json.dumps(one["config"], sort_keys=True)
        assert two["weights"] == one["weights"]
        return model


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """Makes and reads small `.keras` files."""
    return Kit(tmp_path)
