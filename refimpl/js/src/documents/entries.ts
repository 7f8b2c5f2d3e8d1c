// Entries of an index of tensors: chunks and encodings (SPEC.md chapter 12).

import type { Json, JsonMap } from '../canonical/json.js';
import { checkDtype, checkShape, checkTensorSize, count, DTYPES, type Dtype, FLOATS, INTEGERS } from '../dtypes.js';
import { refuse, show } from '../errors.js';
import { coversOnce, cutDimensions } from './cover.js';
import { checkDigest, checkFields, checkRequired, type Rules } from './names.js';

/** Where a box of a plain tensor is. */
export interface Chunk {
  readonly part: string;
  /** Its name in the part. */
  readonly tensor: string;
  readonly digest: string;
  readonly offset: readonly number[];
  readonly shape: readonly number[];
}

/** A tensor whose elements safetensors holds. */
export interface PlainEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly encoding: null;
  readonly chunks: readonly Chunk[];
}

/** A tensor that is made of others. */
export interface EncodedEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly encoding: string;
  readonly components: ReadonlyMap<string, Entry>;
}

export type Entry = PlainEntry | EncodedEntry;

/** What a reader of entries is told besides: whether a name is a data part of the manifest. */
export interface EntryRules extends Rules {
  isData(part: string): boolean;
}

const DATA_NAME = /^(?:weights|optimizer|state)(?:-[0-9]{5,}-of-[0-9]{5,})?\.safetensors$/;
const COMPONENTS = 'encoding-components';
const CHUNK_FIELDS = new Set(['digest', 'offset', 'part', 'shape', 'tensor']);

interface Encoding {
  readonly dtypes: readonly string[];
  readonly names: readonly string[];
  readonly optional?: string;
  /** What is wrong, or null. */
  check(shape: readonly number[], dtype: string, components: ReadonlyMap<string, Entry>): string | null;
}

const ENCODINGS: ReadonlyMap<string, Encoding> = new Map([
  ['complex', { dtypes: ['complex64', 'complex128'], names: ['parts'], check: checkComplex }],
  ['packed4', { dtypes: ['int4', 'uint4'], names: ['nibbles'], check: checkPacked }],
  ['string', { dtypes: ['string', 'bytes'], names: ['data', 'offsets'], check: checkString }],
  ['quantized', { dtypes: FLOATS, names: ['scale', 'values'], optional: 'zero_point', check: checkQuantized }],
]);

/** A checked entry; `others` are the fields that it may have besides. */
export function readEntry(object: JsonMap, at: string, rules: EntryRules, others: readonly string[] = []): Entry {
  checkRequired(object, ['dtype', 'shape'], at, rules.form);
  const dtype = object.get('dtype');
  const shape = object.get('shape');
  checkDtype(dtype, `${at}/dtype`);
  checkShape(shape, `${at}/shape`, rules.limits);
  checkTensorSize(dtype, shape, `${at}/shape`, rules.limits);
  checkFields(object, ['chunks', 'components', 'dtype', 'encoding', 'shape', ...others], at, rules);
  if (object.has('encoding') || object.has('components')) return readEncoded(object, at, rules, dtype, shape);
  if ((DTYPES.get(dtype) as Dtype).safetensors === null) refuse(COMPONENTS, at, `${dtype} without an encoding`);
  if (!object.has('chunks')) refuse(rules.form, at, 'no chunks');
  return {
    dtype,
    shape,
    encoding: null,
    chunks: readChunks(object.get('chunks') as Json, shape, `${at}/chunks`, rules),
  };
}

/** Every plain tensor of an entry with its name: itself, or those of its components (W-11). */
export function* plainOf(name: string, entry: Entry): Generator<[string, PlainEntry]> {
  if (entry.encoding === null) yield [name, entry];
  else for (const [key, component] of entry.components) yield* plainOf(`${name}#${key}`, component);
}

/** The features of chapter 18.2 that an entry uses. */
export function featuresOf(entry: Entry): string[] {
  if (entry.encoding === null) return entry.chunks.length > 1 ? ['chunks'] : [];
  return [`encoding.${entry.encoding}`, ...[...entry.components.values()].flatMap(featuresOf)];
}

