// Ops of the core vocabulary that give the same elements another shape (J.9).

import type { T, TensorFlow } from '../tensorflow.js';
import type { Call, Ops } from './ops.js';
import { axesOf, axisOf, integers } from './ops.js';

function pad({ tf, inputs: [x], attrs }: Call): T {
  const pads = [[0, 0], ...(attrs.padding as number[][])];
  const mode = attrs.mode ?? 'constant';
  if (mode === 'reflect' || mode === 'symmetric') return tf.mirrorPad(x!, pads, mode);
  return tf.pad(x!, pads, (attrs.value as number | undefined) ?? 0);
}

function crop({ tf, inputs: [x], attrs }: Call): T {
  const pairs = [[0, 0], ...(attrs.cropping as number[][])];
  const begin = pairs.map(([before]) => before!);
  return tf.slice(
    x!,
    begin,
    x!.shape.map((size, at) => size - pairs[at]![0]! - pairs[at]![1]!),
  );
}

/** One axis of a slice with a step, by the indices of its elements. */
function steps(tf: TensorFlow, x: T, axis: number, [start, stop, step]: (number | null)[]): T {
  const size = x.shape[axis]!;
  const by = step ?? 1;
  const bound = (value: number, low: number, high: number) =>
    Math.min(Math.max(value < 0 ? value + size : value, low), high);
  const first = start == null ? (by > 0 ? 0 : size - 1) : by > 0 ? bound(start, 0, size) : bound(start, -1, size - 1);
  const end = stop == null ? (by > 0 ? size : -1) : by > 0 ? bound(stop, 0, size) : bound(stop, -1, size - 1);
  const count = Math.max(0, Math.ceil((end - first) / by));
  if (by === 1) {
    const begin = x.shape.map((_, at) => (at === axis ? Math.min(first, size) : 0));
    return tf.slice(
      x,
      begin,
      x.shape.map((all, at) => (at === axis ? count : all)),
    );
  }
  const indices = Array.from({ length: count }, (_, at) => first + at * by);
  return tf.gather(x, tf.tensor(indices, [count], 'int32'), axis);
}

function slice({ tf, inputs: [x], attrs }: Call): T {
  const index = attrs.index as (number | string | (number | null)[])[];
  const taken = index.filter((entry) => entry !== 'newaxis' && entry !== '...').length;
  let result = x!;
  let axis = 0;
  for (const entry of index) {
    if (entry === '...') axis += x!.rank - taken;
    else if (entry === 'newaxis') result = tf.expandDims(result, axis++);
    else if (Array.isArray(entry)) result = steps(tf, result, axis++, entry);
    else {
      const at = (entry as number) < 0 ? (entry as number) + result.shape[axis]! : (entry as number);
      result = tf.squeeze(steps(tf, result, axis, [at, at + 1, 1]), [axis]);
    }
  }
  return result;
}

function split({ tf, inputs: [x], attrs }: Call): T[] {
  return tf.split(x!, attrs.sections as number | number[], axisOf(attrs.axis ?? 0, x!.rank));
}

function take({ tf, inputs: [x, indices], attrs }: Call): T {
  const source = attrs.axis == null ? tf.reshape(x!, [-1]) : x!;
  const axis = attrs.axis == null ? 0 : axisOf(attrs.axis, x!.rank);
  const size = source.shape[axis]!;
  const whole = tf.cast(indices!, 'int32');
  const flat = tf.reshape(tf.where(tf.less(whole, 0), tf.add(whole, tf.scalar(size, 'int32')), whole), [-1]);
  const rest = [...source.shape.slice(0, axis), ...indices!.shape, ...source.shape.slice(axis + 1)];
  return tf.reshape(tf.gather(source, flat, axis), rest);
}

function flatten({ tf, inputs: [x], attrs }: Call): T {
  const last = attrs.dataFormat === 'channelsFirst' && x!.rank > 2;
  const order = [0, ...Array.from({ length: x!.rank - 2 }, (_, at) => at + 2), 1];
  const source = last ? tf.transpose(x!, order) : x!;
  return tf.reshape(source, [x!.shape[0]!, x!.shape.slice(1).reduce((product, size) => product * size, 1)]);
}

function reshape({ tf, inputs: [x], attrs }: Call): T {
  return tf.reshape(x!, [x!.shape[0]!, ...integers(attrs.shape)]);
}

/** The axes `from` in the places `to`, all others in their order. */
function moveAxes({ tf, inputs: [x], attrs }: Call): T {
  const [from, to] = [axesOf(attrs.from, x!.rank), axesOf(attrs.to, x!.rank)];
  const others = [...x!.shape.keys()].filter((axis) => !from.includes(axis));
  const order = x!.shape.map((_, place) => (to.includes(place) ? from[to.indexOf(place)]! : others.shift()!));
  return tf.transpose(x!, order);
}

export const SHAPING: Ops = {
  broadcastTo: ({ tf, inputs: [x], attrs }) => {
    const shape = integers(attrs.shape);
    return tf.broadcastTo(
      x!,
      shape.map((size, at) => (size < 0 ? x!.shape[at - shape.length + x!.rank]! : size)),
    );
  },
  cast: ({ tf, inputs: [x], attrs }) => {
    const dtype = String(attrs.dtype);
    if (dtype === 'bool') return tf.notEqual(x!, 0);
    return tf.cast(x!, dtype.includes('int') ? 'int32' : 'float32');
  },
  concat: ({ tf, inputs, attrs }) => tf.concat(inputs, axisOf(attrs.axis ?? -1, inputs[0]!.rank)),
  constantLike: ({ tf, inputs: [x], attrs }) => {
    const dtype = attrs.dtype == null ? x!.dtype : String(attrs.dtype);
    return tf.fill(
      x!.shape,
      attrs.value as number,
      dtype === 'bool' ? 'bool' : dtype.includes('int') ? 'int32' : 'float32',
    );
  },
  crop,
  expandDims: ({ tf, inputs: [x], attrs }) => {
    const axes = integers(attrs.axes ?? [-1]);
    const rank = x!.rank + axes.length;
    return axes
      .map((axis) => axisOf(axis, rank))
      .sort((a, b) => a - b)
      .reduce((y, axis) => tf.expandDims(y, axis), x!);
  },
  flatten,
  identity: ({ tf, inputs: [x] }) => tf.add(x!, 0),
  moveAxes,
  pad,
  permute: ({ tf, inputs: [x], attrs }) =>
    tf.transpose(x!, attrs.axes == null ? undefined : axesOf(attrs.axes, x!.rank)),
  repeat: ({ tf, inputs: [x], attrs }) => tf.tile(tf.expandDims(x!, 1), [1, attrs.count as number, 1]),
  reshape,
  reshapeWhole: ({ tf, inputs: [x], attrs }) => tf.reshape(x!, integers(attrs.shape)),
  slice,
  split,
  squeeze: ({ tf, inputs: [x], attrs }) => tf.squeeze(x!, attrs.axes == null ? undefined : axesOf(attrs.axes, x!.rank)),
  stack: ({ tf, inputs, attrs }) => tf.stack(inputs, axisOf(attrs.axis ?? 0, inputs[0]!.rank + 1)),
  take,
};
