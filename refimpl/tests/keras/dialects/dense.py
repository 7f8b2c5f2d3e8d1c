"""Models of dense layers, activations, merges, losses and regularizers."""

from __future__ import annotations

from typing import Any

from models import ADAM, BATCH, NEW, OLD, VECTOR, case, chain, numbers

assert BATCH


@case(VECTOR, optimizer=lambda k: k.optimizers.Adam(0.01))
def mlp(k: Any) -> Any:
    la = k.layers
    return chain(k, (6,), la.Dense(5, activation="relu"), la.Dense(4, activation="tanh"), la.Dense(2))


@case(VECTOR, optimizer="adam", options={"metrics": ["mae"]})
def named_optimizer(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(3, activation="sigmoid"), k.layers.Dense(2))


@case(VECTOR, sides=OLD)
def deferred(k: Any) -> Any:
    return k.Sequential([k.layers.Dense(3, activation="elu"), k.layers.Dense(2)])


@case(VECTOR, sides=OLD)
def first_layer_with_a_shape(k: Any) -> Any:
    return k.Sequential([k.layers.Dense(3, input_shape=(6,), activation="selu"), k.layers.Dense(2)])


@case(VECTOR, back=5e-7)
def hard_sigmoid_dense(k: Any) -> Any:
    la = k.layers
    return chain(k, (6,), la.Dense(5, activation="hard_sigmoid"), la.Dense(2, activation="hard_sigmoid"))


@case(VECTOR, back=5e-7)
def hard_sigmoid_layer(k: Any) -> Any:
    la = k.layers
    i = k.Input((6,))
    h = la.Activation("hard_sigmoid")(la.Dense(5)(i))
    shared = la.Dense(5, activation="hard_sigmoid")
    return k.Model(i, la.Add()([shared(h), shared(i[:, :5])]))


@case(VECTOR)
def activations_by_name(k: Any) -> Any:
    la = k.layers
    i = k.Input((6,))
    names = "relu elu selu softplus softsign tanh sigmoid exponential linear swish gelu mish softmax relu6 leaky_relu"
    return k.Model(i, la.Concatenate()([la.Dense(2, activation=name)(i) for name in names.split()]))


@case(VECTOR)
def activation_layers(k: Any) -> Any:
    la = k.layers
    i = k.Input((6,))
    alpha = {"alpha": 0.25} if k.__name__ == "tf_keras" else {"negative_slope": 0.25}
    found = [la.LeakyReLU(**alpha)(i), la.ELU(0.7)(i), la.PReLU(alpha_initializer="ones")(i), la.Softmax()(i)]
    found += [la.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2)(i), la.ReLU()(i)]
    return k.Model(i, la.Dense(2)(la.Concatenate()(found)))


@case(VECTOR, sides=OLD)
def thresholded_relu(k: Any) -> Any:
    la = k.layers
    return chain(k, (6,), la.Dense(5), la.ThresholdedReLU(theta=0.3), la.Dense(2))


@case(VECTOR)
def layer_as_activation(k: Any) -> Any:
    la = k.layers
    alpha = {"alpha": 0.2} if k.__name__ == "tf_keras" else {"negative_slope": 0.2}
    return chain(k, (6,), la.Dense(5, activation=la.LeakyReLU(**alpha)), la.Dense(2))


@case(VECTOR, optimizer=ADAM)
def merges(k: Any) -> Any:
    la = k.layers
    i = k.Input((6,))
    a, b = la.Dense(4)(i), la.Dense(4, activation="tanh")(i)
    found = [la.Add()([a, b]), la.Multiply()([a, b]), la.Subtract()([a, b]), la.Average()([a, b])]
    found += [la.Maximum()([a, b]), la.Minimum()([a, b]), la.Dot(axes=1, normalize=True)([a, b])]
    return k.Model(i, la.Dense(2)(la.Concatenate(axis=-1)(found)))


@case(VECTOR, lambda: numbers(3, seed=2), optimizer=ADAM)
def two_inputs(k: Any) -> Any:
    la = k.layers
    a, b = k.Input((6,), name="a"), k.Input((3,), name="b")
    shared = la.Dense(3, name="shared")
    return k.Model([a, b], la.Dense(2)(la.Concatenate()([shared(a), shared(la.Dense(6)(b))])))


@case(VECTOR, loss=["mse", "mae"], options={"loss_weights": [1.0, 0.5]}, optimizer=ADAM)
def two_outputs(k: Any) -> Any:
    i = k.Input((6,))
    h = k.layers.Dense(4, activation="relu")(i)
    return k.Model(i, [k.layers.Dense(2, name="one")(h), k.layers.Dense(3, name="two")(h)])


@case(VECTOR, loss={"one": "mse", "two": "binary_crossentropy"}, options={"loss_weights": {"one": 1.0, "two": 0.3}})
def outputs_by_name(k: Any) -> Any:
    i = k.Input((6,))
    h = k.layers.Dense(4, activation="relu")(i)
    one, two = k.layers.Dense(2, name="one")(h), k.layers.Dense(3, activation="sigmoid", name="two")(h)
    return k.Model(i, {"one": one, "two": two})


@case(VECTOR, bound=1e-6, optimizer=ADAM)
def nested(k: Any) -> Any:
    la = k.layers
    inner_in = k.Input((6,))
    inner = k.Model(inner_in, la.Dense(4, activation="relu")(inner_in), name="inner")
    plain = chain(k, (4,), la.Dense(3), la.LayerNormalization())
    i = k.Input((6,))
    return k.Model(i, la.Dense(2)(la.Concatenate()([plain(inner(i)), inner(i * 2.0)])))


