// Linear ops of the core vocabulary (J.3) in the cases that the layers of TensorFlow.js do not have.

import type { T, TensorFlow } from '../tensorflow.js';
import { contract } from './einsum.js';
import type { Call, Ops } from './ops.js';
import { channelsLast, paddingOf, sizes } from './ops.js';

function biased({ tf, params }: Call, y: T): T {
  return params.bias ? tf.add(y, params.bias) : y;
}

/** Every so-manieth element of the spatial axes. */
function every(tf: TensorFlow, x: T, strides: number[]): T {
  if (strides.every((stride) => stride === 1)) return x;
  const begin = x.shape.map(() => 0);
  return tf.stridedSlice(x, begin, x.shape, [1, ...strides, 1]);
}

/** A convolution without padding; where both strides and dilation are more than 1, which TensorFlow.js refuses, of all places. */
function convolve(tf: TensorFlow, x: T, kernel: T, strides: number[], dilation: number[]): T {
  const both = strides.some((stride) => stride > 1) && dilation.some((rate) => rate > 1);
  const steps = both ? strides.map(() => 1) : strides;
  let y: T;
  if (strides.length === 1) y = tf.conv1d(x, kernel, steps[0]!, 'valid', 'NWC', dilation[0]!);
  else if (strides.length === 2) y = tf.conv2d(x, kernel, steps, 'valid', 'NHWC', dilation);
  else y = tf.conv3d(x, kernel, steps, 'valid', 'NDHWC', dilation);
  return both ? every(tf, y, strides) : y;
}

interface Geometry {
  window: number[];
  strides: number[];
  dilation: number[];
}

function geometry(attrs: Call['attrs']): Geometry {
  const window = attrs.kernelSize as number[];
  const axes = window.length;
  return { window, strides: sizes(attrs.strides, axes), dilation: sizes(attrs.dilation, axes) };
}

function padded(tf: TensorFlow, x: T, attrs: Call['attrs'], { window, strides, dilation }: Geometry): T {
  const pads = paddingOf(attrs.padding ?? 'valid', x.shape.slice(1, -1), window, strides, dilation);
  return pads.every(([before, after]) => !before && !after) ? x : tf.pad(x, [[0, 0], ...pads, [0, 0]]);
}

function conv(call: Call): T {
  const { tf, inputs, attrs, params } = call;
  const shape = geometry(attrs);
  const groups = (attrs.groups as number | undefined) ?? 1;
  return channelsLast(tf, inputs[0]!, attrs.dataFormat, (x) => {
    const source = padded(tf, x, attrs, shape);
    const kernel = params.kernel!;
    const kernels = groups === 1 ? [kernel] : tf.split(kernel, groups, kernel.rank - 1);
    const runs = groups === 1 ? [source] : tf.split(source, groups, source.rank - 1);
    const parts = runs.map((run, at) => convolve(tf, run, kernels[at]!, shape.strides, shape.dilation));
    return biased(call, parts.length === 1 ? parts[0]! : tf.concat(parts, x.rank - 1));
  });
}

/** A convolution of each channel by itself, along one or two axes. */
function depthwise(tf: TensorFlow, x: T, kernel: T, attrs: Call['attrs']): T {
  const shape = geometry(attrs);
  const flat = shape.window.length === 1;
  const strides = flat ? [1, ...shape.strides] : shape.strides;
  const dilation = flat ? [1, ...shape.dilation] : shape.dilation;
  let source = padded(tf, x, attrs, shape);
  if (flat) source = tf.expandDims(source, 1);
  const filter = flat ? tf.expandDims(kernel, 0) : kernel;
  // TensorFlow.js takes equal strides alone, and no strides with a dilation.
  const plain = strides[0] === strides[1] && dilation.every((rate) => rate === 1);
  const steps = plain ? strides : [1, 1];
  let y = tf.depthwiseConv2d(source, filter, steps, 'valid', 'NHWC', dilation);
  if (!plain) y = every(tf, y, strides);
  return flat ? tf.squeeze(y, [1]) : y;
}

function separable(call: Call): T {
  const { tf, inputs, attrs, params } = call;
  return channelsLast(tf, inputs[0]!, attrs.dataFormat, (x) => {
    const y = depthwise(tf, x, params.depthwise_kernel!, attrs);
    const ones = y.shape.slice(1, -1).map(() => 1);
    return biased(call, convolve(tf, y, params.pointwise_kernel!, ones, ones));
  });
}

