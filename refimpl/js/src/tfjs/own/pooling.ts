// Pooling and resizing in the core vocabulary (J.8) in the cases that the layers of TensorFlow.js do not have.

import type { T, TensorFlow } from '../tensorflow.js';
import type { Call, Ops } from './ops.js';
import { channelsLast, paddingOf, sizes } from './ops.js';

const LOWEST = -3.4028234663852886e38;

/** A tensor with three spatial axes, those in front of size 1. */
function deep(tf: TensorFlow, x: T): T {
  const axes = x.rank - 2;
  return tf.reshape(x, [x.shape[0]!, ...new Array(3 - axes).fill(1), ...x.shape.slice(1)]);
}

function three(values: number[]): number[] {
  return [...new Array(3 - values.length).fill(1), ...values];
}

function shallow(tf: TensorFlow, y: T, axes: number): T {
  return tf.reshape(y, [y.shape[0]!, ...y.shape.slice(4 - axes)]);
}

function pool({ tf, inputs, attrs }: Call, kind: 'max' | 'avg'): T {
  return channelsLast(tf, inputs[0]!, attrs.dataFormat, (x) => {
    const window = attrs.poolSize as number[];
    const axes = window.length;
    const strides = attrs.strides == null ? window : (attrs.strides as number[]);
    const dilation = sizes(attrs.dilation, axes);
    if (dilation.some((rate) => rate > 1)) return dilatedMax(tf, x, attrs, window, strides, dilation);
    const pads = paddingOf(attrs.padding ?? 'valid', x.shape.slice(1, -1), window, strides, dilation);
    const all = [[0, 0], ...pads, [0, 0]];
    const none = pads.every(([before, after]) => !before && !after);
    const over = (source: T) => deep(tf, source);
    if (kind === 'max') {
      const source = none ? x : tf.pad(x, all, LOWEST);
      return shallow(tf, tf.maxPool3d(over(source), three(window), three(strides), 'valid'), axes);
    }
    const mean = (source: T) => shallow(tf, tf.avgPool3d(over(source), three(window), three(strides), 'valid'), axes);
    if (none) return mean(x);
    const sums = mean(tf.pad(x, all));
    if (attrs.countPadding) return sums;
    const share = mean(tf.pad(tf.ones(x.shape), all));
    return tf.div(sums, share);
  });
}

/** The largest of the elements that a window with gaps sees, one place of the window after the other. */
function dilatedMax(
  tf: TensorFlow,
  x: T,
  attrs: Call['attrs'],
  window: number[],
  strides: number[],
  dilation: number[],
): T {
  const pads = paddingOf(attrs.padding ?? 'valid', x.shape.slice(1, -1), window, strides, dilation);
  const source = tf.pad(x, [[0, 0], ...pads, [0, 0]], LOWEST);
  const counts = window.map(
    (k, at) => Math.floor((source.shape[at + 1]! - ((k - 1) * dilation[at]! + 1)) / strides[at]!) + 1,
  );
  let best: T | undefined;
  const places = window.reduce<number[][]>(
    (all, k) => all.flatMap((one) => [...new Array(k).keys()].map((at) => [...one, at])),
    [[]],
  );
  for (const place of places) {
    const begin = [0, ...place.map((k, at) => k * dilation[at]!), 0];
    const end = [
      source.shape[0]!,
      ...counts.map((count, at) => begin[at + 1]! + (count - 1) * strides[at]! + 1),
      x.shape.at(-1)!,
    ];
    const seen = tf.stridedSlice(source, begin, end, [1, ...strides, 1]);
    best = best ? tf.maximum(best, seen) : seen;
  }
  return best!;
}

function whole({ tf, inputs, attrs, named }: Call, kind: 'max' | 'mean'): T {
  const x = inputs[0]!;
  const last = attrs.dataFormat !== 'channelsFirst';
  const axes = Array.from({ length: x.rank - 2 }, (_, at) => at + (last ? 1 : 2));
  const keep = Boolean(attrs.keepdims);
  const mask = named.mask;
  if (!mask || kind === 'max' || x.rank !== 3) return tf[kind](x, axes, keep);
  const weights = tf.expandDims(tf.cast(mask, 'float32'), last ? 2 : 1);
  return tf.div(tf.sum(tf.mul(x, weights), axes, keep), tf.sum(weights, axes, keep));
}

