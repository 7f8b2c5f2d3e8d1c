// Whether a value is of the kind that the core vocabulary names (CV-2).

import type { Json, JsonMap } from '../canonical/json.js';
import { canonicalText } from '../canonical/json.js';
import { DTYPES } from '../dtypes.js';
import { floatOf } from '../values/decode.js';
import { VOCABULARY } from './data.js';
import type { Kind } from './types.js';

type Test = (value: Json) => boolean;

const COMPUTE = new Set(['bfloat16', 'float16', 'float32', 'float64']);
const INTEGERS = new Set(['int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64']);

/** Whether a value is of a kind; a default that is none of it, as null may be, is taken by nobody (CV-1). */
export function fits(kind: Kind, value: Json): boolean {
  if (kind.enum !== undefined) return kind.enum.some((choice) => choice === value);
  if (kind.$ref !== undefined) return (KINDS[kind.$ref.split('/').at(-1) as string] as Test)(value);
  const types = typeof kind.type === 'string' ? [kind.type] : (kind.type ?? []);
  return types.some((type) => (TYPES[type] as Test)(value)) && !(isNumber(value) && below(value, kind.minimum));
}

/** Whether a value is the default of its kind, which is left out (CV-1). */
export function isDefault(kind: Kind, value: Json): boolean {
  if (!Object.hasOwn(kind, 'default')) return false;
  return plainText(value) === plainText(kind.default as Json);
}

/** The text of a value in which a float has no tag: whether it is a float was looked at before. */
function plainText(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(plainText).join()}]`;
  if (value instanceof Map) {
    const text = value.size === 1 ? value.get('$float') : undefined;
    if (typeof text === 'string') return String(floatOf(text));
    return `{${[...value].map(([key, item]) => `${JSON.stringify(key)}:${plainText(item)}`).join()}}`;
  }
  // A default of the vocabulary that is an empty object is no Map.
  if (value !== null && typeof value === 'object') return '{}';
  return canonicalText(value);
}

function isNumber(value: Json): value is number {
  return typeof value === 'number';
}

function below(value: number, minimum: number | undefined): boolean {
  return minimum !== undefined && value < minimum;
}

const isInteger: Test = (value) =>
  Number.isInteger(value) || (value instanceof Map && value.size === 1 && value.has('$int'));
const isFloat: Test = (value) =>
  (typeof value === 'number' && !Number.isInteger(value)) ||
  (value instanceof Map && value.size === 1 && value.has('$float'));
const isText: Test = (value) => typeof value === 'string';
const isNatural: Test = (value) => Number.isInteger(value) && (value as number) >= 0;
const isPositive: Test = (value) => Number.isInteger(value) && (value as number) >= 1;
const orNull =
  (test: Test): Test =>
  (value) =>
    value === null || test(value);
const listOf =
  (test: Test, least = 0, most = Number.POSITIVE_INFINITY): Test =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.length <= most && value.every(test);
const either =
  (...tests: Test[]): Test =>
  (value) =>
    tests.some((test) => test(value));

/** An `$object` of a kind of class of the vocabulary; what its config is was looked at where it stands. */
function objectOf(kind: string): Test {
  return (value) => {
    const object = value instanceof Map && value.size === 1 ? value.get('$object') : undefined;
    return object instanceof Map && String(object.get('class')).startsWith(`core:${kind}.`);
  };
}

/** An activation by its name, which has no parameters without a default, or with parameters (CV-4). */
const isActivation: Test = (value) => {
  if (typeof value === 'string') {
    const attrs = Object.hasOwn(VOCABULARY.activations, value) ? (VOCABULARY.activations[value]?.attrs ?? {}) : null;
    return attrs !== null && Object.values(attrs).every((kind) => Object.hasOwn(kind, 'default'));
  }
  if (!objectOf('activations')(value)) return false;
  const config = ((value as JsonMap).get('$object') as JsonMap).get('config');
  return config instanceof Map && config.size > 0;
};

const isPrecision: Test = (value) =>
  value === null ||
  (value instanceof Map &&
    [...value.keys()].sort().join() === 'compute_dtype,variable_dtype' &&
    [...value.values()].every((dtype) => COMPUTE.has(dtype as string)));

const isDistinct: Test = (value) => Array.isArray(value) && new Set(value.map(canonicalText)).size === value.length;
const isNested: Test = (value) => isFloat(value) || listOf(isNested, 1)(value);
const isSize = listOf(isNatural, 2, 2);
const isIndexed = either(isInteger, (value) => value === 'newaxis' || value === '...', listOf(orNull(isInteger), 3, 3));

const TYPES: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === 'boolean',
  integer: isInteger,
  string: isText,
  null: (value) => value === null,
};

const KINDS: Readonly<Record<string, Test>> = {
  number: isFloat,
  number_or_null: orNull(isFloat),
  numbers: isNested,
  number_list: listOf(isFloat),
  number_list_or_null: orNull(listOf(isFloat)),
  integers: listOf(isInteger),
  integers_or_null: orNull(listOf(isInteger)),
  sizes: listOf(isPositive, 1),
  shape: listOf(orNull(isNatural)),
  shape_or_null: orNull(listOf(orNull(isNatural))),
  axes: orNull(listOf(isInteger)),
  axis: either(isInteger, listOf(isInteger)),
  axis_or_null: orNull(either(isInteger, listOf(isInteger))),
  pairs: listOf(isSize),
  pair: either(isInteger, listOf(isInteger, 2, 2)),
  padding: either((value) => ['valid', 'same', 'causal'].includes(value as string), listOf(isSize, 1)),
  index: listOf(isIndexed),
  sections: either(isPositive, listOf(isNatural, 1)),
  thresholds: either(orNull(isFloat), listOf(isFloat)),
  dtype: (value) => typeof value === 'string' && DTYPES.has(value),
  float_dtype: (value) => COMPUTE.has(value as string),
  number_dtype: (value) => COMPUTE.has(value as string) || INTEGERS.has(value as string),
  seed: either(orNull(isInteger), isText),
  activation: isActivation,
  object_or_null: orNull(objectOf('regularizers')),
  precision: isPrecision,
  term: either(isText, isInteger),
  term_or_null: orNull(either(isText, isInteger)),
  terms: (value) => either(listOf(isText, 1), listOf(isInteger, 1))(value) && isDistinct(value),
  paths: listOf(isText),
};

/** The kinds of objects that the maps of the common attributes hold, by role (CV-8). */
export const BY_ROLE: Readonly<Record<string, Test>> = {
  initializers: objectOf('initializers'),
  regularizers: objectOf('regularizers'),
  constraints: objectOf('constraints'),
};
