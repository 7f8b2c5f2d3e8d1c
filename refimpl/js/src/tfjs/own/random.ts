// Random ops of the core vocabulary (J.11) that TensorFlow.js does not have; each is the identity unless it trains.

import type { T } from '../tensorflow.js';
import type { Call, Ops } from './ops.js';

const SELU = -1.0507009873554805 * 1.6732632423543772;

function draws({ tf, inputs, attrs }: Call, shape: number[]): T {
  const kept = tf.greaterEqual(tf.randomUniform(shape), attrs.rate as number);
  return tf.add(tf.cast(kept, 'float32'), tf.zerosLike(inputs[0]!));
}

function unchanged({ tf, inputs }: Call): T {
  return tf.add(inputs[0]!, 0);
}

function noiseShape({ inputs, attrs }: Call): number[] {
  const shape = attrs.noiseShape as (number | null)[] | null | undefined;
  return inputs[0]!.shape.map((size, at) => shape?.[at] ?? size);
}

function dropped(call: Call, shape: number[]): T {
  const { tf, inputs, attrs, training } = call;
  const rate = attrs.rate as number;
  if (!training || rate === 0) return unchanged(call);
  if (rate === 1) return tf.zerosLike(inputs[0]!);
  return tf.mul(inputs[0]!, tf.div(draws(call, shape), 1 - rate));
}

export const RANDOM: Ops = {
  alphaDropout: (call) => {
    const { tf, inputs, attrs, training } = call;
    const rate = attrs.rate as number;
    if (!training || rate === 0) return unchanged(call);
    const kept = draws(call, noiseShape(call));
    const a = ((1 - rate) * (1 + rate * SELU ** 2)) ** -0.5;
    const y = tf.add(tf.mul(inputs[0]!, kept), tf.mul(tf.sub(1, kept), SELU));
    return tf.add(tf.mul(y, a), -a * SELU * rate);
  },
  dropout: (call) => dropped(call, noiseShape(call)),
  gaussianDropout: (call) => {
    const { tf, inputs, attrs, training } = call;
    const rate = attrs.rate as number;
    if (!training || rate === 0) return unchanged(call);
    return tf.mul(inputs[0]!, tf.randomNormal(inputs[0]!.shape, 1, Math.sqrt(rate / (1 - rate))));
  },
  gaussianNoise: (call) => {
    const { tf, inputs, attrs, training } = call;
    if (!training || attrs.stddev === 0) return unchanged(call);
    return tf.add(inputs[0]!, tf.randomNormal(inputs[0]!.shape, 0, attrs.stddev as number));
  },
  spatialDropout: (call) => {
    const first = call.attrs.dataFormat === 'channelsFirst';
    const shape = call.inputs[0]!.shape;
    return dropped(
      call,
      shape.map((size, at) => (at === 0 || at === (first ? 1 : shape.length - 1) ? size : 1)),
    );
  },
};
