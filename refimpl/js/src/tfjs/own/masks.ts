// Masks as tensors of the graph (CV-12): TensorFlow.js hands a mask on to layers that have none of their own, so its own are not used.

import type { T } from '../tensorflow.js';
import type { Call, Ops } from './ops.js';
import { axisOf } from './ops.js';

function stepsThatCount({ tf, inputs: [x], attrs }: Call): T {
  return tf.any(tf.notEqual(x!, attrs.maskValue as number), x!.rank - 1);
}

/** The masks of all inputs of `concat`, spread over the axes that they lack; inputs are tensors, then their masks (CV-52). */
function concatMask({ tf, inputs, attrs }: Call): T {
  const masked = attrs.masked as boolean[];
  const tensors = inputs.slice(0, masked.length);
  let at = masked.length;
  const masks = tensors.map((x, place) => {
    if (!masked[place]) return tf.ones(x.shape);
    const mask = tf.cast(inputs[at++]!, 'float32');
    const shape = [...mask.shape, ...new Array(x.rank - mask.rank).fill(1)];
    return tf.broadcastTo(tf.reshape(mask, shape), x.shape);
  });
  const joined = tf.concat(masks, axisOf(attrs.axis ?? -1, tensors[0]!.rank));
  return tf.any(tf.notEqual(joined, 0), joined.rank - 1);
}

const NEUTRAL = { mul: 1, max: -3.4028234663852886e38, min: 3.4028234663852886e38 };

/** `mul`, `max` and `min` leave out what a mask excludes (CV-69); inputs are tensors, then the masks of those that have one. */
function maskedMerge({ tf, inputs, attrs }: Call): T {
  const masked = attrs.masked as boolean[];
  const kind = attrs.kind as 'mul' | 'max' | 'min';
  const tensors = inputs.slice(0, masked.length);
  const shape = tensors.reduce((sum, x) => tf.add(sum, tf.zerosLike(x)), tf.zerosLike(tensors[0]!)).shape;
  let at = masked.length;
  const masks = masked.map((has) => {
    if (!has) return tf.ones(shape);
    const flag = tf.cast(inputs[at++]!, 'float32');
    return tf.broadcastTo(tf.reshape(flag, [...flag.shape, ...new Array(shape.length - flag.rank).fill(1)]), shape);
  });
  const kept = tensors.map((x, place) =>
    tf.where(tf.greater(masks[place]!, 0), tf.broadcastTo(x, shape), tf.fill(shape, NEUTRAL[kind])),
  );
  const combine = { mul: tf.mul, max: tf.maximum, min: tf.minimum }[kind];
  const result = kept.reduce((x, y) => combine(x, y));
  const seen = masks.reduce((x, y) => tf.maximum(x, y));
  return kind === 'mul'
    ? tf.mul(result, seen)
    : tf.where(tf.greater(seen, 0), result, tf.broadcastTo(tensors[0]!, shape));
}

export const MASKS: Ops = {
  concatMask,
  indexMask: ({ tf, inputs: [x] }) => tf.notEqual(x!, 0),
  maskedMerge,
  maskedSteps: (call) =>
    call.tf.mul(call.inputs[0]!, call.tf.expandDims(call.tf.cast(stepsThatCount(call), 'float32'), -1)),
  orMask: ({ tf, inputs }) => inputs.reduce((one, other) => tf.logicalOr(tf.notEqual(one, 0), tf.notEqual(other, 0))),
  stepMask: stepsThatCount,
  zeroLast: ({ tf, inputs: [x, mask], attrs }) => {
    const steps = mask!.shape[1]!;
    const last = tf.slice(tf.cast(mask!, 'float32'), [0, attrs.goBackwards ? 0 : steps - 1], [mask!.shape[0]!, 1]);
    return tf.mul(x!, last);
  },
  zeroMasked: ({ tf, inputs: [x, mask] }) => tf.mul(x!, tf.expandDims(tf.cast(mask!, 'float32'), -1)),
};
