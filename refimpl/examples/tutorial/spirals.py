"""Three spirals that wind around each other: points [960, 2] and, of each, the number of its spiral [960]."""

import numpy as np

BATCH = 64

rng = np.random.default_rng(0)
y = rng.integers(0, 3, 960)
turn = rng.uniform(0, 1, 960)
angle = 2 * np.pi * (y / 3 + 0.8 * turn)
x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1) + rng.normal(0, 0.03, (960, 2))
x = x.astype("float32")
