// Attention in the core vocabulary (J.6), which TensorFlow.js has no layers for.

import type { T, TensorFlow } from '../tensorflow.js';
import { contract } from './einsum.js';
import type { Call, Ops } from './ops.js';

const FAR = -1e30;
const LETTERS = 'cdefghijklmn';

/** Softmax over the last axes where a mask is true: 0 elsewhere, and all 0 where nothing is left (CV-120). */
function weights(tf: TensorFlow, scores: T, kept: T | null): T {
  if (!kept) return tf.softmax(scores);
  const mask = tf.broadcastTo(tf.cast(kept, 'float32'), scores.shape);
  const bounded = tf.add(tf.mul(scores, mask), tf.mul(tf.sub(1, mask), FAR));
  return tf.mul(tf.softmax(bounded), mask);
}

function thinned(call: Call, given: T): T {
  const { tf, attrs, training } = call;
  const rate = (attrs.dropout as number | undefined) ?? 0;
  if (!training || rate === 0) return given;
  const kept = tf.cast(tf.greaterEqual(tf.randomUniform(given.shape), rate), 'float32');
  return tf.mul(given, tf.div(kept, 1 - rate));
}

function both(tf: TensorFlow, one: T | null, other: T | null): T | null {
  return one && other ? tf.mul(one, other) : (one ?? other);
}

function flag(tf: TensorFlow, mask: T): T {
  return tf.cast(tf.notEqual(mask, 0), 'float32');
}

/** Pairs of query and key that count, [batch, 1, queries, keys] or with the heads (CV-121); null where all do. */
function pairs({ tf, named, attrs }: Call, queries: number, keys: number): T | null {
  let kept: T | null = null;
  if (named.queryMask) kept = both(tf, kept, tf.reshape(flag(tf, named.queryMask), [-1, 1, queries, 1]));
  for (const mask of [named.valueMask, named.keyMask]) {
    if (mask) kept = both(tf, kept, tf.reshape(flag(tf, mask), [-1, 1, 1, keys]));
  }
  if (named.attentionMask) {
    const mask = flag(tf, named.attentionMask);
    kept = both(tf, kept, mask.rank === 4 ? mask : tf.expandDims(mask, 1));
  }
  if (attrs.useCausalMask) {
    const places = (count: number) => tf.tensor([...new Array(count).keys()], [count], 'int32');
    const earlier = tf.lessEqual(tf.expandDims(places(keys), 0), tf.expandDims(places(queries), 1));
    kept = both(tf, kept, tf.reshape(tf.cast(earlier, 'float32'), [1, 1, queries, keys]));
  }
  return kept;
}

function projected({ tf, params }: Call, x: T, role: string): T {
  const kernel = params[`${role}_kernel`]!;
  const y = contract(tf, '...i,ihd->...hd', [x, kernel]);
  const bias = params[`${role}_bias`];
  return bias ? tf.add(y, bias) : y;
}

/** Attention along some axes [batch, …, features] of a query and keys: those axes made one, all others the batch. */
function mha(call: Call): T | T[] {
  const { tf, inputs, attrs, params } = call;
  const [query, value] = inputs as [T, T];
  const key = inputs[2] ?? value;
  const rank = query.rank;
  const axes =
    (attrs.attentionAxes as number[] | null | undefined)?.map((axis) => (axis + rank) % rank) ??
    [...new Array(rank - 2).keys()].map((at) => at + 1);
  const rest = [...new Array(rank - 1).keys()].filter((axis) => !axes.includes(axis));
  const order = [...rest, ...axes, rank - 1];
  const rows = (x: T) => {
    const turned = tf.transpose(x, order);
    const batch = turned.shape.slice(0, rest.length).reduce((product, size) => product * size, 1);
    return tf.reshape(turned, [batch, -1, turned.shape.at(-1)!]);
  };
  const [q, k, v] = [
    projected(call, rows(query), 'query'),
    projected(call, rows(key), 'key'),
    projected(call, rows(value), 'value'),
  ];
  const scores = tf.mul(contract(tf, 'bqhd,bkhd->bhqk', [q, k]), 1 / Math.sqrt(attrs.keyDim as number));
  const given = weights(tf, scores, pairs(call, scores.shape[2]!, scores.shape[3]!));
  const mixed = contract(tf, 'bhqk,bkhd->bqhd', [thinned(call, given), v]);
  const out = params.output_kernel!;
  const tail = LETTERS.slice(0, out.rank - 2).replace('h', 'x');
  const flat = contract(tf, `bqhv,hv${tail}->bq${tail}`, [mixed, out]);
  const biased = params.output_bias ? tf.add(flat, params.output_bias) : flat;
  const turned = [...rest, ...axes].map((axis) => query.shape[axis]!);
  const shaped = tf.reshape(biased, [...turned, ...out.shape.slice(2)]);
  const back = [...rest, ...axes].map((_, at) => [...rest, ...axes].indexOf(at));
  const y = tf.transpose(shaped, [...back, ...out.shape.slice(2).map((_, at) => rank - 1 + at)]);
  return attrs.returnAttentionScores ? [y, given] : y;
}

