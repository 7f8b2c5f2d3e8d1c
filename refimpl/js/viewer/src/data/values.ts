/** Walks through the values of a document. */

import { type Attrs, ObjectValue, OutputRef, Pairs, type Value } from '../../../src/index.js';

/** A map with texts as keys; every other object of a value is an instance of a class. */
export function isAttrs(value: unknown): value is Attrs {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}

/** The outputs of calls that a value holds, in order. */
export function outputsIn(value: unknown): OutputRef[] {
  const found: OutputRef[] = [];
  const stack: unknown[] = [value];
  while (stack.length > 0) {
    const item = stack.pop();
    if (item instanceof OutputRef) found.push(item);
    else stack.push(...membersOf(item).reverse());
  }
  return found;
}

function membersOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return Array.from(value);
  if (value instanceof ObjectValue) return [value.config];
  if (value instanceof Pairs) return value.pairs.map(([, item]) => item);
  return isAttrs(value) ? Object.values(value) : [];
}

/** A list of sizes, where null stands for one that is not fixed; null if the value is something else. */
export function shapeIn(value: Value | undefined): (number | null)[] | null {
  if (!Array.isArray(value)) return null;
  const sizes = Array.from(value);
  return sizes.every((size) => size === null || (typeof size === 'number' && Number.isInteger(size) && size >= 0))
    ? (sizes as (number | null)[])
    : null;
}

/** The numbers of a list, or a number as often as asked; null if the value is neither. */
export function numbersIn(value: Value | undefined, length: number): number[] | null {
  if (typeof value === 'number') return new Array<number>(length).fill(value);
  if (!Array.isArray(value)) return null;
  const numbers = Array.from(value);
  return numbers.every((item) => typeof item === 'number') && numbers.length === length ? (numbers as number[]) : null;
}
