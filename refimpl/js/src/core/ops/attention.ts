// Attention (SPEC.md J.6).

import {
  add,
  axesOf,
  broadcastShapes,
  broadcastTo,
  expandDims,
  map,
  mul,
  NDArray,
  range,
  sizeOf,
  sum,
  takeAxis,
  transpose,
  where,
  zip,
} from '../array.js';
import { einsum } from '../einsum.js';
import { sigmoid } from '../functions.js';
import { refuseCall } from '../refusals.js';
import { number, numbersOrNull, text } from '../values.js';
import {
  type Argument,
  type Call,
  dropoutFactor,
  flagArgument,
  isTensor,
  type Op,
  type Output,
  tensorArgument,
} from './context.js';

const both = (x: NDArray | null, y: NDArray | null): NDArray | null => {
  if (x === null || y === null) return x ?? y;
  return zip(x, y, (a, b) => (a && b ? 1 : 0), 'bool');
};

/** The softmax along the last axis over what is kept; 0 for the rest, and where nothing is kept (CV-120). */
function weightsOf(scores: NDArray, kept: NDArray | null): NDArray {
  const length = scores.shape[scores.rank - 1]!;
  const keeps = kept === null ? null : broadcastTo(kept, scores.shape).data;
  const data = new Float64Array(scores.size);
  for (let start = 0; start < data.length; start += length) {
    let top = Number.NEGATIVE_INFINITY;
    let whole = 0;
    const counts = (i: number): boolean => keeps === null || keeps[i] !== 0;
    for (let i = start; i < start + length; i++) if (counts(i)) top = Math.max(top, scores.data[i]!);
    for (let i = start; i < start + length; i++) {
      if (!counts(i)) continue;
      data[i] = Math.exp(scores.data[i]! - top);
      whole += data[i]!;
    }
    if (whole !== 0) for (let i = start; i < start + length; i++) data[i]! /= whole;
  }
  return new NDArray(scores.shape, data);
}

/** Key place ≤ query place. */
function causal(queries: number, keys: number): NDArray {
  const data = Float64Array.from({ length: queries * keys }, (_, i) => (i % keys <= Math.floor(i / keys) ? 1 : 0));
  return new NDArray([queries, keys], data, 'bool');
}

function dropped(call: Call, weights: NDArray): NDArray {
  const factor = dropoutFactor(call, number(call.attrs, 'dropout'));
  return factor === 1 ? weights : map(weights, (weight) => weight * factor);
}

/** The axes of a tensor as the attention sees them. */
interface Axes {
  /** Those that are treated as that of the batch. */
  readonly batch: readonly number[];
  /** Those along which queries and keys lie. */
  readonly places: readonly number[];
}

function axesOfCall(call: Call, rank: number): Axes {
  const own = call.op === 'mha' ? numbersOrNull(call.attrs, 'attention_axes') : [1];
  const places = own === null ? range(rank).slice(1, -1) : axesOf(own, rank);
  if (places.length === 0 || places.includes(0) || places.includes(rank - 1)) {
    refuseCall(call.where, `attention axes [${places}] of ${rank} axes`);
  }
  return { batch: range(rank - 1).filter((axis) => !places.includes(axis)), places };
}

/** [batch…, places…, features] as [batch, place, features]. */
function rows(x: NDArray, { batch, places }: Axes): NDArray {
  const turned = transpose(x, [...batch, ...places, ...range(x.rank).slice(batch.length + places.length)]);
  const size = (axes: readonly number[]): number => sizeOf(axes.map((axis) => x.shape[axis]!));
  return turned.reshape([size(batch), size(places), ...x.shape.slice(batch.length + places.length)]);
}

/** A mask along the leading axes of a tensor, as [batch, place]. */
function maskRows(mask: NDArray | null, like: NDArray, axes: Axes): NDArray | null {
  if (mask === null) return null;
  let found = mask;
  while (found.rank < like.rank - 1) found = expandDims(found, found.rank);
  return rows(broadcastTo(found, like.shape.slice(0, -1)), axes);
}

