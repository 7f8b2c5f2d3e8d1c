"""Keras: train with `fit`, save steps of a series beside it, and go on where the last run ended, however it ended.

python keras_fit_resume.py FOLDER [--epochs N]

The series has what `fit` does not: how many epochs and batches were done, and the state of the random generators.
"""

import argparse

import keras
import numpy as np

import etui
from etui.checkpoints import Retention

BATCH = 16
X = np.random.default_rng(1).normal(size=(320, 8)).astype("float32")
Y = X @ np.random.default_rng(2).normal(size=(8, 1)).astype("float32")


def make_model() -> keras.Model:
    """A small model with dropout, compiled."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(32, activation="relu"), keras.layers.Dropout(0.2, seed=1), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((8,)), *layers])
    model.compile(optimizer="adam", loss="mse")
    return model


def data(epoch: int, done: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of an epoch in its own order, without those of the batches that were trained on before."""
    order = np.random.default_rng(epoch).permutation(len(X))[done * BATCH :]
    return X[order], Y[order]


parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--epochs", type=int, default=4)
options = parser.parse_args()

checkpoint = etui.keras.SeriesCheckpoint(options.folder, save_freq=5, keep=Retention(last=2))
resumed = checkpoint.resume()
if resumed is None:
    print("begins")
    model, epoch, done = make_model(), 0, 0
else:
    print(f"goes on from step {checkpoint.step}")
    model, epoch, done = resumed.model, resumed.initial_epoch, resumed.batch
while epoch < options.epochs:
    # One epoch at a time, so that its order is known, and that it can begin in its middle.
    x, y = data(epoch, done)
    model.fit(
        x,
        y,
        batch_size=BATCH,
        initial_epoch=epoch,
        epochs=epoch + 1,
        shuffle=False,
        verbose=0,
        callbacks=[checkpoint],
    )
    epoch, done = epoch + 1, 0
print(f"done at step {checkpoint.step}")
