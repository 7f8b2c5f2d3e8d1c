// What an op of this package gets of a layer's attributes, and how many outputs a layer has.

import * as activation from '../activation.js';
import type { CoreLayer, PlainMap } from '../layer.js';

/** Ops that are an activation of their own. */
const FUNCTIONS = new Set(['activation', 'relu', 'leaky_relu', 'elu']);

/** The op of this package for a layer. */
export function opOf({ op }: CoreLayer): string {
  return FUNCTIONS.has(op) ? 'activation' : op;
}

/** Attributes that an op of this package reads. */
export function settingsOf({ op, attrs }: CoreLayer): PlainMap {
  const none = new Set([
    'activation',
    'trainable',
    'initializers',
    'regularizers',
    'constraints',
    'penalties',
    'activity_regularizer',
    'precision',
    'rank',
    'seed',
    'use_bias',
  ]);
  const kept = Object.entries(attrs).filter(([key]) => !none.has(key));
  if (FUNCTIONS.has(op)) return functionOf(op, attrs);
  return Object.fromEntries(kept);
}

/** The function of an op that is an activation of its own. */
function functionOf(op: string, attrs: PlainMap): PlainMap {
  const own: Record<string, () => activation.Activation> = {
    activation: () => activation.ofCore(attrs.function),
    relu: () => ({ name: 'relu', parameters: pick(attrs, ['max_value', 'negative_slope', 'threshold']) }),
    leaky_relu: () => ({ name: 'leaky_relu', parameters: { negative_slope: attrs.negative_slope ?? 0.3 } }),
    elu: () => ({ name: 'elu', parameters: { alpha: attrs.alpha ?? 1 } }),
  };
  const { name, parameters } = own[op]!();
  return { function: name, parameters };
}

function pick(attrs: PlainMap, keys: string[]): PlainMap {
  return Object.fromEntries(keys.filter((key) => attrs[key] !== undefined).map((key) => [key, attrs[key]!]));
}

/** How many states a recurrent layer has. */
export function statesOf({ op, children }: CoreLayer): number {
  if (op === 'rnn') return [...children.values()].reduce((sum, cell) => sum + statesOf(cell), 0);
  return op === 'lstm' || op === 'conv_lstm' ? 2 : 1;
}

export function outputsOf({ op, attrs }: CoreLayer): number {
  if (op === 'split') return Array.isArray(attrs.sections) ? attrs.sections.length : (attrs.sections as number);
  return attrs.return_attention_scores ? 2 : 1;
}
