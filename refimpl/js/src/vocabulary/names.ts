// The names of the core vocabulary (C-9).

import { VOCABULARY } from './data.js';

/** Kinds of classes: `core:<kind>.<name>`. */
export const OBJECT_KINDS = [
  'activations',
  'constraints',
  'initializers',
  'losses',
  'metrics',
  'regularizers',
  'schedules',
] as const;

/** Names of ops, without the namespace. */
export const CORE_OPS: ReadonlySet<string> = new Set(Object.keys(VOCABULARY.ops));

/** Names of classes, `<kind>.<name>`. */
export const CORE_CLASSES: ReadonlySet<string> = new Set(
  OBJECT_KINDS.flatMap((kind) => Object.keys(VOCABULARY[kind]).map((name) => `${kind}.${name}`)),
);

/** Names of algorithms of optimizers. */
export const CORE_ALGORITHMS: ReadonlySet<string> = new Set(Object.keys(VOCABULARY.optimizers));
