// Values and their tagged forms (SPEC.md chapter 5): what is none is refused.

import { compareUtf8, fromBase64, isBase64 } from '../bytes.js';
import type { Json, JsonMap } from '../canonical/json.js';
import { canonicalText } from '../canonical/json.js';
import { checkOp, checkPath, isNatural } from '../documents/names.js';
import { checkDtype, checkShape, checkTensorSize, count, widthOf } from '../dtypes.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { CORE_CLASSES } from '../vocabulary/names.js';
import { isTag } from './decode.js';

const NAMESPACE = /^[a-z][a-z0-9_]*$/;
const JSON_NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** What a value may refer to: each function says whether a name is there. */
export interface Scope {
  readonly limits: Limits;
  module(path: string): boolean;
  variable(path: string): boolean;
  asset(name: string): boolean;
  /** Also called for what it must note: which tensors a document refers to. */
  stored(name: string, at: string): boolean;
  /** Null outside of a graph, where no `$output` may stand. */
  output: ((call: string, index: number, at: string) => void) | null;
  /** Called with each object of a class of the core vocabulary. */
  object?(object: JsonMap, at: string): void;
}

/** Refuses what is no value. */
export function checkValue(value: Json, at: string, scope: Scope): void {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) checkValue(value[i] as Json, `${at}/${i}`, scope);
  } else if (value instanceof Map) {
    let tag: string | null = null;
    for (const key of value.keys()) if (isTag(key)) tag ??= key;
    if (tag === null) checkEntries(value, at, scope);
    else if (value.size !== 1 || !Object.hasOwn(TAGS, tag)) refuse('value-tag', at, show(tag));
    else (TAGS[tag] as Check)(value.get(tag) as Json, `${at}/${tag}`, scope);
  }
}

/** Refuses what is no map of values: an object without a tag. */
export function checkMap(value: Json | undefined, at: string, scope: Scope, form: string): asserts value is JsonMap {
  if (!(value instanceof Map)) refuse(form, at, `${show(value)} where a map belongs`);
  for (const key of value.keys()) {
    if (isTag(key)) refuse(form, at, `${show(key)} where a map belongs`);
  }
  checkEntries(value, at, scope);
}

/** Refuses what is no residue: a map of each framework's facts (C-16), which is not empty. */
export function checkResidue(value: Json | undefined, at: string, scope: Scope, form: string): void {
  if (!(value instanceof Map) || value.size === 0) refuse(form, at, 'a residue that is no map, or empty');
  for (const [framework, facts] of value) {
    if (!NAMESPACE.test(framework)) refuse(form, at, show(framework));
    checkMap(facts, `${at}/${framework}`, scope, form);
  }
}

type Check = (value: Json, at: string, scope: Scope) => void;

function checkEntries(map: JsonMap, at: string, scope: Scope): void {
  for (const [key, item] of map) checkValue(item, `${at}/${key}`, scope);
}

function checkList(value: Json, at: string, scope: Scope, length: number | null = null): asserts value is Json[] {
  if (!Array.isArray(value) || (length !== null && value.length !== length)) refuse('value-tag', at, show(value));
  for (let i = 0; i < value.length; i += 1) checkValue(value[i] as Json, `${at}/${i}`, scope);
}

function checkInteger(text: Json, at: string, { limits }: Scope): void {
  if (typeof text !== 'string' || !/^-?[0-9]+$/.test(text)) refuse('value-tag', at, show(text));
  const digits = text.startsWith('-') ? text.length - 1 : text.length;
  if (digits > limits.digits) refuse('value-limit', at, `${digits} digits`);
  if (!/^-?[1-9]/.test(text) || Number.isSafeInteger(Number(text))) refuse('value-not-canonical', at, show(text));
}

/** Refuses a text of a float that is not the one of its number; `integral` leaves out what a plain number says. */
function checkFloat(text: Json, at: string, integral: boolean): void {
  if (typeof text !== 'string') refuse('value-tag', at, show(text));
  if (text === 'nan' || text === 'inf' || text === '-inf' || text === '-0') return;
  if (!JSON_NUMBER.test(text)) refuse('value-tag', at, show(text));
  const number = Number(text);
  if (String(number) !== text || (integral && !Number.isInteger(number))) refuse('value-not-canonical', at, show(text));
}

function checkBase64(text: Json, at: string): asserts text is string {
  if (typeof text !== 'string' || !isBase64(text)) refuse('value-tag', at, show(text));
}

