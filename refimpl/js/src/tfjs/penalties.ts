// Penalties and constraints of variables, which count in training alone.

import type { CoreLayer, Plain, PlainMap } from './layer.js';
import { entryOf, isMap, isObject, lastWord } from './layer.js';

/** Roles in a config: `recurrent_kernel` is called `recurrent` there, and the kernel of a DepthwiseConv2D `depthwise`. */
function prefixOf(role: string): string {
  return role.replace(/_kernel$/, '');
}

const REGULARIZERS: Record<string, string[]> = {
  L1: ['l1'],
  L2: ['l2'],
  L1L2: ['l1', 'l2'],
  l1: ['l1'],
  l2: ['l2'],
  l1_l2: ['l1', 'l2'],
};
const CONSTRAINTS: Record<string, string> = {
  MaxNorm: 'MaxNorm',
  UnitNorm: 'UnitNorm',
  NonNeg: 'NonNeg',
  MinMaxNorm: 'MinMaxNorm',
  max_norm: 'MaxNorm',
  unit_norm: 'UnitNorm',
  non_neg: 'NonNeg',
  min_max_norm: 'MinMaxNorm',
};

/** A penalty or constraint as TensorFlow.js has it, or null. */
function penalty(kind: 'regularizer' | 'constraint', value: Plain): Plain {
  if (!isObject(value) || !isMap(value.$config)) return null;
  const name = lastWord(value.$class);
  const config = value.$config;
  if (kind === 'constraint') return entryOf(CONSTRAINTS, name) ? { class_name: CONSTRAINTS[name]!, config } : null;
  const words = entryOf(REGULARIZERS, name);
  if (!words) return null;
  const usual = words.length === 1 ? 0.01 : 0;
  const number = (word: string) => (words.includes(word) ? (config[word] ?? usual) : 0);
  return { class_name: 'L1L2', config: { l1: number('l1'), l2: number('l2') } };
}

/** Penalties and constraints of both sources: Keras' by their words in a config, the vocabulary's by the role of the variable. */
export function penalties(layer: CoreLayer, roles: Record<string, string>): PlainMap {
  const found: PlainMap = {};
  const wanted: [string, 'regularizer' | 'constraint', Plain][] = [];
  const given = layer.attrs.penalties;
  if (isMap(given)) {
    for (const [key, value] of Object.entries(given))
      wanted.push([key, key.endsWith('constraint') ? 'constraint' : 'regularizer', value]);
  }
  for (const kind of ['regularizer', 'constraint'] as const) {
    const map = layer.attrs[`${kind}s`];
    if (!isMap(map)) continue;
    for (const [role, value] of Object.entries(map))
      wanted.push([`${prefixOf(roles[role] ?? role)}_${kind}`, kind, value]);
  }
  for (const [key, kind, value] of wanted) {
    const made = penalty(kind, value);
    if (made === null) layer.notes.push(`${key} in training`);
    else found[key] = made;
  }
  return found;
}

/** Whether a layer has penalties that no op of this package heeds. */
export function hasPenalties({ attrs }: CoreLayer): boolean {
  return ['penalties', 'regularizers', 'constraints'].some(
    (key) => isMap(attrs[key]) && Object.keys(attrs[key]).length > 0,
  );
}
