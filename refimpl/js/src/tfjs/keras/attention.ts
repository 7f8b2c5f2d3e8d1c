// Attention layers of Keras.

import type { Plain } from '../layer.js';
import { adderTo, type Classes, type KerasLayer, listOf, need } from './table.js';

/** Classes of this family. */
export const ATTENTION: Classes = {};
const add = adderTo(ATTENTION);

/** Kernels and biases that Keras keeps in layers of their own (KC-4). */
function projections(layer: KerasLayer, names: string[]): Map<string, string> {
  const params = new Map<string, string>();
  for (const name of names) {
    for (const [role, path] of layer.modules.get(`${name}_dense`)?.params ?? []) params.set(`${name}_${role}`, path);
  }
  return params;
}

add('MultiHeadAttention', (layer, a) => {
  need(a, { use_gate: false, sliding_window: null });
  const output = a.output_shape === null || a.output_shape === undefined ? null : (listOf(a.output_shape) as Plain);
  return {
    op: 'mha',
    attrs: {
      num_heads: a.num_heads!,
      key_dim: a.key_dim!,
      value_dim: a.value_dim ?? null,
      output_dim: output,
      attention_axes: a.attention_axes ?? null,
      use_bias: a.use_bias ?? true,
      dropout: a.dropout ?? 0,
    },
    params: projections(layer, ['query', 'key', 'value', 'output']),
  };
});
add('GroupQueryAttention GroupedQueryAttention', (layer, a) => {
  need(a, { sliding_window: null });
  return {
    op: 'gqa',
    attrs: {
      num_query_heads: a.num_query_heads!,
      num_key_value_heads: a.num_key_value_heads!,
      head_dim: a.head_dim!,
      use_bias: a.use_bias ?? true,
      use_gate: a.use_gate ?? false,
      dropout: a.dropout ?? 0,
    },
    params: projections(layer, ['query', 'key', 'value', 'gate', 'output']),
  };
});
add('Attention', (_, a) => ({
  op: 'dot_attention',
  attrs: { use_scale: a.use_scale ?? false, score_mode: a.score_mode ?? 'dot', dropout: a.dropout ?? 0 },
}));
add('AdditiveAttention', (_, a) => ({
  op: 'additive_attention',
  attrs: { use_scale: a.use_scale ?? true, dropout: a.dropout ?? 0 },
}));
