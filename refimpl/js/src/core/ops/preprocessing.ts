// Preprocessing (SPEC.md J.12).

import { add, allocate, expandDims, fold, full, map, mul, NDArray, sizeOf, where } from '../array.js';
import { refuseCall } from '../refusals.js';
import { flag, number, numbers, type Plain, text } from '../values.js';
import { type Call, type Op, type Tensor, tensorArgument } from './context.js';
import { nested } from './normalization.js';

const input = (call: Call): NDArray => call.inputs[0]!.value;

const rescale = (call: Call): NDArray => add(mul(input(call), nested(call.attrs.scale!)), nested(call.attrs.offset!));

function masking(call: Call): Tensor {
  const x = input(call);
  const skipped = number(call.attrs, 'mask_value');
  const mask = fold(x, -1, (step) => (step.some((value) => value !== skipped) ? 1 : 0), false, 'bool');
  return { value: where(expandDims(mask, mask.rank), x, full([], 0)), mask };
}

/** The terms by their places: mask, unknown, and the vocabulary. */
function termsOf(call: Call): Plain[] {
  const { mask_token: mask, oov_token: unknown, vocabulary, num_oov_indices: count } = call.attrs;
  return [...(mask === null ? [] : [mask!]), ...(count === 1 ? [unknown!] : []), ...(vocabulary as readonly Plain[])];
}

function lookup(call: Call): NDArray {
  const x = input(call);
  const terms = termsOf(call);
  if (flag(call.attrs, 'invert')) return termsAt(call, x, terms);
  const places = new Map<string, number>();
  terms.forEach((term, place) => {
    if (!places.has(String(term))) places.set(String(term), place);
  });
  if ((typeof terms.at(-1) === 'string') !== (x.kind === 'string')) refuseCall(call.where, `terms of ${x.dtype}`);
  const unknown = call.attrs.num_oov_indices === 1 ? places.get(String(call.attrs.oov_token)) : undefined;
  return map(
    x,
    (value) => {
      const term = x.terms === null ? String(value) : x.terms[value]!;
      return places.get(term) ?? unknown ?? refuseCall(call.where, `the term ${JSON.stringify(term)}`);
    },
    'int64',
  );
}

/** The term at each place, and the unknown one for a place that there is not. */
function termsAt(call: Call, x: NDArray, terms: readonly Plain[]): NDArray {
  const all = [...terms, call.attrs.oov_token!];
  const places = x.data.map((value) => {
    const place = Math.trunc(value);
    return place >= 0 && place < terms.length ? place : terms.length;
  });
  if (typeof all.at(-1) === 'string') return new NDArray(x.shape, places, 'string', all as string[]);
  return new NDArray(
    x.shape,
    places.map((place) => Number(all[place])),
    'int64',
  );
}

function oneHot(call: Call): NDArray {
  const x = input(call);
  const depth = number(call.attrs, 'num_tokens');
  const mode = text(call.attrs, 'output_mode');
  const { shape } = x;
  const vectors = allocate([...shape, depth]);
  x.data.forEach((index, i) => {
    if (Number.isInteger(index) && index >= 0 && index < depth) vectors[i * depth + index] = 1;
  });
  if (mode === 'one_hot') {
    const rows = x.rank > 1 && shape[x.rank - 1] === 1 ? shape.slice(0, -1) : shape;
    return new NDArray([...rows, depth], vectors);
  }
  if (x.rank === 0) refuseCall(call.where, 'a scalar');
  const weights = tensorArgument(call, 'count_weights');
  if (weights !== null && weights.shape.join() !== shape.join())
    refuseCall(call.where, `count_weights [${weights.shape}]`);
  const lead = shape.slice(0, -1);
  const length = shape[x.rank - 1]!;
  const data = allocate([...lead, depth]);
  for (let i = 0; i < sizeOf(shape); i++) {
    const row = Math.floor(i / length) * depth;
    for (let token = 0; token < depth; token++) {
      const hit = vectors[i * depth + token]!;
      if (mode === 'multi_hot') data[row + token] = Math.max(data[row + token]!, hit);
      else data[row + token]! += hit * (weights === null ? 1 : weights.data[i]!);
    }
  }
  return new NDArray([...lead, depth], data);
}

function discretize(call: Call): NDArray {
  const boundaries = numbers(call.attrs, 'boundaries');
  return map(input(call), (x) => boundaries.filter((boundary) => boundary <= x).length, 'int64');
}

export const PREPROCESSING: Readonly<Record<string, Op>> = {
  rescale,
  masking,
  lookup,
  one_hot: oneHot,
  discretize,
};