function project(call: Call, x: NDArray, role: string): NDArray {
  const kernel = call.params[`${role}_kernel`]!;
  if (x.shape[2] !== kernel.shape[0]) refuseCall(call.where, `${role} [${x.shape}] for a kernel [${kernel.shape}]`);
  const y = einsum('bti,inh->btnh', [x, kernel]);
  const bias = call.params[`${role}_bias`];
  return bias === undefined ? y : add(y, bias);
}

/** Pairs of queries and keys that count, [batch, heads or 1, queries, keys], or null for all of them (CV-121). */
function keptPairs(call: Call, query: NDArray, key: NDArray, value: NDArray, axes: Axes): NDArray | null {
  const mask = (name: string, i: number): NDArray | null =>
    tensorArgument(call, `${name}_mask`) ?? call.inputs[i]?.mask ?? null;
  const ofQuery = maskRows(mask('query', 0), query, axes);
  const ofKeys = both(maskRows(mask('value', 1), value, axes), maskRows(mask('key', 2), key, axes));
  const size = (x: NDArray, list: readonly number[]): number => sizeOf(list.map((axis) => x.shape[axis]!));
  const [batch, queries, keys] = [size(query, axes.batch), size(query, axes.places), size(key, axes.places)];
  let kept = ofQuery === null ? null : ofQuery.reshape([batch, 1, queries, 1]);
  kept = both(kept, ofKeys === null ? null : ofKeys.reshape([batch, 1, 1, keys]));
  if (flagArgument(call, 'use_causal_mask')) kept = both(kept, causal(queries, keys));
  const pairs = tensorArgument(call, 'attention_mask');
  if (pairs === null) return kept;
  const sizes = (x: NDArray, list: readonly number[]): number[] => list.map((axis) => x.shape[axis]!);
  let spread = pairs;
  // Without the axis of the heads it holds for all.
  while (spread.rank < axes.batch.length + 1 + 2 * axes.places.length) {
    spread = expandDims(spread, Math.max(spread.rank - 2 * axes.places.length, 0));
  }
  const shape = broadcastShapes(spread.shape, [
    ...sizes(query, axes.batch),
    1,
    ...sizes(query, axes.places),
    ...sizes(key, axes.places),
  ]);
  const heads = shape[axes.batch.length]!;
  return both(kept, broadcastTo(spread, shape).reshape([batch, heads, queries, keys]));
}

/** What `mha` and `gqa` have in common. */
function multiHead(call: Call, scale: number, keyHeads: (x: NDArray) => NDArray): Output[] {
  const { value: query, mask: carried } = call.inputs[0]!;
  const value = call.inputs[1]!.value;
  const key = call.inputs[2]?.value ?? value;
  if (key.rank !== query.rank || value.rank !== query.rank) {
    refuseCall(call.where, `query [${query.shape}], key [${key.shape}] and value [${value.shape}]`);
  }
  const axes = axesOfCall(call, query.rank);
  const asked = rows(query, axes);
  const q = map(project(call, asked, 'query'), (x) => x * scale);
  const k = keyHeads(project(call, rows(key, axes), 'key'));
  const v = keyHeads(project(call, rows(value, axes), 'value'));
  const scores = einsum('bqnh,bknh->bnqk', [q, k]);
  const weights = weightsOf(scores, keptPairs(call, query, key, value, axes));
  let sums = einsum('bnqk,bknv->bqnv', [dropped(call, weights), v]);
  if (call.params.gate_kernel !== undefined) sums = mul(sums, map(project(call, asked, 'gate'), sigmoid));
  const kernel = call.params.output_kernel!;
  const [heads, width, ...out] = kernel.shape as [number, number, ...number[]];
  const flat = einsum('bqnv,nvo->bqo', [sums, kernel.reshape([heads, width, sizeOf(out)])]);
  const lead = [...axes.batch, ...axes.places].map((axis) => query.shape[axis]!);
  const laid = flat.reshape([...lead, ...out]);
  const bias = call.params.output_bias;
  const y = bias === undefined ? laid : add(laid, bias);
  const back = [...axes.batch, ...axes.places];
  const order = [
    ...range(back.length).map((axis) => back.indexOf(axis)),
    ...range(out.length).map((i) => back.length + i),
  ];
  const result = { value: transpose(y, order), mask: tensorArgument(call, 'query_mask') ?? carried };
  if (!flagArgument(call, 'return_attention_scores')) return [result];
  const sizes = (x: NDArray, list: readonly number[]): number[] => list.map((axis) => x.shape[axis]!);
  const shape = [...sizes(query, axes.batch), heads, ...sizes(query, axes.places), ...sizes(key, axes.places)];
  return [result, { value: weights.reshape(shape), mask: null }];
}