/** A kernel with zeros between its elements, which does what a dilation does. */
function dilated(tf: TensorFlow, kernel: T, dilation: number[]): T {
  let result = kernel;
  dilation.forEach((rate, axis) => {
    if (rate === 1) return;
    const shape = result.shape;
    const spread = tf.pad(tf.expandDims(result, axis + 1), [
      ...shape.slice(0, axis + 1).map(() => [0, 0]),
      [0, rate - 1],
      ...shape.slice(axis + 1).map(() => [0, 0]),
    ]);
    const merged = tf.reshape(
      spread,
      shape.map((size, at) => (at === axis ? size * rate : size)),
    );
    result = tf.slice(
      merged,
      shape.map(() => 0),
      shape.map((size, at) => (at === axis ? (size - 1) * rate + 1 : size)),
    );
  });
  return result;
}

/** Where the output begins in the full one, and how long it is, on one axis (CV-20). */
function window(
  padding: unknown,
  axis: number,
  n: number,
  s: number,
  e: number,
  extra: number | null,
): [number, number] {
  const full = (n - 1) * s + e;
  if (Array.isArray(padding)) {
    const [before, after] = padding[axis] as [number, number];
    return [before, full - before - after + (extra ?? 0)];
  }
  if (padding === 'same') {
    const length = extra === null ? n * s : (n - 1) * s + (e % 2) + extra;
    return [Math.max(Math.floor((full - length) / 2), 0), length];
  }
  return [0, full + (extra ?? Math.max(s - e, 0))];
}

function convTranspose(call: Call): T {
  const { tf, inputs, attrs, params } = call;
  const shape = geometry(attrs);
  const extra = attrs.outputPadding as number[] | null | undefined;
  return channelsLast(tf, inputs[0]!, attrs.dataFormat, (x) => {
    const flat = shape.window.length === 1;
    const source = flat ? tf.expandDims(x, 1) : x;
    const kernel = dilated(tf, params.kernel!, shape.dilation);
    const filter = flat ? tf.expandDims(kernel, 0) : kernel;
    const strides = flat ? [1, ...shape.strides] : shape.strides;
    const places = source.shape.slice(1, 3).map((n, at) => (n - 1) * strides[at]! + filter.shape[at]!);
    const filters = filter.shape[2]!;
    let full = tf.conv2dTranspose(source, filter, [source.shape[0]!, ...places, filters], strides, 'valid');
    if (flat) full = tf.squeeze(full, [1]);
    const spans = x.shape.slice(1, -1).map((n, at) => {
      const e = (shape.window[at]! - 1) * shape.dilation[at]! + 1;
      return window(attrs.padding ?? 'valid', at, n, shape.strides[at]!, e, extra ? extra[at]! : null);
    });
    const beyond = spans.map(([before, length], at) => Math.max(before + length - full.shape[at + 1]!, 0));
    const wide = beyond.some((count) => count > 0)
      ? tf.pad(full, [[0, 0], ...beyond.map((count) => [0, count]), [0, 0]])
      : full;
    const begin = [0, ...spans.map(([before]) => before), 0];
    const size = [full.shape[0]!, ...spans.map(([, length]) => length), filters];
    return biased(call, tf.slice(wide, begin, size));
  });
}

function einsumDense(call: Call): T {
  const { tf, inputs, attrs, params } = call;
  return biased(call, contract(tf, String(attrs.equation), [inputs[0]!, params.kernel!]));
}

/** With `activation` left to the layer that follows (CV-14). */
export const LINEAR: Ops = {
  conv,
  convTranspose,
  depthwiseConv: (call) => {
    const work = (x: T) => biased(call, depthwise(call.tf, x, call.params.kernel!, call.attrs));
    return channelsLast(call.tf, call.inputs[0]!, call.attrs.dataFormat, work);
  },
  dense: (call) => biased(call, contract(call.tf, '...i,io->...o', [call.inputs[0]!, call.params.kernel!])),
  einsum: ({ tf, inputs, attrs }) => contract(tf, String(attrs.equation), inputs),
  einsumDense,
  separableConv: separable,
};