function readChunks(list: Json, shape: readonly number[], at: string, rules: EntryRules): Chunk[] {
  if (!Array.isArray(list) || list.length === 0) refuse(rules.form, at, show(list));
  if (list.length > rules.limits.chunks) refuse('limit-chunks', at, `${list.length} chunks`);
  const single = list.length === 1;
  const chunks = list.map((chunk, i) => readChunk(chunk, shape, single, `${at}/${i}`, rules));
  if (single) return chunks;
  chunks.forEach((chunk, i) => {
    const before = chunks[i - 1];
    if (before !== undefined && compareOffsets(before.offset, chunk.offset) > 0) {
      refuse('chunk-form', `${at}/${i}`, 'a chunk out of order');
    }
  });
  const dimensions = cutDimensions(shape, chunks);
  if (chunks.length * 2 ** dimensions.length > rules.limits.chunks) {
    refuse('limit-chunks', at, `${chunks.length} chunks, cut in ${dimensions.length} dimensions`);
  }
  if (!coversOnce(shape, chunks, dimensions)) refuse('chunk-cover', at, 'a gap or an overlap');
  return chunks;
}

function readChunk(chunk: Json, shape: readonly number[], single: boolean, at: string, rules: EntryRules): Chunk {
  if (!(chunk instanceof Map)) refuse(rules.form, at, show(chunk));
  for (const field of chunk.keys()) {
    // Not even x- or a later version's fields: a rewrite may cut tensors anew.
    if (!CHUNK_FIELDS.has(field)) refuse(rules.form, at, `the field ${show(field)}`);
  }
  checkRequired(chunk, ['digest', 'part', 'tensor'], at, rules.form);
  const [part, tensor, digest] = [chunk.get('part'), chunk.get('tensor'), chunk.get('digest')];
  if (typeof tensor !== 'string') refuse(rules.form, at, `the tensor ${show(tensor)}`);
  if (typeof part !== 'string') refuse(rules.form, at, `the part ${show(part)}`);
  if (!DATA_NAME.test(part) || !rules.isData(part)) refuse('reference-missing', at, `the part ${show(part)}`);
  checkDigest(digest, `${at}/digest`);
  for (const field of ['offset', 'shape']) {
    if (chunk.has(field)) checkShape(chunk.get(field), `${at}/${field}`, rules.limits);
  }
  if (single) {
    if (chunk.has('offset') || chunk.has('shape')) refuse('chunk-form', at, 'the place of the only chunk');
    return { part, tensor, digest, offset: shape.map(() => 0), shape };
  }
  const offset = chunk.get('offset') as number[] | undefined;
  const size = chunk.get('shape') as number[] | undefined;
  if (offset === undefined || size === undefined) {
    refuse('chunk-form', at, 'no place, though it is one of several chunks');
  }
  if (offset.length !== shape.length || size.length !== shape.length) refuse('chunk-form', at, 'another rank');
  const inside = shape.every((dimension, i) => {
    const extent = size[i] as number;
    return extent > 0 && (offset[i] as number) + extent <= dimension;
  });
  if (!inside) refuse('chunk-form', at, `${show(size)} at ${show(offset)} in ${show(shape)}`);
  return { part, tensor, digest, offset, shape: size };
}

function compareOffsets(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((value, j) => value !== b[j]);
  return i < 0 ? 0 : (a[i] as number) - (b[i] as number);
}

function readEncoded(object: JsonMap, at: string, rules: EntryRules, dtype: string, shape: readonly number[]): Entry {
  const name = object.get('encoding');
  const encoding = typeof name === 'string' ? ENCODINGS.get(name) : undefined;
  if (object.has('encoding') && encoding === undefined) refuse('encoding-unknown', at, show(name));
  if (encoding === undefined || !object.has('components') || object.has('chunks')) {
    refuse(COMPONENTS, at, 'an encoding and components belong together, in place of chunks');
  }
  if (!encoding.dtypes.includes(dtype)) refuse(COMPONENTS, at, `${name} for ${dtype}`);
  const given = object.get('components');
  if (!(given instanceof Map)) refuse(COMPONENTS, at, show(given));
  const components = new Map<string, Entry>();
  for (const [key, component] of given) {
    if (!encoding.names.includes(key) && key !== encoding.optional)
      refuse(COMPONENTS, at, `the component ${show(key)}`);
    components.set(key, readComponent(component, key, `${at}/components/${key}`, rules));
  }
  for (const key of encoding.names) {
    if (!components.has(key)) refuse(COMPONENTS, at, `no ${key}`);
  }
  const fault = encoding.check(shape, dtype, components);
  if (fault !== null) refuse(COMPONENTS, at, fault);
  return { dtype, shape, encoding: name as string, components };
}

