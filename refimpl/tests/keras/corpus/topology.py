"""Shapes of models: Sequential, Functional with several inputs and outputs, shared layers, nested models, odd names."""

from __future__ import annotations

import keras
from keras import layers

from .registry import Sample, case, classes, fit, numbers


def _tower(name: str, width: int = 6) -> keras.Model:
    inputs = keras.Input((width,), name=f"{name}_in")
    hidden = layers.Dense(5, activation="relu", name=f"{name}_hidden")(inputs)
    return keras.Model(inputs, [layers.Dense(4, name=f"{name}_a")(hidden), hidden], name=name)


@case()
def sequential_with_input() -> Sample:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
    model.compile("adam", "mse", metrics=["mae"])
    return fit(model, numbers(8, 6), numbers(8, 3, seed=3))


@case()
def sequential_without_input() -> Sample:
    model = keras.Sequential([layers.Dense(8, activation="tanh"), layers.Dropout(0.3), layers.Dense(3)], name="late")
    model.compile("sgd", "mse")
    return fit(model, numbers(8, 6), numbers(8, 3, seed=3))


@case()
def sequential_never_built() -> Sample:
    return Sample(keras.Sequential([layers.Dense(4), layers.Dense(2)]), numbers(4, 5))


@case()
def sequential_named_input_with_batch_shape() -> Sample:
    first = keras.Input(batch_shape=(8, 6), name="fixed batch", dtype="float32")
    model = keras.Sequential([first, layers.Dense(3, name="head")])
    model.compile("sgd", "mse")
    return fit(model, numbers(8, 6), numbers(8, 3, seed=3))


@case()
def sequential_nested() -> Sample:
    inner = keras.Sequential([layers.Dense(6, activation="relu"), layers.BatchNormalization()], name="block")
    deeper = keras.Sequential([inner, layers.Dense(5), keras.Sequential([layers.Dense(4)])])
    model = keras.Sequential([keras.Input((6,)), layers.Dense(6), deeper, layers.Dense(1)])
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def functional_lists() -> Sample:
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    joined = layers.Concatenate()([layers.Dense(5)(left), layers.Dense(5)(right)])
    model = keras.Model([left, right], [layers.Dense(2, name="first")(joined), layers.Dense(1, name="second")(joined)])
    model.compile("adam", ["mse", "mae"], loss_weights=[1.0, 0.25], metrics=[["mae"], ["mse"]])
    return fit(model, [numbers(8, 4), numbers(8, 3, seed=5)], [numbers(8, 2, seed=3), numbers(8, 1, seed=4)])


@case()
def functional_dicts() -> Sample:
    inputs = {"zeta": keras.Input((4,), name="z_in"), "alpha": keras.Input((3,), name="a_in")}
    joined = layers.Concatenate()([inputs["alpha"], inputs["zeta"]])
    outputs = {"late": layers.Dense(2, name="late")(joined), "early": layers.Dense(1, name="early")(joined)}
    model = keras.Model(inputs, outputs, name="by_name")
    model.compile("adam", {"late": "mse", "early": "mae"}, metrics={"early": ["mse", "mae"]})
    x = {"zeta": numbers(8, 4), "alpha": numbers(8, 3, seed=5)}
    return fit(model, x, {"late": numbers(8, 2, seed=3), "early": numbers(8, 1, seed=4)})


@case()
def functional_nested_structures() -> Sample:
    one, two, three = keras.Input((3,), name="one"), keras.Input((3,), name="two"), keras.Input((3,), name="three")
    total = layers.Add()([one, two, three])
    outputs = {"pair": [layers.Dense(2, name="p0")(total), layers.Dense(2, name="p1")(total)], "echo": two}
    model = keras.Model([one, {"b": two, "c": three}], outputs)
    return Sample(model, [numbers(4, 3), {"b": numbers(4, 3, seed=5), "c": numbers(4, 3, seed=6)}])


@case()
def functional_one_input_in_a_list() -> Sample:
    inputs = keras.Input((4,), name="only")
    model = keras.Model([inputs], [layers.Dense(2)(inputs)])
    model.compile("rmsprop", "mse")
    return fit(model, [numbers(8, 4)], [numbers(8, 2, seed=3)])


@case()
def functional_shared_layer() -> Sample:
    one, two = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(5, activation="tanh", name="shared")
    again = shared(layers.Dense(4)(shared(one)[:, :4]))
    model = keras.Model([one, two], layers.Dense(1)(layers.Add()([shared(one), shared(two), again])))
    model.compile("adam", "mse")
    return fit(model, [numbers(8, 4), numbers(8, 4, seed=5)], numbers(8, 1, seed=3))


@case()
def functional_nested_models() -> Sample:
    inputs = keras.Input((6,))
    first, hidden = _tower("tower")(inputs)
    head = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2)], name="head")
    model = keras.Model(inputs, [head(first), layers.Dense(1, name="side")(hidden)])
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), [numbers(8, 2, seed=3), numbers(8, 1, seed=4)])


