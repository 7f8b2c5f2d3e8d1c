// Names: paths of variables and modules (SPEC.md chapter 2), parts (7), digests (6), versions (18.3), ops (13.2).

import { utf8Length } from '../bytes.js';
import type { JsonMap } from '../canonical/json.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { CORE_OPS } from '../vocabulary/names.js';

const FORBIDDEN = /(?:^|\/)(?:\.\.?)?(?:\/|$)|[\u0000-\u001f\u007f\\#@]/;
const PART = /^[A-Za-z0-9_\-.+%=]+(?:\/[A-Za-z0-9_\-.+%=]+)*$/;
const PART_EDGE = /(?:^|\/)\.|\.(?:\/|$)|(?:^|\/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|$)/i;
const OP = /^[a-z][a-z0-9_]*:[^\u0000-\u0020\u007f]+$/;

/** What a document's reader is told: the code of a wrong form, and the document's minor version. */
export interface Rules {
  readonly form: string;
  readonly minor: number;
  readonly limits: Limits;
}

/** Refuses a text that is no path (D-2, D-3) or too long a one (chapter 19). */
export function checkPath(path: unknown, at: string, limits: Limits): asserts path is string {
  if (typeof path !== 'string') refuse('path-form', at, show(path));
  // A code unit is at most three bytes, so that short texts need no count.
  if (path.length * 3 > limits.path && utf8Length(path) > limits.path)
    refuse('limit-path', at, `a path of ${utf8Length(path)} bytes`);
  if (path === '' || FORBIDDEN.test(path)) refuse('path-form', at, show(path));
  if (path.length * 3 <= limits.segment) return;
  for (const segment of path.split('/')) {
    if (utf8Length(segment) > limits.segment) refuse('limit-path', at, `a segment of ${utf8Length(segment)} bytes`);
  }
}

/** Whether a text has the form of a path. */
export function isPath(path: string): boolean {
  return path !== '' && !FORBIDDEN.test(path);
}

/** Refuses two paths of one index that normalization makes equal (D-4). */
export function checkCollisions(paths: Iterable<string>, at: string): void {
  const seen = new Map<string, string>();
  for (const path of paths) {
    const key = /^[\u0000-\u007f]*$/.test(path) ? path : path.normalize('NFC');
    const other = seen.get(key);
    if (other !== undefined && other !== path) refuse('path-collision', at, `${show(path)} and ${show(other)}`);
    seen.set(key, path);
  }
}

/** Refuses a text that may not name a part (P-1, P-2). */
export function checkPartName(name: string, at: string, limits: Limits): void {
  if (utf8Length(name) > limits.partName) refuse('limit-path', at, `a name of ${utf8Length(name)} bytes`);
  if (!PART.test(name) || PART_EDGE.test(name)) refuse('part-name', at, show(name));
}

/** Refuses parts that a file system may take for one, or that would be file and folder at once (P-3). */
export function checkPartCollisions(names: Iterable<string>, at: string): void {
  const folded = new Map<string, string>([['manifest.json', 'manifest.json']]);
  for (const name of names) {
    const key = name.toLowerCase();
    if (folded.has(key)) refuse('part-collision', at, `${name} and ${folded.get(key)}`);
    folded.set(key, name);
  }
  for (const [key, name] of folded) {
    for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', slash + 1)) {
      const folder = folded.get(key.slice(0, slash));
      if (folder !== undefined) refuse('part-collision', at, `${name} below ${folder}`);
    }
  }
}

/** Refuses what is no digest (H-1) or one of an algorithm that this reader does not know (H-3). */
export function checkDigest(digest: unknown, at: string): asserts digest is string {
  const match = typeof digest === 'string' ? /^([a-z0-9]+):([0-9a-f]+)$/.exec(digest) : null;
  if (match === null) refuse('digest-form', at, show(digest));
  if (match[1] !== 'sha256') refuse('digest-algorithm', at, match[1] as string);
  if ((match[2] as string).length !== 64) refuse('digest-form', at, show(digest));
}

/** The minor version of a document of major version 1; `expected` is the text that the manifest has. */
export function checkVersion(version: unknown, at: string, expected: string | null = null): number {
  const match = typeof version === 'string' ? /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$/.exec(version) : null;
  if (match === null) refuse('version-form', at, show(version));
  if (expected !== null && version !== expected) {
    refuse('version-form', at, `${version}, where the manifest has ${expected}`);
  }
  if (match[1] !== '1') refuse('version-unsupported', at, String(version));
  return Number(match[2]);
}

/** Refuses fields that a version 1.0 document does not have; a later minor version may have more. */
export function checkFields(object: JsonMap, known: readonly string[], at: string, { form, minor }: Rules): void {
  for (const field of object.keys()) {
    if (!known.includes(field) && !field.startsWith('x-') && minor === 0) {
      refuse(form, at, `the unknown field ${show(field)}`);
    }
  }
}

/** Refuses an object that lacks one of the fields. */
export function checkRequired(object: JsonMap, fields: readonly string[], at: string, form: string): void {
  for (const field of fields) {
    if (!object.has(field)) refuse(form, at, `no ${field}`);
  }
}

/** Refuses a text that has not the form of an op or class (C-8), or that the core vocabulary does not define (C-9). */
export function checkOp(op: unknown, at: string, known: ReadonlySet<string> = CORE_OPS): asserts op is string {
  if (typeof op !== 'string' || !OP.test(op)) refuse('op-form', at, show(op));
  if (op.startsWith('core:') && !known.has(op.slice(5))) refuse('op-unknown', at, show(op));
}

/** Whether a value is a non-negative integer of a document. */
export function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
