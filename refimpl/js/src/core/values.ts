// Values of chapter 5 as the evaluator takes them: numbers without their tags.

import type { Json, JsonMap } from '../canonical/json.js';
import { floatOf, isTag } from '../values/decode.js';

/** A `$object`: its class and what its config says. */
export class CoreObject {
  readonly className: string;
  readonly config: Attrs;

  constructor(className: string, config: Attrs) {
    this.className = className;
    this.config = config;
  }

  /** The name behind `core:<kind>.`, or null for an object of another kind. */
  nameAs(kind: string): string | null {
    const prefix = `core:${kind}.`;
    return this.className.startsWith(prefix) ? this.className.slice(prefix.length) : null;
  }
}

export type Plain =
  | null
  | boolean
  | number
  | bigint
  | string
  | CoreObject
  | readonly Plain[]
  | { readonly [key: string]: Plain };

/** Attributes with their defaults filled in. */
export type Attrs = Readonly<Record<string, Plain>>;

/** A value of a document, which was checked. Tagged values that no core attribute has are given by their tag's content. */
export function plainOf(json: Json): Plain {
  if (Array.isArray(json)) return json.map(plainOf);
  if (!(json instanceof Map)) return json;
  const [first] = json.keys();
  if (json.size !== 1 || first === undefined || !isTag(first)) return attrsOf(json);
  const content = json.get(first) as Json;
  if (first === '$float') return floatOf(content as string);
  if (first === '$int') return BigInt(content as string);
  if (first === '$object') {
    const object = content as JsonMap;
    return new CoreObject(object.get('class') as string, attrsOf(object.get('config')));
  }
  return plainOf(content);
}

/** A map of values; nothing where there is none. It has no prototype, so that no key is special. */
export function attrsOf(json: Json | undefined): Attrs {
  const attrs = Object.create(null) as Record<string, Plain>;
  if (!(json instanceof Map)) return attrs;
  for (const [key, item] of json) attrs[key.startsWith('$') ? key.slice(1) : key] = plainOf(item);
  return attrs;
}

// Attributes of the kinds that the vocabulary states, which a reader has checked.
export const number = (attrs: Attrs, name: string): number => attrs[name] as number;
export const numberOrNull = (attrs: Attrs, name: string): number | null => attrs[name] as number | null;
export const text = (attrs: Attrs, name: string): string => attrs[name] as string;
export const flag = (attrs: Attrs, name: string): boolean => attrs[name] === true;
export const numbers = (attrs: Attrs, name: string): readonly number[] => attrs[name] as readonly number[];
export const numbersOrNull = (attrs: Attrs, name: string): readonly number[] | null =>
  attrs[name] as readonly number[] | null;
export const axes = (attrs: Attrs, name: string): number | readonly number[] | null =>
  attrs[name] as number | readonly number[] | null;