function checkSmallTensor(value: Json, at: string, { limits }: Scope): void {
  if (!(value instanceof Map) || [...value.keys()].sort().join() !== 'data,dtype,shape') {
    refuse('value-tag', at, 'other keys than data, dtype and shape');
  }
  const dtype = value.get('dtype');
  const shape = value.get('shape');
  checkDtype(dtype, `${at}/dtype`);
  const bits = widthOf(dtype);
  if (bits < 8) refuse('value-tag', `${at}/dtype`, dtype);
  checkShape(shape, `${at}/shape`, limits);
  checkTensorSize(dtype, shape, `${at}/shape`, limits);
  const text = value.get('data') as Json;
  if (typeof text === 'string' && (text.length / 4) * 3 - 2 > limits.smallTensor) {
    refuse('value-limit', at, `${text.length} characters`);
  }
  checkBase64(text, `${at}/data`);
  const size = (text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  if (size > limits.smallTensor) refuse('value-limit', at, `${size} bytes`);
  if (size !== (count(shape) * bits) / 8) refuse('value-tag', at, `${size} bytes for ${dtype} ${show(shape)}`);
  if (dtype === 'bool' && fromBase64(text).some((byte) => byte > 1)) {
    refuse('bool-value', at, 'a byte other than 0 and 1');
  }
}

function checkPairs(value: Json, at: string, scope: Scope): void {
  if (!Array.isArray(value)) refuse('value-tag', at, show(value));
  let previous: string | null = null;
  let texts = 0;
  value.forEach((pair, i) => {
    checkList(pair, `${at}/${i}`, scope, 2);
    const key = canonicalText(pair[0] as Json);
    if (previous !== null && compareUtf8(previous, key) >= 0) {
      refuse('value-not-canonical', `${at}/${i}`, 'a key out of order, or twice');
    }
    previous = key;
    if (typeof pair[0] === 'string') texts += 1;
  });
  if (texts === value.length) refuse('value-not-canonical', at, 'no key but texts');
}

function checkObject(value: Json, at: string, scope: Scope): void {
  if (!(value instanceof Map) || !value.has('class') || !value.has('config')) refuse('value-tag', at, show(value));
  for (const key of value.keys()) {
    if (key !== 'class' && key !== 'config' && key !== 'residue' && key !== 'shared')
      refuse('value-tag', at, show(key));
  }
  checkOp(value.get('class'), `${at}/class`, CORE_CLASSES);
  checkValue(value.get('config') as Json, `${at}/config`, scope);
  if (value.has('shared') && !isNatural(value.get('shared'))) {
    refuse('value-tag', `${at}/shared`, show(value.get('shared')));
  }
  if (value.has('residue')) checkResidue(value.get('residue'), `${at}/residue`, scope, 'value-tag');
  scope.object?.(value, at);
}

/** A tag whose content is a path of something that must be there (V-10). */
function reference(kind: 'module' | 'variable' | 'stored'): Check {
  return (value, at, scope) => {
    if (typeof value !== 'string') refuse('value-tag', at, show(value));
    checkPath(value, at, scope.limits);
    if (!scope[kind](value, at)) refuse('reference-missing', at, show(value));
  };
}

const TAGS: Readonly<Record<string, Check>> = {
  $int: checkInteger,
  $float: (value, at) => checkFloat(value, at, true),
  $bytes: (value, at) => checkBase64(value, at),
  $tuple: (value, at, scope) => checkList(value, at, scope),
  $complex: (value, at) => {
    if (!Array.isArray(value) || value.length !== 2) refuse('value-tag', at, show(value));
    for (const text of value) checkFloat(text, at, false);
  },
  $slice: (value, at, scope) => checkList(value, at, scope, 3),
  $ellipsis: (value, at) => {
    if (value !== true) refuse('value-tag', at, show(value));
  },
  $dtype: (value, at) => checkDtype(value, at),
  $tensor: checkSmallTensor,
  $map: checkPairs,
  $object: checkObject,
  $variable: reference('variable'),
  $module: reference('module'),
  $stored: reference('stored'),
  $asset: (value, at, scope) => {
    if (typeof value !== 'string' || !value.startsWith('assets/')) refuse('value-tag', at, show(value));
    if (!scope.asset(value)) refuse('reference-missing', at, show(value));
  },
  $output: (value, at, scope) => {
    const fits = Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isNatural(value[1]);
    if (!fits) refuse('value-tag', at, show(value));
    if (scope.output === null) refuse('reference-missing', at, 'an output outside of a graph');
    scope.output(value[0] as string, value[1] as number, at);
  },
};