function groupedHeads(call: Call): (x: NDArray) => NDArray {
  const [queries, keys] = [number(call.attrs, 'num_query_heads'), number(call.attrs, 'num_key_value_heads')];
  return (x) =>
    takeAxis(
      x,
      2,
      range(queries).map((head) => Math.floor((head * keys) / queries)),
    );
}

/** Products of queries and keys, or sums of the tanh of their sums. */
function plainScores(call: Call, query: NDArray, key: NDArray): NDArray {
  const scale = call.params.scale;
  if (call.op === 'dot_attention' && text(call.attrs, 'score_mode') === 'dot') {
    const products = einsum('...qd,...kd->...qk', [query, key]);
    return scale === undefined ? products : mul(products, scale);
  }
  const sums = add(expandDims(query, query.rank - 1), expandDims(key, key.rank - 2));
  if (call.op === 'additive_attention') {
    const bent = map(sums, Math.tanh);
    return sum(scale === undefined ? bent : mul(bent, scale), -1);
  }
  const bent = map(scale === undefined ? sums : mul(sums, scale), Math.tanh);
  return mul(sum(bent, -1), call.params.concat_score_weight!);
}

/** `dot_attention` and `additive_attention`. */
function plain(call: Call): Output[] {
  const query = call.inputs[0]!.value;
  const value = call.inputs[1]!.value;
  const key = call.inputs[2]?.value ?? value;
  if ([query, value, key].some((each) => each.rank < 2)) refuseCall(call.where, `query [${query.shape}]`);
  const given = call.kwargs.mask ?? [];
  const masks = Array.isArray(given) ? (given as readonly Argument[]) : [given];
  const mask = (i: number): NDArray | null => {
    const own = masks[i];
    return isTensor(own) ? own.value : (call.inputs[i]?.mask ?? null);
  };
  const scores = plainScores(call, query, key);
  const ofValue = mask(1);
  let kept = ofValue === null ? null : expandDims(ofValue, ofValue.rank - 1);
  if (flagArgument(call, 'use_causal_mask')) {
    kept = both(kept, causal(scores.shape[scores.rank - 2]!, scores.shape[scores.rank - 1]!));
  }
  const weights = dropped(call, weightsOf(scores, kept));
  const sums = einsum('...qk,...kd->...qd', [weights, value]);
  const ofQuery = mask(0);
  const y =
    ofQuery === null
      ? sums
      : where(
          expandDims(ofQuery, ofQuery.rank),
          sums,
          map(sums, () => 0),
        );
  const result = { value: y, mask: ofQuery };
  return flagArgument(call, 'return_attention_scores') ? [result, { value: weights, mask: null }] : [result];
}

export const ATTENTION: Readonly<Record<string, Op>> = {
  mha: (call) => multiHead(call, 1 / Math.sqrt(number(call.attrs, 'key_dim')), (x) => x),
  gqa: (call) => multiHead(call, 1 / Math.sqrt(number(call.attrs, 'head_dim')), groupedHeads(call)),
  dot_attention: plain,
  additive_attention: plain,
};
