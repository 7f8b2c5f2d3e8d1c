"""What holds for every test: Hypothesis is repeatable in CI, and frameworks keep quiet."""

import os

from hypothesis import settings

# Slow machines are no bug, so no example has a deadline; CI draws the same examples on every run.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# TensorFlow's native log would hide what the tests say; the setting counts only before its first import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
