// Values and their tagged forms (SPEC.md chapter 5), in JSON documents.

import { DTYPES, checkDtype, checkShape, checkTensorSize, count } from './dtypes.mjs';
import { refuse, show } from './errors.mjs';
import { encode } from './json.mjs';
import { checkPath, isNatural } from './names.mjs';

const DIGITS_LIMIT = 1024;
const TENSOR_DATA_LIMIT = 1024 * 1024;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/;
const OP = /^[a-z][a-z0-9_]*:[^\u0000-\u0020\u007f]+$/; // eslint-disable-line no-control-regex
const NAMESPACE = /^[a-z][a-z0-9_]*$/;

/**
 * Refuses what is no value.
 *
 * `names` answers what a value may refer to: an object with the functions module, asset, variable and stored, each from a
 * name to whether it exists.
 */
export function checkValue(value, at, names) {
  if (Array.isArray(value)) value.forEach((item, i) => checkValue(item, `${at}/${i}`, names));
  else if (value instanceof Map) {
    const tag = [...value.keys()].find(isTag);
    if (tag === undefined) checkEntries(value, at, names);
    else if (value.size !== 1 || !TAGS.has(tag)) refuse('value-tag', at, show(tag));
    else TAGS.get(tag)(value.get(tag), `${at}/${tag}`, names);
  }
}

/** Refuses what is no map of values: an object without a tag. */
export function checkMap(value, at, names, form) {
  if (!(value instanceof Map)) refuse(form, at, `${show(value)} where a map belongs`);
  const tag = [...value.keys()].find(isTag);
  if (tag !== undefined) refuse(form, at, `${show(tag)} where a map belongs`);
  checkEntries(value, at, names);
}

/** Refuses what is no residue: a map of each framework's facts (C-16). */
export function checkResidue(value, at, names, form) {
  if (!(value instanceof Map) || value.size === 0) refuse(form, at, 'a residue that is no map, or empty');
  for (const [framework, facts] of value) {
    if (!NAMESPACE.test(framework)) refuse(form, at, show(framework));
    checkMap(facts, `${at}/${framework}`, names, form);
  }
}

/** Refuses bytes that are not base64 in its one form (V-5). */
export function decodeBase64(text, at) {
  if (typeof text !== 'string' || !BASE64.test(text)) refuse('value-tag', at, show(text));
  return Buffer.from(text, 'base64');
}

function isTag(key) {
  return key.startsWith('$') && !key.startsWith('$$');
}

function checkEntries(map, at, names) {
  for (const [key, item] of map) checkValue(item, `${at}/${key}`, names);
}

function checkList(value, at, names, length = null) {
  if (!Array.isArray(value) || (length !== null && value.length !== length)) refuse('value-tag', at, show(value));
  value.forEach((item, i) => checkValue(item, `${at}/${i}`, names));
}

function checkInteger(text, at) {
  if (typeof text !== 'string' || !/^[+-]?[0-9]+$/.test(text)) refuse('value-tag', at, show(text));
  if (text.replace(/^[+-]/, '').length > DIGITS_LIMIT) refuse('value-limit', at, `${text.length} digits`);
  const canonical = /^-?[1-9][0-9]*$/.test(text) && !Number.isSafeInteger(Number(text));
  if (!canonical) refuse('value-not-canonical', at, show(text));
}

/** Refuses a text of a float that is not the one of its number; `integral` leaves out what a plain number says. */
function checkFloat(text, at, integral) {
  if (typeof text !== 'string') refuse('value-tag', at, show(text));
  if (['nan', 'inf', '-inf', '-0'].includes(text)) return;
  if (!/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)) refuse('value-tag', at, show(text));
  const number = Number(text);
  if (String(number) !== text || (integral && !Number.isInteger(number))) refuse('value-not-canonical', at, show(text));
}

