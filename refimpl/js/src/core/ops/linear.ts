// Linear ops (SPEC.md J.3).

import { activate } from '../activations.js';
import { add, allocate, map, type NDArray } from '../array.js';
import { einsum } from '../einsum.js';
import { refuseCall } from '../refusals.js';
import { flag, number, text } from '../values.js';
import type { Call, Op, Tensor } from './context.js';

/** Bias and activation, which come last (CV-14). */
function finish(call: Call, y: NDArray): NDArray {
  const bias = call.params.bias;
  return activate(call.attrs.activation, bias === undefined ? y : add(y, bias));
}

function dense(call: Call): NDArray {
  const x = call.inputs[0]!.value;
  const kernel = call.params.kernel!;
  if (x.rank === 0 || x.shape[x.rank - 1] !== kernel.shape[0]) {
    refuseCall(call.where, `shape [${x.shape}] for a kernel [${kernel.shape}]`);
  }
  return finish(call, einsum('...i,io->...o', [x, kernel]));
}

function einsumDense(call: Call): NDArray {
  return finish(call, einsum(text(call.attrs, 'equation'), [call.inputs[0]!.value, call.params.kernel!]));
}

function embedding(call: Call): Tensor {
  const indices = call.inputs[0]!.value;
  const table = call.params.embeddings!;
  const [rows, width] = table.shape as [number, number];
  const data = allocate([...indices.shape, width]);
  indices.data.forEach((index, i) => {
    const row = Math.trunc(index);
    if (!(row >= 0 && row < rows)) refuseCall(call.where, `index ${index} of ${number(call.attrs, 'input_dim')} rows`);
    data.set(table.data.subarray(row * width, (row + 1) * width), i * width);
  });
  const mask = flag(call.attrs, 'mask_zero')
    ? map(indices, (index) => (Math.trunc(index) === 0 ? 0 : 1), 'bool')
    : null;
  return { value: table.like([...indices.shape, width], data), mask };
}

export const LINEAR: Readonly<Record<string, Op>> = { dense, einsum_dense: einsumDense, embedding };
