// Names: paths of variables and modules (SPEC.md chapter 2), parts (7), digests (6), versions (18.3).

import { refuse, show } from './errors.mjs';

const PATH_LIMIT = 4096;
const SEGMENT_LIMIT = 255;
const PART_LIMIT = 255;
const DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$/i;

/** Refuses a text that is no path (D-2, D-3) or too long a one (chapter 19). */
export function checkPath(path, at) {
  if (typeof path !== 'string') refuse('path-form', at, show(path));
  if (Buffer.byteLength(path) > PATH_LIMIT) refuse('limit-path', at, `a path of ${Buffer.byteLength(path)} bytes`);
  for (const segment of path.split('/')) {
    // eslint-disable-next-line no-control-regex
    if (segment === '' || segment === '.' || segment === '..' || /[\u0000-\u001f\u007f\\#@]/.test(segment)) {
      refuse('path-form', at, show(path));
    }
    if (Buffer.byteLength(segment) > SEGMENT_LIMIT) {
      refuse('limit-path', at, `a segment of ${Buffer.byteLength(segment)} bytes`);
    }
  }
}

/** Refuses two paths of one index that normalization makes equal (D-4). */
export function checkCollisions(paths, at) {
  const seen = new Map();
  for (const path of paths) {
    const key = path.normalize('NFC');
    if (seen.has(key) && seen.get(key) !== path) refuse('path-collision', at, `${show(path)} and ${show(seen.get(key))}`);
    seen.set(key, path);
  }
}

/** Refuses a text that may not name a part (P-1, P-2). */
export function checkPartName(name, at) {
  if (Buffer.byteLength(name) > PART_LIMIT) refuse('limit-path', at, `a name of ${Buffer.byteLength(name)} bytes`);
  for (const segment of name.split('/')) {
    if (!/^[A-Za-z0-9_\-.+%=]+$/.test(segment)) refuse('part-name', at, show(name));
    const device = DEVICE.test(segment.split('.')[0]);
    if (segment.startsWith('.') || segment.endsWith('.') || device) refuse('part-name', at, show(name));
  }
}

/** Refuses parts that a file system may take for one, or that would be file and folder at once (P-3). */
export function checkPartCollisions(names, at) {
  const folded = new Map();
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
export function checkDigest(digest, at) {
  const match = typeof digest === 'string' ? /^([a-z0-9]+):([0-9a-f]+)$/.exec(digest) : null;
  if (match === null) refuse('digest-form', at, show(digest));
  if (match[1] !== 'sha256') refuse('digest-algorithm', at, match[1]);
  if (match[2].length !== 64) refuse('digest-form', at, show(digest));
}

/**
 * The minor version of a document of major version 1; `expected` is the text that the manifest has.
 */
export function checkVersion(version, at, expected = null) {
  const match = typeof version === 'string' ? /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$/.exec(version) : null;
  if (match === null) refuse('version-form', at, show(version));
  if (expected !== null && version !== expected) refuse('version-form', at, `${version}, where the manifest has ${expected}`);
  if (match[1] !== '1') refuse('version-unsupported', at, version);
  return Number(match[2]);
}

/** Refuses fields that a version 1.0 document does not have; a later minor version may have more. */
export function checkFields(object, known, at, { form, minor }) {
  for (const field of object.keys()) {
    if (!known.includes(field) && !field.startsWith('x-') && minor === 0) refuse(form, at, `the unknown field ${show(field)}`);
  }
}

/** Whether a value is a non-negative integer of a document. */
export function isNatural(value) {
  return Number.isSafeInteger(value) && value >= 0;
}
