"""Makes the small files beside this script with TensorFlow and tf_keras: `python make_files.py folder`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras


class Thing(tf.Module):  # type: ignore[misc]
    """Variables of many dtypes, in a list, a map, under two names, and in a cycle."""

    def __init__(self) -> None:
        self.w = tf.Variable(np.arange(6, dtype="float32").reshape(2, 3))
        self.listed = [tf.Variable(7, dtype=tf.int64), tf.Variable([True, False])]
        self.mapped = {
            "a": tf.Variable(tf.cast([1.5, 2], tf.bfloat16)),
            "b/c": tf.Variable([1 + 2j], dtype=tf.complex64),
        }
        self.text = tf.Variable(["x", "yy", b"\x00z\x00"])
        self.again = self
        self.same = self.w
        self.half = tf.Variable([1, 2], dtype=tf.float16)


def objects(folder: Path) -> None:
    """A checkpoint of objects, with an iterator and a counter."""
    iterator = iter(tf.data.Dataset.range(5))
    next(iterator)
    tf.train.Checkpoint(thing=Thing(), step=tf.Variable(3), it=iterator).save(str(folder / "ckpt"))


def legacy(folder: Path) -> None:
    """Weights of a model of tf_keras with an optimizer that has slot references."""
    model = tf_keras.Sequential([tf_keras.layers.Input((2,)), tf_keras.layers.Dense(2, name="d")])
    model.set_weights([np.arange(4, dtype="float32").reshape(2, 2), np.ones(2, "float32")])
    model.compile(tf_keras.optimizers.legacy.Adam(0.5), "mse", run_eagerly=True)
    model.train_on_batch(np.ones((1, 2), "float32"), np.zeros((1, 2), "float32"))
    model.save_weights(str(folder / "ckpt"))


def names(folder: Path) -> None:
    """A checkpoint of names in two shards, with a partitioned variable."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        with tf.device("/cpu:0"):
            values = np.arange(30, dtype="float32").reshape(10, 3)

            def part(shape, dtype, partition_info):  # type: ignore[no-untyped-def]
                begin = partition_info.var_offset[0]
                return tf.constant(values[begin : begin + shape[0]], dtype)

            v1.get_variable("part", [10, 3], partitioner=v1.fixed_size_partitioner(3), initializer=part)
        with tf.device("/cpu:1"):
            v1.get_variable("scope/w", initializer=np.arange(4, dtype="int32"))
        with v1.Session(config=v1.ConfigProto(device_count={"CPU": 2})) as session:
            session.run(v1.global_variables_initializer())
            v1.train.Saver(sharded=True).save(session, str(folder / "model"), global_step=5)


if __name__ == "__main__":
    for make in (objects, legacy, names):
        place = Path(sys.argv[1]) / make.__name__
        place.mkdir(parents=True, exist_ok=True)
        make(place)
