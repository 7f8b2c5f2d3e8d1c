// Attributes with the defaults that CV-1 leaves out.

import { VOCABULARY } from '../vocabulary/data.js';
import type { Kind } from '../vocabulary/types.js';
import { refuseCall } from './refusals.js';
import type { Attrs, Plain } from './values.js';

type ObjectKind = 'activations' | 'initializers' | 'regularizers' | 'constraints' | 'losses' | 'metrics' | 'schedules';

/** The parameters of an object of the vocabulary, those that it leaves out included. */
export function withDefaults(kind: ObjectKind, name: string, config: Attrs): Attrs {
  const entry = Object.hasOwn(VOCABULARY[kind], name) ? VOCABULARY[kind][name] : undefined;
  if (entry === undefined) return refuseCall(`core:${kind}.${name}`, 'no such name in the vocabulary');
  return filled(entry.attrs ?? {}, config, `core:${kind}.${name}`);
}

/** The attributes of an op, the common ones included. */
export function opAttrs(op: string, attrs: Attrs): Attrs {
  return filled({ ...VOCABULARY.common_attrs, ...VOCABULARY.ops[op]!.attrs }, attrs, `core:${op}`);
}

/** The hyperparameters of an optimizer, the common ones included. */
export function hyperparametersOf(algorithm: string, own: Attrs): Attrs {
  const entry = VOCABULARY.optimizers[algorithm]!;
  return filled({ ...VOCABULARY.common_hyperparameters, ...entry.hyperparameters }, own, `core:${algorithm}`);
}

function filled(kinds: Readonly<Record<string, Kind>>, own: Attrs, where: string): Attrs {
  const found: Record<string, Plain> = { ...own };
  const unknown = Object.keys(own).find((name) => !Object.hasOwn(kinds, name));
  if (unknown !== undefined) refuseCall(where, `a parameter ${unknown}, which it does not have`);
  for (const [name, kind] of Object.entries(kinds)) {
    if (Object.hasOwn(found, name)) continue;
    if (!('default' in kind)) refuseCall(where, `no ${name}, which has no default`);
    found[name] = kind.default as Plain;
  }
  return found;
}
