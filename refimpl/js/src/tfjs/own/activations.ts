// The activations of the core vocabulary (CV-140) that TensorFlow.js does not have, of its tensors.

import type { T, TensorFlow } from '../tensorflow.js';

/** Parameters of an activation, in camel case. */
export type Parameters = Record<string, unknown>;
type Activation = (tf: TensorFlow, x: T, given: Parameters) => T;

function number(given: Parameters, key: string, fallback: number): number {
  const value = given[key];
  return typeof value === 'number' ? value : fallback;
}

function relu(tf: TensorFlow, x: T, given: Parameters): T {
  const threshold = number(given, 'threshold', 0);
  const slope = number(given, 'negativeSlope', 0);
  const above = typeof given.maxValue === 'number' ? tf.clipByValue(tf.relu(x), 0, given.maxValue) : tf.relu(x);
  const below = tf.mul(tf.sub(x, threshold), slope);
  return tf.where(tf.greater(x, threshold), above, below);
}

function sparsemax(tf: TensorFlow, x: T, given: Parameters): T {
  const axis = (number(given, 'axis', -1) + x.rank) % x.rank;
  const order = [...x.shape.keys()].filter((at) => at !== axis).concat(axis);
  const rows = tf.transpose(x, order);
  const size = x.shape[axis]!;
  const sorted = tf.topk(rows, size, true).values;
  const sums = tf.cumsum(sorted, sorted.rank - 1);
  const ranks = tf.tensor(
    Array.from({ length: size }, (_, at) => at + 1),
    undefined,
    'float32',
  );
  const inside = tf.cast(tf.greater(tf.add(tf.mul(ranks, sorted), 1), sums), 'float32');
  const count = tf.sum(inside, -1, true);
  const total = tf.sum(tf.mul(inside, sorted), -1, true);
  const result = tf.relu(tf.sub(rows, tf.div(tf.sub(total, 1), count)));
  return tf.transpose(
    result,
    order.map((_, at) => order.indexOf(at)),
  );
}

function alongAxis(compute: (tf: TensorFlow, x: T) => T): Activation {
  return (tf, x, given) => {
    const axis = (number(given, 'axis', -1) + x.rank) % x.rank;
    if (axis === x.rank - 1) return compute(tf, x);
    const order = [...x.shape.keys()].map((at) => (at === axis ? x.rank - 1 : at === x.rank - 1 ? axis : at));
    return tf.transpose(compute(tf, tf.transpose(x, order)), order);
  };
}

const hardSigmoid: Activation = (tf, x, given) =>
  tf.clipByValue(tf.add(tf.mul(x, number(given, 'slope', 1 / 6)), 0.5), 0, 1);

/** By their names in the vocabulary, in camel case. */
export const ACTIVATIONS: Record<string, Activation> = {
  celu: (tf, x, given) => {
    const alpha = number(given, 'alpha', 1);
    return tf.where(tf.greater(x, 0), x, tf.mul(tf.expm1(tf.div(tf.minimum(x, 0), alpha)), alpha));
  },
  elu: (tf, x, given) => tf.where(tf.greater(x, 0), x, tf.mul(tf.expm1(tf.minimum(x, 0)), number(given, 'alpha', 1))),
  exponential: (tf, x) => tf.exp(x),
  gelu: (tf, x, given) => {
    const inner = given.approximate
      ? tf.tanh(tf.mul(tf.add(x, tf.mul(tf.mul(tf.mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI)))
      : tf.erf(tf.div(x, Math.SQRT2));
    return tf.mul(tf.mul(x, tf.add(inner, 1)), 0.5);
  },
  glu: (tf, x, given) => {
    const [a, b] = tf.split(x, 2, (number(given, 'axis', -1) + x.rank) % x.rank) as [T, T];
    return tf.mul(a, tf.sigmoid(b));
  },
  hardShrink: (tf, x, given) => tf.mul(x, tf.cast(tf.greater(tf.abs(x), number(given, 'threshold', 0.5)), 'float32')),
  hardSigmoid,
  hardSilu: (tf, x) => tf.mul(x, hardSigmoid(tf, x, {})),
  hardTanh: (tf, x) => tf.clipByValue(x, -1, 1),
  leakyRelu: (tf, x, given) => tf.leakyRelu(x, number(given, 'negativeSlope', 0.2)),
  linear: (_, x) => x,
  logSigmoid: (tf, x) => tf.neg(tf.softplus(tf.neg(x))),
  logSoftmax: alongAxis((tf, x) => tf.logSoftmax(x)),
  mish: (tf, x) => tf.mul(x, tf.tanh(tf.softplus(x))),
  relu,
  relu6: (tf, x) => tf.clipByValue(x, 0, 6),
  selu: (tf, x) => tf.selu(x),
  sigmoid: (tf, x) => tf.sigmoid(x),
  silu: (tf, x) => tf.mul(x, tf.sigmoid(x)),
  softShrink: (tf, x, given) => tf.mul(tf.sign(x), tf.relu(tf.sub(tf.abs(x), number(given, 'threshold', 0.5)))),
  softmax: alongAxis((tf, x) => tf.softmax(x)),
  softplus: (tf, x) => tf.softplus(x),
  softsign: (tf, x) => tf.div(x, tf.add(tf.abs(x), 1)),
  sparsePlus: (tf, x) => {
    const between = tf.div(tf.square(tf.add(tf.clipByValue(x, -1, 1), 1)), 4);
    return tf.where(tf.greaterEqual(x, 1), x, between);
  },
  sparseSigmoid: (tf, x) => tf.clipByValue(tf.div(tf.add(x, 1), 2), 0, 1),
  sparsemax,
  squareplus: (tf, x, given) => tf.div(tf.add(x, tf.sqrt(tf.add(tf.square(x), number(given, 'b', 4)))), 2),
  tanh: (tf, x) => tf.tanh(x),
  tanhShrink: (tf, x) => tf.sub(x, tf.tanh(x)),
  threshold: (tf, x, given) =>
    tf.where(tf.greater(x, number(given, 'threshold', 0)), x, tf.fill(x.shape, number(given, 'defaultValue', 0))),
};
