// From the JSON of a value, which was checked, to what JavaScript has for it.

import { fromBase64 } from '../bytes.js';
import type { Json, JsonMap } from '../canonical/json.js';
import type { Attrs, Value } from './classes.js';
import {
  AssetRef,
  Complex,
  DtypeRef,
  Ellipsis,
  emptyAttrs,
  ModuleRef,
  ObjectValue,
  OutputRef,
  Pairs,
  Slice,
  StoredRef,
  TensorValue,
  Tuple,
  VariableRef,
} from './classes.js';

/** Every map without entries: a file has them for one byte each. */
const NOTHING: Attrs = Object.freeze(emptyAttrs());

/** A value. */
export function decodeValue(json: Json): Value {
  if (Array.isArray(json)) return json.map(decodeValue);
  if (!(json instanceof Map)) return json;
  const [first] = json.keys();
  const tagged = json.size === 1 && first !== undefined && isTag(first);
  return tagged ? (TAGS[first] as (content: never) => Value)(json.get(first) as never) : attrsOf(json);
}

/** A map of values; nothing where there is none. */
export function attrsOf(json: Json | undefined): Attrs {
  if (!(json instanceof Map) || json.size === 0) return NOTHING;
  const attrs = emptyAttrs();
  for (const [key, item] of json) attrs[key.startsWith('$') ? key.slice(1) : key] = decodeValue(item);
  return attrs;
}

export function isTag(key: string): boolean {
  return key.startsWith('$') && !key.startsWith('$$');
}

/** The number of a text of `$float` or `$complex`. */
export function floatOf(text: string): number {
  switch (text) {
    case 'nan':
      return Number.NaN;
    case 'inf':
      return Number.POSITIVE_INFINITY;
    case '-inf':
      return Number.NEGATIVE_INFINITY;
    default:
      return Number(text);
  }
}

const TAGS: Readonly<Record<string, (content: never) => Value>> = {
  $int: (text: string) => BigInt(text),
  $float: floatOf,
  $bytes: fromBase64,
  $tuple: (items: Json[]) => Tuple.from(items, decodeValue),
  $complex: ([re, im]: [string, string]) => new Complex(floatOf(re), floatOf(im)),
  $slice: ([start, stop, step]: [Json, Json, Json]) =>
    new Slice(decodeValue(start), decodeValue(stop), decodeValue(step)),
  $ellipsis: () => new Ellipsis(),
  $dtype: (name: string) => new DtypeRef(name),
  $tensor: (tensor: JsonMap) =>
    new TensorValue(
      tensor.get('dtype') as string,
      tensor.get('shape') as number[],
      fromBase64(tensor.get('data') as string),
    ),
  $map: (pairs: [Json, Json][]) => new Pairs(pairs.map(([key, item]) => [decodeValue(key), decodeValue(item)])),
  $object: (object: JsonMap) =>
    new ObjectValue(
      object.get('class') as string,
      decodeValue(object.get('config') as Json),
      (object.get('shared') as number | undefined) ?? null,
      attrsOf(object.get('residue')),
    ),
  $variable: (path: string) => new VariableRef(path),
  $module: (path: string) => new ModuleRef(path),
  $output: ([call, index]: [string, number]) => new OutputRef(call, index),
  $asset: (name: string) => new AssetRef(name),
  $stored: (name: string) => new StoredRef(name),
};
