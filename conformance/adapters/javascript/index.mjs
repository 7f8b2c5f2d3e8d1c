// Entries of an index of tensors: chunks and encodings (SPEC.md chapter 12).

import { cutDimensions, coversOnce } from './cover.mjs';
import { DTYPES, FLOATS, INTEGERS, checkDtype, checkShape, checkTensorSize, count } from './dtypes.mjs';
import { refuse, show } from './errors.mjs';
import { checkDigest, checkFields } from './names.mjs';

const DATA_NAME = /^(?:weights|optimizer|state)(?:-[0-9]{5,}-of-[0-9]{5,})?\.safetensors$/;
const CHUNKS_LIMIT = 2 ** 22;
const COMPONENTS = 'encoding-components';

/** encoding -> the dtypes of its row, its components (with a ? the optional ones), and what they must be. */
const ENCODINGS = new Map([
  ['complex', { dtypes: ['complex64', 'complex128'], names: ['parts'], check: checkComplex }],
  ['packed4', { dtypes: ['int4', 'uint4'], names: ['nibbles'], check: checkPacked }],
  ['string', { dtypes: ['string', 'bytes'], names: ['data', 'offsets'], check: checkString }],
  ['quantized', { dtypes: FLOATS, names: ['scale', 'values', 'zero_point?'], check: checkQuantized }],
]);

/**
 * A checked entry: {dtype, shape, encoding, chunks | components}, chunks with offset and shape always there.
 *
 * `object` may have the further fields `others`. `rules` are those of checkFields, and `parts`: whether a name is a data
 * part of the manifest.
 */
export function readEntry(object, at, rules, others = []) {
  for (const field of ['dtype', 'shape']) {
    if (!object.has(field)) refuse(rules.form, at, `no ${field}`);
  }
  const { dtype, shape } = checkKind(object, at);
  checkFields(object, ['chunks', 'components', 'dtype', 'encoding', 'shape', ...others], at, rules);
  if (object.has('encoding') || object.has('components')) return readEncoded(object, at, rules, dtype, shape);
  if (DTYPES.get(dtype)[1] === null) refuse(COMPONENTS, at, `${dtype} without an encoding`);
  if (!object.has('chunks')) refuse(rules.form, at, 'no chunks');
  return { dtype, shape, encoding: null, chunks: readChunks(object.get('chunks'), shape, `${at}/chunks`, rules) };
}

/** Every plain tensor of an entry: itself, or those of its components. */
export function* plainOf(entry) {
  if (entry.encoding === null) yield entry;
  else for (const component of Object.values(entry.components)) yield* plainOf(component);
}

/** The features of chapter 18.2 that an entry uses. */
export function featuresOf(entry) {
  if (entry.encoding === null) return entry.chunks.length > 1 ? ['chunks'] : [];
  return [`encoding.${entry.encoding}`, ...Object.values(entry.components).flatMap(featuresOf)];
}

function checkKind(object, at) {
  const [dtype, shape] = [object.get('dtype'), object.get('shape')];
  checkDtype(dtype, `${at}/dtype`);
  checkShape(shape, `${at}/shape`);
  checkTensorSize(dtype, shape, `${at}/shape`);
  return { dtype, shape };
}

function readChunks(list, shape, at, rules) {
  if (!Array.isArray(list) || list.length === 0) refuse(rules.form, at, show(list));
  const chunks = list.map((chunk, i) => readChunk(chunk, `${at}/${i}`, rules));
  if (chunks.length === 1) {
    if (chunks[0].offset !== undefined || chunks[0].shape !== undefined) refuse('chunk-form', at, 'the place of the only chunk');
    return [{ ...chunks[0], offset: shape.map(() => 0), shape }];
  }
  chunks.forEach((chunk, i) => checkPlace(chunk, shape, `${at}/${i}`));
  chunks.forEach((chunk, i) => {
    if (i > 0 && compareOffsets(chunks[i - 1].offset, chunk.offset) > 0) refuse('chunk-form', `${at}/${i}`, 'a chunk out of order');
  });
  const dimensions = cutDimensions(shape, chunks);
  if (chunks.length * 2 ** dimensions.length > CHUNKS_LIMIT) {
    refuse('limit-chunks', at, `${chunks.length} chunks, cut in ${dimensions.length} dimensions`);
  }
  if (!coversOnce(shape, chunks, dimensions)) refuse('chunk-cover', at, 'a gap or an overlap');
  return chunks;
}

function readChunk(chunk, at, rules) {
  if (!(chunk instanceof Map)) refuse(rules.form, at, show(chunk));
  for (const field of chunk.keys()) {
    // Not even x- or a later version's fields: a rewrite may cut tensors anew.
    if (!['digest', 'offset', 'part', 'shape', 'tensor'].includes(field)) refuse(rules.form, at, `the field ${show(field)}`);
  }
  const [part, tensor] = [chunk.get('part'), chunk.get('tensor')];
  for (const field of ['digest', 'part', 'tensor']) {
    if (!chunk.has(field)) refuse(rules.form, at, `no ${field}`);
  }
  if (typeof tensor !== 'string') refuse(rules.form, at, `the tensor ${show(tensor)}`);
  if (typeof part !== 'string' || !DATA_NAME.test(part) || !rules.parts(part)) refuse('reference-missing', at, `the part ${show(part)}`);
  checkDigest(chunk.get('digest'), `${at}/digest`);
  for (const field of ['offset', 'shape']) {
    if (chunk.has(field)) checkShape(chunk.get(field), `${at}/${field}`);
  }
  return { part, tensor, digest: chunk.get('digest'), offset: chunk.get('offset'), shape: chunk.get('shape') };
}

