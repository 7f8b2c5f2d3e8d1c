// The directory form (SPEC.md chapter 8).

import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { refuse } from './errors.mjs';
import { FileSource } from './source.mjs';

/** The manifest of a folder, as a source. */
export function openManifest(folder) {
  const { kind } = look(folder, 'manifest.json');
  if (kind === 'missing') refuse('manifest-missing', folder, 'no manifest.json');
  return openPart(folder, 'manifest.json');
}

/** The size of a listed part. */
export function sizeOf(folder, name) {
  const { kind, size } = look(folder, name);
  if (kind === 'missing') refuse('part-missing', name, 'no such file');
  if (kind !== 'file') refuse('part-not-a-file', name, kind);
  return size;
}

/** A listed part, as a source. */
export function openPart(folder, name) {
  sizeOf(folder, name);
  return new FileSource(join(folder, ...name.split('/')));
}

/** Refuses files that the manifest does not list (F-5). */
export function checkUnlisted(folder, listed, below = '') {
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
    const name = below ? `${below}/${entry.name}` : entry.name;
    if (entry.isDirectory()) checkUnlisted(folder, listed, name);
    else if (name !== 'manifest.json' && !listed.has(name)) refuse('part-unlisted', name, 'a file that the manifest does not list');
  }
}

/** What is at a name: kind `file`, `missing`, or a word for something that is no part. No link is followed on the way. */
function look(folder, name) {
  let path = folder;
  let status;
  for (const segment of name.split('/')) {
    if (status !== undefined && !status.isDirectory()) return { kind: 'missing' };
    path = join(path, segment);
    status = lstatSync(path, { throwIfNoEntry: false });
    if (status === undefined) return { kind: 'missing' };
    if (status.isSymbolicLink()) return { kind: 'a symbolic link' };
  }
  if (status.isFile()) return { kind: 'file', size: status.size };
  return { kind: status.isDirectory() ? 'a folder' : 'a device' };
}
