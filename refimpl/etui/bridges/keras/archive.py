"""The members of a `.keras` archive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from etui.bridges.keras.patches import Json
from etui.errors import EtuiError, error
from etui.storage.zip_foreign import ForeignZip, open_zip

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
ASSETS = "assets/"
NPZ = "model.weights.npz"
FRAMEWORK = "keras"
NATIVE = f"native/{FRAMEWORK}/"


def recognises(path: Path) -> bool:
    """Whether a file is a ZIP archive with the members of a `.keras` file."""
    if not path.is_file():
        return False
    try:
        with open_zip(path) as archive:
            return is_keras(archive.names())
    except EtuiError:
        return False


def is_keras(names: Mapping[str, int]) -> bool:
    """Whether an archive has the members that make it a `.keras` file."""
    return CONFIG in names and (WEIGHTS in names or NPZ in names)


def check_members(archive: ForeignZip) -> None:
    """Refuse an archive without config and weights in HDF5.

    Raises:
        UnsupportedError: ``keras-npz``.
        InvalidError: ``keras-archive``.
    """
    names = archive.names()
    if NPZ in names and WEIGHTS not in names:
        raise error("keras-npz", where=archive.location, found=NPZ)
    if not is_keras(names):
        raise error("keras-archive", where=archive.location, found=f"the members {sorted(names)[:8]}")


def dialect_of(tree: Mapping[str, Json], metadata: Mapping[str, Json]) -> str:
    """``tf_keras`` for files of tf_keras and Keras 2, ``keras`` for those of Keras 3."""
    version = metadata.get("keras_version")
    if isinstance(version, str):
        return "tf_keras" if version.startswith("2.") else "keras"
    return "tf_keras" if str(tree.get("module")).startswith("tf_keras") else "keras"
