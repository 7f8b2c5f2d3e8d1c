// Convolutions (SPEC.md J.3).

import { activate } from '../activations.js';
import { add, allocate, NDArray, sizeOf, stridesOf } from '../array.js';
import { refuseCall } from '../refusals.js';
import { number, numbers, numbersOrNull } from '../values.js';
import type { Call, Op } from './context.js';
import {
  type Axis,
  atPlace,
  channelsLast,
  inFormat,
  padded,
  paddings,
  placesIn,
  spatialAxes,
  windowCounts,
} from './windows.js';

/** The windows that a kernel slides over. */
interface Sliding {
  readonly x: NDArray;
  readonly axes: Axis[];
  readonly counts: number[];
  readonly sizes: readonly number[];
}

function sliding(call: Call): Sliding {
  const sizes = numbers(call.attrs, 'kernel_size');
  const strides = numbersOrNull(call.attrs, 'strides') ?? sizes.map(() => 1);
  const plain = channelsLast(call);
  const axes = spatialAxes(call, plain, sizes, strides);
  const pairs = paddings(call, axes);
  return { x: padded(plain, [[0, 0], ...pairs, [0, 0]], 0), axes, counts: windowCounts(call, axes, pairs), sizes };
}

/** Bias along the channels, the data format, and then the activation (CV-14). */
function finished(call: Call, y: NDArray): NDArray {
  const bias = call.params.bias;
  return activate(call.attrs.activation, inFormat(call, bias === undefined ? y : add(y, bias)));
}

function conv(call: Call): NDArray {
  const { x, axes, counts, sizes } = sliding(call);
  const kernel = call.params.kernel!;
  const groups = number(call.attrs, 'groups');
  const [channels, filters] = [x.shape[x.rank - 1]!, kernel.shape[kernel.rank - 1]!];
  const [each, run] = [channels / groups, filters / groups];
  if (each !== kernel.shape[kernel.rank - 2] || !Number.isInteger(run)) {
    refuseCall(call.where, `${channels} channels for a kernel [${kernel.shape}] in ${groups} groups`);
  }
  const shape = [x.shape[0]!, ...counts, filters];
  const data = allocate(shape);
  let start = 0;
  for (const place of placesIn(sizes)) {
    const seen = atPlace(x, axes, counts, place).data;
    for (let row = 0; row < data.length / filters; row++) {
      for (let c = 0; c < channels; c++) {
        const value = seen[row * channels + c]!;
        const from = start + (c % each) * filters;
        const group = Math.floor(c / each) * run;
        for (let j = group; j < group + run; j++) data[row * filters + j]! += value * kernel.data[from + j]!;
      }
    }
    start += each * filters;
  }
  return finished(call, new NDArray(shape, data));
}

/** Each channel by its own kernels: [batch, windows…, channel · multiplier]. */
function depthwise(call: Call, kernel: NDArray): NDArray {
  const { x, axes, counts, sizes } = sliding(call);
  const [channels, multiplier] = kernel.shape.slice(-2) as [number, number];
  if (channels !== x.shape[x.rank - 1]) refuseCall(call.where, `shape [${x.shape}] for a kernel [${kernel.shape}]`);
  const width = channels * multiplier;
  const shape = [x.shape[0]!, ...counts, width];
  const data = allocate(shape);
  let start = 0;
  for (const place of placesIn(sizes)) {
    const seen = atPlace(x, axes, counts, place).data;
    for (let i = 0; i < data.length; i++) {
      data[i]! += seen[Math.floor(i / multiplier)]! * kernel.data[start + (i % width)]!;
    }
    start += width;
  }
  return new NDArray(shape, data);
}

function separable(call: Call): NDArray {
  const y = depthwise(call, call.params.depthwise_kernel!);
  const pointwise = call.params.pointwise_kernel!;
  const [width, filters] = pointwise.shape.slice(-2) as [number, number];
  const shape = [...y.shape.slice(0, -1), filters];
  const data = allocate(shape);
  for (let row = 0; row < sizeOf(shape) / filters; row++) {
    for (let c = 0; c < width; c++) {
      const value = y.data[row * width + c]!;
      for (let j = 0; j < filters; j++) data[row * filters + j]! += value * pointwise.data[c * filters + j]!;
    }
  }
  return finished(call, new NDArray(shape, data));
}

/** What a transposed convolution keeps of an axis of its full output (CV-20). */
function kept(call: Call, { size, stride, extent }: Axis, i: number): { before: number; length: number } {
  const full = (size - 1) * stride + extent;
  const extra = numbersOrNull(call.attrs, 'output_padding')?.[i] ?? null;
  const padding = call.attrs.padding as string | readonly (readonly [number, number])[];
  if (padding === 'valid') return { before: 0, length: full + (extra ?? Math.max(stride - extent, 0)) };
  if (padding === 'same') {
    const length = extra === null ? size * stride : (size - 1) * stride + (extent % 2) + extra;
    return { before: Math.max(Math.floor((full - length) / 2), 0), length };
  }
  const pair = typeof padding === 'string' ? undefined : padding[i];
  if (pair === undefined) return refuseCall(call.where, `padding ${padding}`);
  return { before: pair[0], length: full - pair[0] - pair[1] + (extra ?? 0) };
}

function convTranspose(call: Call): NDArray {
  const sizes = numbers(call.attrs, 'kernel_size');
  const x = channelsLast(call);
  const kernel = call.params.kernel!;
  const axes = spatialAxes(call, x, sizes, numbersOrNull(call.attrs, 'strides') ?? sizes.map(() => 1));
  const [filters, channels] = kernel.shape.slice(-2) as [number, number];
  if (channels !== x.shape[x.rank - 1]) refuseCall(call.where, `shape [${x.shape}] for a kernel [${kernel.shape}]`);
  const keeps = axes.map((axis, i) => kept(call, axis, i));
  const shape = [x.shape[0]!, ...keeps.map(({ length }) => Math.max(length, 0)), filters];
  const data = allocate(shape);
  const strides = stridesOf(shape);
  const own = stridesOf(x.shape);
  let start = 0;
  for (const place of placesIn(sizes)) {
    for (let row = 0; row < x.size / channels; row++) {
      const first = row * channels;
      let target = Math.floor(first / own[0]!) * strides[0]!;
      const lies = axes.every((axis, i) => {
        const input = Math.floor(first / own[i + 1]!) % axis.size;
        const output = input * axis.stride + place[i]! * axis.dilation - keeps[i]!.before;
        target += output * strides[i + 1]!;
        return output >= 0 && output < shape[i + 1]!;
      });
      if (!lies) continue;
      for (let j = 0; j < filters; j++) {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += x.data[first + c]! * kernel.data[start + j * channels + c]!;
        data[target + j]! += sum;
      }
    }
    start += filters * channels;
  }
  return finished(call, new NDArray(shape, data));
}

export const CONVOLUTIONS: Readonly<Record<string, Op>> = {
  conv,
  conv_transpose: convTranspose,
  depthwise_conv: (call) => finished(call, depthwise(call, call.params.kernel!)),
  separable_conv: separable,
};
