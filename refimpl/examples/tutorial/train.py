"""Trains in Keras for some epochs, from the beginning or from where the file is: python train.py FILE EPOCHS."""

import sys
from pathlib import Path

import keras
from spirals import BATCH, x, y

import etui

path, epochs = sys.argv[1], int(sys.argv[2])
if Path(path).exists():
    model = etui.keras.load(path)
    print("goes on from step", int(model.optimizer.iterations))
else:
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(32, activation="tanh") for _ in range(2)]
    model = keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])

model.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)
loss, accuracy = model.evaluate(x, y, verbose=0)
print(f"step {int(model.optimizer.iterations)}: loss {loss:.2f}, accuracy {accuracy:.2f}")
etui.keras.save(model, path)