@case(VECTOR, optimizer=ADAM)
def model_in_a_chain(k: Any) -> Any:
    la = k.layers
    return chain(k, (6,), chain(k, (6,), la.Dense(4, activation="relu"), la.Dense(4)), la.Dense(2))


@case(VECTOR)
def regularized(k: Any) -> Any:
    la, rg = k.layers, k.regularizers
    first = la.Dense(5, kernel_regularizer=rg.L1L2(0.01, 0.02), bias_regularizer="l2", activity_regularizer=rg.L2(0.05))
    second = la.Dense(4, kernel_regularizer=rg.OrthogonalRegularizer(0.01), kernel_constraint="max_norm")
    return chain(k, (6,), first, la.ActivityRegularization(0.01, 0.01), second, la.Dense(2))


@case(VECTOR)
def constrained(k: Any) -> Any:
    la, cs = k.layers, k.constraints
    first = la.Dense(5, kernel_constraint=cs.MinMaxNorm(0.1, 0.8, rate=0.5, axis=0), bias_constraint=cs.NonNeg())
    return chain(k, (6,), first, la.Dense(2, kernel_constraint=cs.UnitNorm(axis=0)))


@case(VECTOR)
def initialized(k: Any) -> Any:
    la, ini = k.layers, k.initializers
    kinds = [ini.HeNormal(1), ini.LecunUniform(2), ini.Orthogonal(gain=0.5, seed=3), ini.RandomNormal(0.0, 0.1, 4)]
    kinds += [ini.TruncatedNormal(seed=5), ini.VarianceScaling(2.0, "fan_out", "uniform", 6), ini.Identity(0.3)]
    layers = [la.Dense(4, kernel_initializer=kind, bias_initializer=ini.Constant(0.1)) for kind in kinds]
    return chain(k, (6,), *layers, la.Dense(2))


@case(VECTOR, optimizer=ADAM)
def frozen(k: Any) -> Any:
    la = k.layers
    still = la.Dense(5, activation="relu")
    still.trainable = False
    return chain(k, (6,), still, la.Dense(2))


@case(VECTOR, loss="sparse_categorical_crossentropy", labels=3, targets=(), losses=1e-5)
def classes(k: Any) -> Any:
    la = k.layers
    return chain(k, (6,), la.Dense(5, activation="relu"), la.Dense(3, activation="softmax"))


def _loss(name: str, **options: Any) -> Any:
    return lambda k: getattr(k.losses, name)(**options)


@case(
    VECTOR,
    loss=_loss("SparseCategoricalCrossentropy", from_logits=True, ignore_class=1),
    labels=3,
    targets=(),
    options={"metrics": ["accuracy"]},
)
def logits(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(5, activation="relu"), k.layers.Dense(3))


@case(VECTOR, loss=_loss("Huber", delta=0.3, reduction="sum"), sides=OLD)
def huber(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(2))


@case(VECTOR, loss=_loss("CosineSimilarity", axis=1), losses=1e-5)
def cosine(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(2))


@case(VECTOR, loss="huber_loss", sides=OLD)
def old_name_of_a_loss(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(2))


@case(VECTOR, loss="logcosh", sides=OLD, options={"metrics": ["cosine_proximity", "MAE", "acc"]})
def old_names_of_metrics(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(2))


@case(VECTOR, loss=_loss("BinaryCrossentropy", from_logits=True, label_smoothing=0.1))
def smoothed(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(2))


@case(VECTOR, loss="kl_divergence", losses=1e-5, options={"metrics": ["mse", "cosine_similarity"]})
def divergence(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(3, activation="softmax"))


@case(VECTOR, loss="poisson", options={"weighted_metrics": ["mae"], "metrics": ["mape"]}, losses=1e-5)
def poisson(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(3, activation="softplus"))


@case(lambda: numbers(4, 6), bound=1e-6)
def einsum_dense(k: Any) -> Any:
    la = k.layers
    first = la.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d", activation="relu")
    return chain(
        k, (4, 6), first, la.Permute((2, 1)), la.Reshape((4, 5)), la.Flatten(), la.RepeatVector(2), la.Dense(2)
    )


@case(VECTOR)
def mixed(k: Any) -> Any:
    la = k.layers
    policy = "mixed_bfloat16"
    return chain(k, (6,), la.Dense(5, activation="relu", dtype=policy), la.Dense(2, dtype="float32"))


@case(VECTOR, bound=1e-12, losses=1e-6)
def double(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(5, activation="tanh", dtype="float64"), k.layers.Dense(2, dtype="float64"))


@case(VECTOR, loss=None)
def not_compiled(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(2))


@case(VECTOR, loss=None)
def noise(k: Any) -> Any:
    la = k.layers
    first = [la.Dropout(0.3, seed=1), la.GaussianNoise(0.1), la.GaussianDropout(0.1), la.AlphaDropout(0.1)]
    return chain(k, (6,), *first, la.Identity(), la.Dense(2))


@case(VECTOR, sides=NEW, loss=None)
def inputs_by_name(k: Any) -> Any:
    i = k.Input((6,), name="values")
    return k.Model({"values": i}, k.layers.Dense(2)(i))
