// Normalization in the core vocabulary (J.4) in the cases that the layers of TensorFlow.js do not have.

import type { T } from '../tensorflow.js';
import type { Call, Ops } from './ops.js';
import { along, axesOf, axisOf } from './ops.js';

function epsilonOf({ attrs }: Call, fallback: number): number {
  return (attrs.epsilon as number | undefined) ?? fallback;
}

function scaled({ tf, params }: Call, y: T, axes: number[]): T {
  const grown = params.gamma ? tf.mul(y, along(tf, params.gamma, y, axes)) : y;
  return params.beta ? tf.add(grown, along(tf, params.beta, y, axes)) : grown;
}

/** With the moving statistics: in training too, as layers of TensorFlow.js normalize along the last axis alone. */
function batchNorm(call: Call): T {
  const { tf, inputs, attrs, params } = call;
  const x = inputs[0]!;
  const axes = [axisOf(attrs.axis ?? -1, x.rank)];
  const centred = tf.sub(x, along(tf, params.moving_mean!, x, axes));
  const deviation = tf.sqrt(tf.add(params.moving_variance!, epsilonOf(call, 1e-3)));
  return scaled(call, tf.div(centred, along(tf, deviation, x, axes)), axes);
}

function layerNorm(call: Call): T {
  const { tf, inputs, attrs } = call;
  const x = inputs[0]!;
  const axes = axesOf(attrs.axes === undefined ? [-1] : attrs.axes, x.rank);
  const centred = tf.sub(x, tf.mean(x, axes, true));
  const variance = tf.mean(tf.square(centred), axes, true);
  return scaled(call, tf.div(centred, tf.sqrt(tf.add(variance, epsilonOf(call, 1e-3)))), axes);
}

function rmsNorm(call: Call): T {
  const { tf, inputs, attrs, params } = call;
  const x = inputs[0]!;
  const axes = axesOf(attrs.axes === undefined ? [-1] : attrs.axes, x.rank);
  const root = tf.sqrt(tf.add(tf.mean(tf.square(x), axes, true), epsilonOf(call, 1e-6)));
  const y = tf.div(x, root);
  return params.scale ? tf.mul(y, along(tf, params.scale, y, axes)) : y;
}

function groupNorm(call: Call): T {
  const { tf, inputs, attrs } = call;
  const x = inputs[0]!;
  const axis = axisOf(attrs.axis ?? -1, x.rank);
  const groups = (attrs.groups as number | undefined) ?? 32;
  const shape = [...x.shape.slice(0, axis), groups, x.shape[axis]! / groups, ...x.shape.slice(axis + 1)];
  const parts = tf.reshape(x, shape);
  const axes = shape.map((_, at) => at).filter((at) => at !== 0 && at !== axis);
  const centred = tf.sub(parts, tf.mean(parts, axes, true));
  const variance = tf.mean(tf.square(centred), axes, true);
  const y = tf.div(centred, tf.sqrt(tf.add(variance, epsilonOf(call, 1e-3))));
  return scaled(call, tf.reshape(y, x.shape), [axis]);
}

function unitNorm(call: Call): T {
  const { tf, inputs, attrs } = call;
  const x = inputs[0]!;
  const axes = axesOf(attrs.axes === undefined ? [-1] : attrs.axes, x.rank);
  return tf.div(x, tf.maximum(tf.sqrt(tf.sum(tf.square(x), axes, true)), epsilonOf(call, 1e-12)));
}

function normalization({ tf, inputs, attrs, params }: Call): T {
  const x = tf.cast(inputs[0]!, 'float32');
  const axes = axesOf(attrs.axes === undefined ? [-1] : attrs.axes, x.rank);
  const aligned = (value: T) => {
    const places = [...axes].sort((a, b) => b - a);
    const shape = x.shape.map(() => 1);
    for (const axis of places) shape[axis] = x.shape[axis]!;
    const width = shape.filter((_, at) => axes.includes(at)).reduce((product, size) => product * size, 1);
    const size = value.shape.reduce((product, length) => product * length, 1);
    return size === width ? tf.reshape(value, shape) : value;
  };
  const statistic = (role: string) => aligned(params[role] ?? tf.cast(tf.tensor(attrs[role]), 'float32'));
  const mean = statistic('mean');
  const deviation = tf.maximum(tf.sqrt(statistic('variance')), 1e-7);
  return attrs.invert ? tf.add(mean, tf.mul(x, deviation)) : tf.div(tf.sub(x, mean), deviation);
}

export const NORMALIZATION: Ops = { batchNorm, groupNorm, layerNorm, normalization, rmsNorm, unitNorm };