function adaptive({ tf, inputs, attrs }: Call, kind: 'max' | 'mean'): T {
  return channelsLast(tf, inputs[0]!, attrs.dataFormat, (x) => {
    const output = attrs.outputSize as number[];
    return output.reduce((y, m, at) => {
      const axis = at + 1;
      const n = y.shape[axis]!;
      const windows = Array.from({ length: m }, (_, o) => {
        const [first, end] = [Math.floor((o * n) / m), Math.ceil(((o + 1) * n) / m)];
        const begin = y.shape.map((_, place) => (place === axis ? first : 0));
        const size = y.shape.map((length, place) => (place === axis ? end - first : length));
        return tf[kind](tf.slice(y, begin, size), axis, true);
      });
      return tf.concat(windows, axis);
    }, x);
  });
}

const sinc = (d: number) => (d === 0 ? 1 : Math.sin(Math.PI * d) / (Math.PI * d));
const lanczos = (radius: number) => (d: number) => (d < radius ? sinc(d) * sinc(d / radius) : 0);
const KERNELS: Record<string, [radius: number, weight: (d: number) => number]> = {
  bilinear: [1, (d) => Math.max(1 - d, 0)],
  bicubic: [2, (d) => (d < 1 ? 1.5 * d ** 3 - 2.5 * d ** 2 + 1 : d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0)],
  lanczos3: [3, lanczos(3)],
  lanczos5: [5, lanczos(5)],
};

/** The matrix [m, n] that makes m elements of n on one axis (CV-43). */
function weightsOf(n: number, m: number, kind: string, antialias: boolean): number[][] {
  const ratio = n / m;
  const weight = KERNELS[kind]![1];
  const spread = antialias ? Math.max(ratio, 1) : 1;
  return Array.from({ length: m }, (_, o) => {
    const row = Array.from({ length: n }, (_, i) => weight(Math.abs(i - (o + 0.5) * ratio + 0.5) / spread));
    const sum = row.reduce((total, value) => total + value, 0);
    return row.map((value) => value / sum);
  });
}

function resize({ tf, inputs, attrs }: Call): T {
  return channelsLast(tf, inputs[0]!, attrs.dataFormat, (x) => {
    const kind = (attrs.interpolation as string | undefined) ?? 'nearest';
    const spatial = x.shape.slice(1, -1);
    const targets =
      attrs.size != null ? (attrs.size as number[]) : spatial.map((n, at) => n * (attrs.scale as number[])[at]!);
    return targets.reduce((y, m, at) => {
      const axis = at + 1;
      const n = y.shape[axis]!;
      if (n === m) return y;
      if (kind === 'nearest') {
        const indices = Array.from({ length: m }, (_, o) => Math.floor(((o + 0.5) * n) / m));
        return tf.gather(y, tf.tensor(indices, [m], 'int32'), axis);
      }
      const matrix = tf.tensor(weightsOf(n, m, kind, Boolean(attrs.antialias)), [m, n], 'float32');
      const order = [...y.shape.keys()].filter((place) => place !== axis).concat(axis);
      const rows = tf.transpose(y, order);
      const product = tf.matMul(tf.reshape(rows, [-1, n]), matrix, false, true);
      const back = tf.reshape(product, [...rows.shape.slice(0, -1), m]);
      return tf.transpose(
        back,
        order.map((_, place) => order.indexOf(place)),
      );
    }, x);
  });
}

export const POOLING: Ops = {
  adaptiveAvgPool: (call) => adaptive(call, 'mean'),
  adaptiveMaxPool: (call) => adaptive(call, 'max'),
  avgPool: (call) => pool(call, 'avg'),
  globalAvgPool: (call) => whole(call, 'mean'),
  globalMaxPool: (call) => whole(call, 'max'),
  maxPool: (call) => pool(call, 'max'),
  resize,
};
