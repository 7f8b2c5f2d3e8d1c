// The arguments of a call: which tensors it takes in which order, and what else.

import type { OutputRef } from '../values/classes.js';
import { OutputRef as Ref } from '../values/classes.js';
import { VOCABULARY } from '../vocabulary/data.js';
import type { Plain, PlainMap } from './layer.js';
import { entryOf, isMap, unsupported } from './layer.js';

/** Arguments in the order of the op's inputs; a hole is null. */
export interface Arguments {
  readonly inputs: Plain[];
  /** First states of a recurrent op. */
  readonly states: OutputRef[];
  /** Tensors by name: masks and weights. */
  readonly named: Map<string, OutputRef>;
  /** Settings that a call gives: `return_attention_scores`, `use_causal_mask`. */
  readonly settings: PlainMap;
  readonly training: Plain;
}

const TENSORS = new Set(['mask', 'attention_mask', 'query_mask', 'value_mask', 'key_mask', 'count_weights']);
const SETTINGS = new Set(['return_attention_scores', 'use_causal_mask']);

export function references(value: Plain): OutputRef[] {
  if (value instanceof Ref) return [value];
  if (Array.isArray(value)) return value.flatMap(references);
  return isMap(value) ? Object.values(value).flatMap(references) : [];
}

/** Positional arguments without the lists that hold tensors: [a, [b, c]] is a, b, c; a list of numbers is one argument. */
function flat(args: Plain[]): Plain[] {
  return args.flatMap((arg) => (Array.isArray(arg) && references(arg).length ? flat(arg) : [arg]));
}

/** The names of an op's inputs, and whether the last one is many. */
function inputsOf(op: string): string[] {
  const listed = entryOf(VOCABULARY.ops, op)?.inputs ?? ['x'];
  return listed.map((name) => name.replace(/[*?]$|\.\.\.$/, ''));
}

/** Sort the arguments of a call. */
export function argumentsOf(op: string, args: Plain[], kwargs: PlainMap): Arguments {
  const names = inputsOf(op);
  const positional = flat(args);
  const states: OutputRef[] = [];
  const named = new Map<string, OutputRef>();
  const settings: PlainMap = {};
  let training: Plain = null;
  for (const [key, value] of Object.entries(kwargs)) {
    if (value === null || value === undefined) continue;
    const place = names.indexOf(key);
    if (key === 'training') training = value;
    else if (key === 'initial_state') states.push(...references(value));
    else if (key === 'mask' && Array.isArray(value)) {
      value.forEach((mask, at) => {
        if (mask instanceof Ref) named.set(['query_mask', 'value_mask', 'key_mask'][at] ?? 'mask', mask);
      });
    } else if (place >= 0) positional[place] = value;
    else if (TENSORS.has(key) && value instanceof Ref) named.set(key, value);
    else if (SETTINGS.has(key)) settings[key] = value;
    else if (!isDefault(value)) unsupported(`the argument ${key} of a call`);
  }
  const inputs = Array.from(positional, (value) => value ?? null);
  if (names.includes('initial_state')) states.unshift(...(inputs.splice(1) as OutputRef[]));
  while (inputs.length > 1 && inputs.at(-1) === null) inputs.pop();
  return { inputs, states, named, settings, training };
}

function isDefault(value: Plain): boolean {
  return value === false || (Array.isArray(value) && value.length === 0);
}