function readComponent(object: Json, name: string, at: string, rules: EntryRules): Entry {
  if (!(object instanceof Map)) refuse(COMPONENTS, at, show(object));
  checkRequired(object, ['dtype', 'shape'], at, COMPONENTS);
  const packable = name === 'values' || name === 'zero_point';
  const mayBePacked = packable && ['int4', 'uint4'].includes(object.get('dtype') as string);
  const encoded = object.has('encoding') || object.has('components');
  if (encoded && !(mayBePacked && object.get('encoding') === 'packed4')) {
    refuse(COMPONENTS, at, 'an encoding of a component');
  }
  if (!encoded && !object.has('chunks')) refuse(COMPONENTS, at, 'no chunks');
  return readEntry(object, at, rules);
}

function checkComplex(shape: readonly number[], dtype: string, components: ReadonlyMap<string, Entry>): string | null {
  const parts = components.get('parts') as Entry;
  const wanted = dtype === 'complex64' ? 'float32' : 'float64';
  const fits = parts.dtype === wanted && same(parts.shape, [...shape, 2]);
  return fits ? null : `parts of ${parts.dtype} ${show(parts.shape)}`;
}

function checkPacked(shape: readonly number[], _: string, components: ReadonlyMap<string, Entry>): string | null {
  const nibbles = components.get('nibbles') as Entry;
  const fits = nibbles.dtype === 'uint8' && same(nibbles.shape, [Math.ceil(count(shape) / 2)]);
  return fits ? null : `nibbles of ${nibbles.dtype} ${show(nibbles.shape)}`;
}

function checkString(shape: readonly number[], _: string, components: ReadonlyMap<string, Entry>): string | null {
  const [data, offsets] = [components.get('data') as Entry, components.get('offsets') as Entry];
  if (offsets.dtype !== 'uint64' || !same(offsets.shape, [count(shape) + 1])) {
    return `offsets of ${offsets.dtype} ${show(offsets.shape)}`;
  }
  return data.dtype === 'uint8' && data.shape.length === 1 ? null : `data of ${data.dtype} ${show(data.shape)}`;
}

function checkQuantized(shape: readonly number[], _: string, components: ReadonlyMap<string, Entry>): string | null {
  const [values, scale] = [components.get('values') as Entry, components.get('scale') as Entry];
  const zero = components.get('zero_point');
  if (![...INTEGERS, 'int4', 'uint4'].includes(values.dtype) || !same(values.shape, shape)) {
    return `values of ${values.dtype} ${show(values.shape)}`;
  }
  if (!FLOATS.includes(scale.dtype) || scale.shape.length !== shape.length) {
    return `a scale of ${scale.dtype} ${show(scale.shape)}`;
  }
  // Zero divides nothing but zero.
  const divides = scale.shape.every((size, i) => (size === 0 ? shape[i] === 0 : (shape[i] as number) % size === 0));
  if (!divides) return `a scale of ${show(scale.shape)} for ${show(shape)}`;
  if (zero !== undefined && (zero.dtype !== values.dtype || !same(zero.shape, scale.shape))) {
    return `a zero_point of ${zero.dtype} ${show(zero.shape)}`;
  }
  return null;
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Refuses a tensor of a data part that two chunks name (S-9). */
export function checkNamedOnce(entries: Iterable<readonly [string, Entry]>): void {
  const named = new Map<string, Set<string>>();
  for (const [name, entry] of entries) {
    for (const [, { chunks }] of plainOf(name, entry)) {
      for (const { part, tensor } of chunks) {
        const tensors = named.get(part) ?? new Set();
        if (tensors.has(tensor)) refuse('tensor-unreferenced', `${part} ${show(tensor)}`, 'named by two chunks');
        named.set(part, tensors.add(tensor));
      }
    }
  }
}