function checkSmallTensor(value, at) {
  if (!(value instanceof Map) || [...value.keys()].join() !== 'data,dtype,shape') refuse('value-tag', at, 'other keys');
  const dtype = value.get('dtype');
  const shape = value.get('shape');
  checkDtype(dtype, `${at}/dtype`);
  const [bits] = DTYPES.get(dtype);
  if (bits < 8) refuse('value-tag', `${at}/dtype`, dtype);
  checkShape(shape, `${at}/shape`);
  checkTensorSize(dtype, shape, `${at}/shape`);
  const text = value.get('data');
  if (typeof text === 'string' && (text.length / 4) * 3 - 2 > TENSOR_DATA_LIMIT) refuse('value-limit', at, `${text.length} characters`);
  const data = decodeBase64(text, `${at}/data`);
  if (data.length !== (count(shape) * bits) / 8) refuse('value-tag', at, `${data.length} bytes for ${dtype} ${show(shape)}`);
  if (dtype === 'bool' && data.some((byte) => byte > 1)) refuse('bool-value', at, 'a byte other than 0 and 1');
}

function checkPairs(value, at, names) {
  if (!Array.isArray(value)) refuse('value-tag', at, show(value));
  let previous = null;
  value.forEach((pair, i) => {
    checkList(pair, `${at}/${i}`, names, 2);
    const key = encode(pair[0]);
    if (previous !== null && Buffer.compare(previous, key) >= 0) refuse('value-not-canonical', `${at}/${i}`, 'a key out of order, or twice');
    previous = key;
  });
  if (value.every(([key]) => typeof key === 'string')) refuse('value-not-canonical', at, 'no key but strings');
}

function checkObject(value, at, names) {
  if (!(value instanceof Map) || !value.has('class') || !value.has('config')) refuse('value-tag', at, show(value));
  for (const key of value.keys()) {
    if (!['class', 'config', 'residue', 'shared'].includes(key)) refuse('value-tag', at, show(key));
  }
  const name = value.get('class');
  if (typeof name !== 'string' || !OP.test(name)) refuse('op-form', `${at}/class`, show(name));
  checkValue(value.get('config'), `${at}/config`, names);
  if (value.has('shared') && !isNatural(value.get('shared'))) refuse('value-tag', `${at}/shared`, show(value.get('shared')));
  if (value.has('residue')) checkResidue(value.get('residue'), `${at}/residue`, names, 'value-tag');
}

/** A tag whose content names something by `kind`, which must be there (V-10). */
function reference(kind, form) {
  return (value, at, names) => {
    if (typeof value !== 'string') refuse('value-tag', at, show(value));
    form(value, at);
    if (!names[kind](value)) refuse('reference-missing', at, show(value));
  };
}

const TAGS = new Map([
  ['$int', checkInteger],
  ['$float', (value, at) => checkFloat(value, at, true)],
  ['$bytes', decodeBase64],
  ['$tuple', (value, at, names) => checkList(value, at, names)],
  ['$complex', (value, at) => {
    if (!Array.isArray(value) || value.length !== 2) refuse('value-tag', at, show(value));
    value.forEach((text) => checkFloat(text, at, false));
  }],
  ['$slice', (value, at, names) => checkList(value, at, names, 3)],
  ['$ellipsis', (value, at) => value === true || refuse('value-tag', at, show(value))],
  ['$dtype', checkDtype],
  ['$tensor', checkSmallTensor],
  ['$map', checkPairs],
  ['$object', checkObject],
  ['$variable', reference('variable', checkPath)],
  ['$module', reference('module', checkPath)],
  ['$asset', reference('asset', (value, at) => value.startsWith('assets/') || refuse('value-tag', at, show(value)))],
  ['$output', (value, at) => {
    const fits = Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isNatural(value[1]);
    refuse(fits ? 'reference-missing' : 'value-tag', at, show(value)); // only a graph of the config has outputs (C-13)
  }],
  ['$stored', reference('stored', checkPath)],
]);