function gqa(call: Call): T | T[] {
  const { tf, inputs, attrs, params } = call;
  const [query, value] = inputs as [T, T];
  const key = inputs[2] ?? value;
  const [heads, groups] = [attrs.numQueryHeads as number, attrs.numKeyValueHeads as number];
  const q = projected(call, query, 'query');
  const indices = tf.tensor(
    [...new Array(heads).keys()].map((head) => Math.floor((head * groups) / heads)),
    [heads],
    'int32',
  );
  const spread = (x: T) => tf.gather(x, indices, 2);
  const [k, v] = [spread(projected(call, key, 'key')), spread(projected(call, value, 'value'))];
  const scores = tf.mul(contract(tf, 'bqhd,bkhd->bhqk', [q, k]), 1 / Math.sqrt(attrs.headDim as number));
  const given = weights(tf, scores, pairs(call, scores.shape[2]!, scores.shape[3]!));
  let mixed = contract(tf, 'bhqk,bkhd->bqhd', [thinned(call, given), v]);
  if (attrs.useGate) mixed = tf.mul(mixed, tf.sigmoid(projected(call, query, 'gate')));
  const flat = contract(tf, 'bqhd,hdo->bqo', [mixed, params.output_kernel!]);
  const y = params.output_bias ? tf.add(flat, params.output_bias) : flat;
  return attrs.returnAttentionScores ? [y, given] : y;
}

/** Scores [batch, queries, keys] into the output of the two attentions without heads (CV-125, CV-126). */
function attended(call: Call, scores: T, value: T): T | T[] {
  const { tf, attrs, named } = call;
  const causal = { ...call, named: { valueMask: named.valueMask } };
  const kept = pairs(causal, scores.shape[1]!, scores.shape[2]!);
  const given = thinned(call, weights(tf, scores, kept ? tf.squeeze(kept, [1]) : null));
  let y = tf.matMul(given, value);
  if (named.queryMask) y = tf.mul(y, tf.expandDims(flag(tf, named.queryMask), -1));
  return attrs.returnAttentionScores ? [y, given] : y;
}

function dotAttention(call: Call): T | T[] {
  const { tf, inputs, attrs, params } = call;
  const [query, value] = inputs as [T, T];
  const key = inputs[2] ?? value;
  const scale = (x: T) => (params.scale ? tf.mul(x, params.scale) : x);
  if (attrs.scoreMode !== 'concat') return attended(call, scale(tf.matMul(query, key, false, true)), value);
  const sums = tf.add(tf.expandDims(query, 2), tf.expandDims(key, 1));
  const scores = tf.mul(tf.sum(tf.tanh(scale(sums)), 3), params.concat_score_weight!);
  return attended(call, scores, value);
}

function additiveAttention(call: Call): T | T[] {
  const { tf, inputs, params } = call;
  const [query, value] = inputs as [T, T];
  const key = inputs[2] ?? value;
  const sums = tf.tanh(tf.add(tf.expandDims(query, 2), tf.expandDims(key, 1)));
  return attended(call, tf.sum(params.scale ? tf.mul(sums, params.scale) : sums, 3), value);
}

export const ATTENTION: Ops = { additiveAttention, dotAttention, gqa, mha };