function checkPlace({ offset, shape: size }, shape, at) {
  if (offset === undefined || size === undefined) refuse('chunk-form', at, 'no place, though it is one of several chunks');
  if (offset.length !== shape.length || size.length !== shape.length) refuse('chunk-form', at, 'another rank');
  const inside = shape.every((dimension, i) => size[i] > 0 && offset[i] + size[i] <= dimension);
  if (!inside) refuse('chunk-form', at, `${show(size)} at ${show(offset)} in ${show(shape)}`);
}

function compareOffsets(a, b) {
  const i = a.findIndex((value, j) => value !== b[j]);
  return i < 0 ? 0 : a[i] - b[i];
}

function readEncoded(object, at, rules, dtype, shape) {
  const encoding = object.get('encoding');
  if (encoding !== undefined && !ENCODINGS.has(encoding)) refuse('encoding-unknown', at, show(encoding));
  if (encoding === undefined || !object.has('components') || object.has('chunks')) {
    refuse(COMPONENTS, at, 'an encoding and components belong together, in place of chunks');
  }
  const { dtypes, names, check } = ENCODINGS.get(encoding);
  if (!dtypes.includes(dtype)) refuse(COMPONENTS, at, `${encoding} for ${dtype}`);
  const given = object.get('components');
  if (!(given instanceof Map)) refuse(COMPONENTS, at, show(given));
  for (const name of given.keys()) {
    if (!names.includes(name) && !names.includes(`${name}?`)) refuse(COMPONENTS, at, `the component ${show(name)}`);
  }
  const components = {};
  for (const name of names.map((text) => text.replace('?', ''))) {
    if (given.has(name)) components[name] = readComponent(given.get(name), name, `${at}/components/${name}`, rules);
    else if (names.includes(name)) refuse(COMPONENTS, at, `no ${name}`);
  }
  const fault = check({ dtype, shape, components });
  if (fault) refuse(COMPONENTS, at, fault);
  return { dtype, shape, encoding, components };
}

function readComponent(object, name, at, rules) {
  if (!(object instanceof Map)) refuse(COMPONENTS, at, show(object));
  for (const field of ['dtype', 'shape']) {
    if (!object.has(field)) refuse(COMPONENTS, at, `no ${field}`);
  }
  const mayBePacked = ['values', 'zero_point'].includes(name) && ['int4', 'uint4'].includes(object.get('dtype'));
  const encoded = object.has('encoding') || object.has('components');
  if (encoded && !(mayBePacked && object.get('encoding') === 'packed4')) refuse(COMPONENTS, at, 'an encoding of a component');
  if (!encoded && !object.has('chunks')) refuse(COMPONENTS, at, 'no chunks');
  return readEntry(object, at, rules);
}

function checkComplex({ dtype, shape, components: { parts } }) {
  const wanted = dtype === 'complex64' ? 'float32' : 'float64';
  return parts.dtype !== wanted || !same(parts.shape, [...shape, 2]) ? `parts of ${parts.dtype} ${show(parts.shape)}` : null;
}

function checkPacked({ shape, components: { nibbles } }) {
  const wanted = [Math.ceil(count(shape) / 2)];
  return nibbles.dtype !== 'uint8' || !same(nibbles.shape, wanted) ? `nibbles of ${nibbles.dtype} ${show(nibbles.shape)}` : null;
}

function checkString({ shape, components: { data, offsets } }) {
  if (offsets.dtype !== 'uint64' || !same(offsets.shape, [count(shape) + 1])) return `offsets of ${offsets.dtype} ${show(offsets.shape)}`;
  return data.dtype !== 'uint8' || data.shape.length !== 1 ? `data of ${data.dtype} ${show(data.shape)}` : null;
}

function checkQuantized({ shape, components: { scale, values, zero_point: zero } }) {
  const integer = (dtype) => [...INTEGERS, 'int4', 'uint4'].includes(dtype);
  if (!integer(values.dtype) || !same(values.shape, shape)) return `values of ${values.dtype} ${show(values.shape)}`;
  if (!FLOATS.includes(scale.dtype) || scale.shape.length !== shape.length) return `a scale of ${scale.dtype} ${show(scale.shape)}`;
  // Zero divides nothing but zero.
  const divides = scale.shape.every((dimension, i) => (dimension === 0 ? shape[i] === 0 : shape[i] % dimension === 0));
  if (!divides) return `a scale of ${show(scale.shape)} for ${show(shape)}`;
  if (zero && (zero.dtype !== values.dtype || !same(zero.shape, scale.shape))) return `zero_point of ${zero.dtype} ${show(zero.shape)}`;
  return null;
}

function same(a, b) {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
