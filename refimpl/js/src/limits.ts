// The limits of SPEC.md chapter 19.

import { refuse, show } from './errors.js';

/** What a reader takes at most; a caller may set lower ones (L-3). */
export interface Limits {
  /** Bytes of a document. */
  document: number;
  /** Levels of a document, itself included. */
  depth: number;
  /** Bytes of a string in a document. */
  string: number;
  /** Digits of a `$int`. */
  digits: number;
  /** Bytes of the data of a `$tensor`. */
  smallTensor: number;
  /** Bytes of the header of a data part. */
  header: number;
  parts: number;
  /** Entries of an index of tensors. */
  variables: number;
  /** Chunks of a tensor, times 2 for each dimension in which it is cut. */
  chunks: number;
  modules: number;
  rank: number;
  /** Bytes of a tensor. */
  tensor: number;
  /** Bytes of a path. */
  path: number;
  /** Bytes of a segment of a path. */
  segment: number;
  /** Bytes of the name of a part. */
  partName: number;
}

/** The limits of the specification, which are those in force where a caller sets no lower ones. */
export const LIMITS: Readonly<Limits> = {
  document: 512 * 1024 * 1024,
  depth: 128,
  string: 64 * 1024 * 1024,
  digits: 1024,
  smallTensor: 1024 * 1024,
  header: 100_000_000,
  parts: 100_000,
  variables: 4_000_000,
  chunks: 2 ** 22,
  modules: 1_000_000,
  rank: 32,
  tensor: 2 ** 48,
  path: 4096,
  segment: 255,
  partName: 255,
};

/** Limits in force: those of the specification where the caller set none lower. */
export function limitsOf(given: Partial<Limits> = {}): Limits {
  const limits = { ...LIMITS };
  for (const [name, value] of Object.entries(given) as [keyof Limits, number | undefined][]) {
    if (value === undefined || !Object.hasOwn(LIMITS, name)) continue;
    // Nothing is larger than NaN, so that it would be no limit at all.
    if (!(value >= 0)) refuse('argument', `the limit ${name}`, show(value));
    limits[name] = Math.min(value, LIMITS[name]);
  }
  return limits;
}
