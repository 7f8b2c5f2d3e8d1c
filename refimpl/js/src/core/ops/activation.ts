// Activations as ops of their own (SPEC.md J.7).

import { activate, activateBy } from '../activations.js';
import { axesOf, broadcastTo, NDArray, range, sizeOf, transpose, zip } from '../array.js';
import { axes } from '../values.js';
import { type Call, type Op, type Output, tensorArgument } from './context.js';

const named = (call: Call): NDArray => activateBy(call.op, call.attrs, call.inputs[0]!.value);

function prelu(call: Call): NDArray {
  const alpha = call.params.alpha!;
  return zip(call.inputs[0]!.value, alpha.reshape([1, ...alpha.shape]), (x, slope) => (x < 0 ? slope * x : x));
}

/** The softmax along several axes together; what the mask excludes counts as 0. */
function softmax(call: Call): Output {
  const { value: x, mask: carried } = call.inputs[0]!;
  const over = axesOf(axes(call.attrs, 'axes'), x.rank);
  const order = [...range(x.rank).filter((axis) => !over.includes(axis)), ...over];
  const rows = transpose(x, order);
  const mask = tensorArgument(call, 'mask');
  const counts = mask === null ? null : transpose(broadcastTo(mask, x.shape), order).data;
  const length = sizeOf(over.map((axis) => x.shape[axis]!));
  const data = new Float64Array(x.size);
  for (let start = 0; start < data.length; start += length) {
    const places = range(length)
      .map((i) => start + i)
      .filter((i) => counts === null || counts[i] !== 0);
    const top = places.reduce((largest, i) => Math.max(largest, rows.data[i]!), Number.NEGATIVE_INFINITY);
    let whole = 0;
    for (const i of places) {
      data[i] = Math.exp(rows.data[i]! - top);
      whole += data[i]!;
    }
    for (const i of places) data[i]! /= whole;
  }
  const back = range(x.rank).map((axis) => order.indexOf(axis));
  return { value: transpose(new NDArray(rows.shape, data), back), mask: carried };
}

export const ACTIVATIONS: Readonly<Record<string, Op>> = {
  activation: (call) => activate(call.attrs.function, call.inputs[0]!.value),
  relu: named,
  leaky_relu: named,
  elu: named,
  prelu,
  softmax,
};