@case()
def functional_nested_shared_twice() -> Sample:
    one, two = keras.Input((6,), name="query"), keras.Input((6,), name="answer")
    tower = _tower("twin")
    (a, ha), (b, hb) = tower(one), tower(two)
    score = layers.Dot(axes=1, normalize=True)([a, b])
    model = keras.Model([one, two], layers.Dense(1)(layers.Concatenate()([score, ha, hb])))
    model.compile("adam", "binary_crossentropy")
    return fit(model, [numbers(8, 6), numbers(8, 6, seed=5)], classes(2, 8, 1))


@case()
def functional_nested_three_deep() -> Sample:
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, layers.Dense(4)(layers.LayerNormalization()(inner_in)), name="inner")
    middle_in = keras.Input((4,))
    middle = keras.Model(middle_in, inner(layers.Dense(4)(middle_in)), name="middle")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1)(middle(middle(inputs))))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    return fit(model, numbers(8, 4), numbers(8, 1, seed=3))


@case()
def functional_part_of_another_model() -> Sample:
    inputs = keras.Input((6,), name="whole_in")
    hidden = layers.Dense(5, activation="relu", name="whole_hidden")(inputs)
    whole = keras.Model(inputs, layers.Dense(2, name="whole_out")(hidden))
    model = keras.Model(whole.input, layers.Dense(1, name="new_head")(whole.get_layer("whole_hidden").output))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


@case()
def merge_layers() -> Sample:
    one, two = keras.Input((4,)), keras.Input((4,))
    pair = [layers.Dense(4)(one), layers.Dense(4)(two)]
    kinds = (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)
    parts = [kind()(pair) for kind in kinds] + [layers.Dot(axes=-1)(pair), layers.Concatenate(axis=1)(pair)]
    model = keras.Model([one, two], layers.Dense(1)(layers.concatenate(parts)))
    model.compile("adam", "mse")
    return fit(model, [numbers(8, 4), numbers(8, 4, seed=5)], numbers(8, 1, seed=3))


@case()
def many_layers_of_one_class() -> Sample:
    inputs = x = keras.Input((4,))
    for index in range(12):
        x = layers.Add()([x, layers.Dense(4, activation="tanh", name=f"step_{11 - index}")(x)])
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse")
    return fit(model, numbers(8, 4), numbers(8, 4, seed=3))


def _crossed_names(third: str) -> Sample:
    inputs = keras.Input((4,), name="in.put")
    x = layers.Dense(4, name="dense_1")(inputs)
    x = layers.Dense(4, name="dense")(x)
    x = layers.Dense(4, name=third)(x)
    model = keras.Model(inputs, layers.Dense(1, name="layers")(x), name="vars")
    model.compile("adam", "mse")
    return fit(model, numbers(8, 4), numbers(8, 1, seed=3))


@case()
def layer_names_that_look_like_paths() -> Sample:
    return _crossed_names("optimizer")


@case(("jax", "torch"), "TensorFlow's name scopes are ASCII")
def layer_names_beyond_ascii() -> Sample:
    return _crossed_names("größe ½ 层")


@case()
def no_weights() -> Sample:
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, layers.Reshape((12,))(layers.Permute((2, 1))(layers.Rescaling(0.5, 1.0)(inputs))))
    return Sample(model, numbers(4, 4, 3))


@case()
def never_compiled() -> Sample:
    inputs = keras.Input((4,))
    return Sample(keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(inputs))), numbers(4, 4))


@case()
def compiled_but_untrained() -> Sample:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile("adam", "mse")
    return Sample(model, numbers(8, 4), numbers(8, 2, seed=3))


@case()
def frozen_layers() -> Sample:
    first = layers.Dense(5, activation="relu", name="frozen", trainable=False)
    normal = layers.BatchNormalization(name="frozen_norm")
    normal.trainable = False
    model = keras.Sequential([keras.Input((4,)), first, normal, layers.Dense(2, name="free")])
    model.compile("adam", "mse")
    return fit(model, numbers(8, 4), numbers(8, 2, seed=3))


@case()
def frozen_part_of_nested_model() -> Sample:
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="low"), layers.Dense(4, name="high")], name="body"
    )
    inner.get_layer("low").trainable = False
    sealed = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()], name="sealed")
    sealed.trainable = False
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(sealed(inner(inputs))))
    model.compile("adam", "mse")
    return fit(model, numbers(8, 4), numbers(8, 2, seed=3))


@case()
def frozen_after_training() -> Sample:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="early"), layers.Dense(2, name="later")])
    model.compile("adam", "mse")
    sample = fit(model, numbers(8, 4), numbers(8, 2, seed=3))
    model.get_layer("early").trainable = False
    return sample


@case()
def thawed_after_training() -> Sample:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, trainable=False), layers.Dense(2)])
    model.compile("adam", "mse")
    sample = fit(model, numbers(8, 4), numbers(8, 2, seed=3))
    model.layers[0].trainable = True
    return sample
