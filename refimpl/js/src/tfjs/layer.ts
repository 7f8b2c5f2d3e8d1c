// A layer between the two worlds: an op of the core vocabulary with plain attributes, whichever namespace it came from.

import type { Value } from '../values/classes.js';
import { DtypeRef, Ellipsis, ModuleRef, ObjectValue, OutputRef, Slice, TensorValue } from '../values/classes.js';

/** A value without classes but the references of a graph: numbers, texts, lists and maps. */
export type Plain = null | boolean | number | string | Plain[] | PlainMap | OutputRef;
export interface PlainMap {
  [key: string]: Plain;
}

/** An object of a class, in plain form. */
export interface PlainObject extends PlainMap {
  $class: string;
  $config: Plain;
}

/** A layer as an op of the vocabulary. */
export interface CoreLayer {
  /** The name of an op of the vocabulary, or `tfjs` for a layer that only Keras and TensorFlow.js have. */
  readonly op: string;
  readonly attrs: PlainMap;
  /** Role -> path of the variable. */
  readonly params: Map<string, string>;
  /** Held layers, by the names of the vocabulary. */
  readonly children: Map<string, CoreLayer>;
  /** What is left behind without a change of predictions: said in the report. */
  readonly notes: string[];
  /** Takes arguments of a call that are no tensors into the attributes. */
  readonly fromCall?: ((args: Plain[], kwargs: PlainMap) => { args: Plain[]; attrs: PlainMap }) | undefined;
}

/** Why a layer cannot be had; it is gathered, so that a user sees all of them at once. */
export class Unsupported extends Error {}

/** A layer that takes what an unsupported one gives: not to blame itself. */
export class Unfed extends Error {}

export function unsupported(reason: string): never {
  throw new Unsupported(reason);
}

function textOf(item: Plain): string {
  return typeof item === 'string' ? item : JSON.stringify(item);
}

/** A value in plain form; what has none is refused as unsupported. */
export function plain(value: Value): Plain {
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string')
    return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof OutputRef) return value;
  if (Array.isArray(value)) return [...value].map(plain);
  if (value instanceof ObjectValue) return { $class: value.className, $config: plain(value.config) };
  if (value instanceof ModuleRef) return { $module: value.path };
  if (value instanceof DtypeRef) return value.name;
  if (value instanceof Slice) return { $slice: [plain(value.start), plain(value.stop), plain(value.step)] };
  if (value instanceof Ellipsis) return '...';
  if (value instanceof TensorValue) return numbersOf(value);
  if (value.constructor !== Object && value.constructor !== undefined) return { $other: 'a value of another kind' };
  return Object.fromEntries(Object.entries(value as { [key: string]: Value }).map(([key, item]) => [key, plain(item)]));
}

/** The elements of a small tensor, nested. */
function numbersOf({ dtype, shape, data }: TensorValue): Plain {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const readers: Record<string, [number, (at: number) => number]> = {
    float64: [8, (at) => view.getFloat64(at, true)],
    float32: [4, (at) => view.getFloat32(at, true)],
    int64: [8, (at) => Number(view.getBigInt64(at, true))],
    int32: [4, (at) => view.getInt32(at, true)],
    bool: [1, (at) => view.getUint8(at)],
    uint8: [1, (at) => view.getUint8(at)],
  };
  const found = readers[dtype];
  if (!found) return { $other: `a tensor of ${dtype}` };
  const [width, read] = found;
  let at = 0;
  const nested = (axes: readonly number[]): Plain => {
    if (axes.length) return Array.from({ length: axes[0]! }, () => nested(axes.slice(1)));
    at += width;
    return read(at - width);
  };
  return nested(shape);
}

export function isMap(value: Plain | undefined): value is PlainMap {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof OutputRef);
}

export function isObject(value: Plain | undefined): value is PlainObject {
  return isMap(value) && typeof value.$class === 'string';
}

/** The word behind the last dot of a class or function: `keras:layers.ReLU` is `ReLU`. */
export function lastWord(name: string): string {
  return name.slice(Math.max(name.lastIndexOf('.'), name.lastIndexOf(':'), name.lastIndexOf('>')) + 1);
}

/** A name of Python's classes in snake case, as functions have them: `HardSigmoid` is `hard_sigmoid`. */
export function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase();
}

/** The numbers of a list; anything else is refused. */
export function numberList(value: Plain | undefined, what: string): number[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'number')) return value as number[];
  return unsupported(`${what} is ${textOf(value ?? null)}`);
}

/** What a table has under a key that a file gives; nothing of its prototype. */
export function entryOf<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
