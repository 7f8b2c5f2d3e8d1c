// The JSON view of a MessagePack document (B-12), there and back.

import { fromBase64, isBase64, toBase64 } from '../bytes.js';
import type { Json, JsonMap } from '../canonical/json.js';
import type { Packed, PackedMap } from '../canonical/msgpack.js';
import { Float, Stored } from '../canonical/msgpack.js';
import { refuse, show } from '../errors.js';
import { floatOf } from './decode.js';

/** Tags that MessagePack has a format of its own for. */
const OWN = new Set(['$float', '$bytes', '$stored']);
const LEAST = -(2n ** 63n);
const BEYOND = 2n ** 64n;

/** The JSON that stands for a document. */
export function viewOfPacked(packed: PackedMap, where: string): JsonMap {
  return view(packed, where) as JsonMap;
}

function view(value: Packed, at: string): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string')
    return value;
  if (typeof value === 'bigint') return new Map([['$int', String(value)]]);
  if (value instanceof Float) return viewOfFloat(value.value);
  if (value instanceof Stored) return new Map([['$stored', value.name]]);
  if (value instanceof Uint8Array) return new Map([['$bytes', toBase64(value)]]);
  if (Array.isArray(value)) return value.map((item, i) => view(item, `${at}/${i}`));
  return viewOfMap(value, at);
}

/** The JSON of a float. */
export function viewOfFloat(value: number): Json {
  return Number.isFinite(value) && !Number.isInteger(value) ? value : new Map([['$float', textOfFloat(value)]]);
}

/** The text of a float in `$float`. */
export function textOfFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (Object.is(value, -0)) return '-0';
  return Number.isFinite(value) ? String(value) : value < 0 ? '-inf' : 'inf';
}

function viewOfMap(map: PackedMap, at: string): Json {
  if (map.size === 1) {
    const [[key, content]] = map as unknown as [[string, Packed]];
    if (key === '$tensor' && content instanceof Map) return viewOfTensor(content, at);
    // With other contents it is no tag: a path of an optimizer may be $float.
    if (OWN.has(key) && typeof content === 'string') refuse('value-not-canonical', at, `${key} spelled out`);
    if (key === '$int' && typeof content === 'string' && /^-?[0-9]{1,20}$/.test(content)) {
      const number = BigInt(content);
      if (number >= LEAST && number < BEYOND) refuse('value-not-canonical', at, `${key} spelled out`);
    }
  }
  const members: JsonMap = new Map();
  for (const [key, item] of map) members.set(key, view(item, `${at}/${key}`));
  return members;
}

/** Its data is a byte string, which stands as base64 without a tag. */
function viewOfTensor(tensor: PackedMap, at: string): Json {
  const members: JsonMap = new Map();
  for (const [key, item] of tensor) {
    if (key === 'data') {
      if (!(item instanceof Uint8Array))
        refuse('value-not-canonical', `${at}/$tensor/data`, 'data that is no byte string');
      members.set(key, toBase64(item));
    } else members.set(key, view(item, `${at}/$tensor/${key}`));
  }
  return new Map([['$tensor', members]]);
}

/** What a document of MessagePack holds for a JSON view. */
export function packedOfView(document: JsonMap): PackedMap {
  return packed(document) as PackedMap;
}

function packed(value: Json): Packed {
  if (Object.is(value, -0)) refuse('json-number', 'a document', '-0');
  if (typeof value === 'number') return Number.isInteger(value) ? value : new Float(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(packed);
  if (value.size === 1) {
    const [[key, content]] = value as unknown as [[string, Json]];
    if (typeof content === 'string') {
      if (key === '$float') return new Float(floatOf(content));
      if (key === '$bytes' && isBase64(content)) return fromBase64(content);
      if (key === '$stored') return new Stored(content);
      if (key === '$int' && /^-?[0-9]{1,20}$/.test(content)) {
        const number = BigInt(content);
        if (number >= LEAST && number < BEYOND) return number;
      }
    }
    if (key === '$tensor' && content instanceof Map) {
      const tensor: PackedMap = new Map();
      for (const [name, item] of content) {
        tensor.set(
          name,
          name === 'data' && typeof item === 'string' && isBase64(item) ? fromBase64(item) : packed(item),
        );
      }
      return new Map([[key, tensor]]);
    }
  }
  if (!(value instanceof Map)) refuse('argument', 'a document', `${show(value)}, which is no JSON made of Maps`);
  const members: PackedMap = new Map();
  for (const [key, item] of value) members.set(key, packed(item));
  return members;
}
