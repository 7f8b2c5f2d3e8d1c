// Putting an artifact at a path, so that whatever fails leaves what was there (SPEC.md F-6 to F-8).

import { lstat, mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Planned } from '../write/artifact.js';
import { packedPieces } from '../write/zip.js';

type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Writes an artifact at a path, in place of what is there. */
export async function store(planned: Planned, form: 'packed' | 'directory', path: string): Promise<void> {
  const target = resolve(path);
  const beside = await mkdtemp(join(dirname(target), '.etui-'));
  try {
    const made = join(beside, 'new');
    if (form === 'packed') await writeDurably(made, packedPieces(planned));
    else await writeParts(made, planned);
    await replace(made, target, join(beside, 'old'));
    await flushFolder(dirname(target));
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

/** A file is replaced by a rename; a folder cannot be renamed onto another, and comes back if the new one does not go there. */
async function replace(made: string, path: string, old: string): Promise<void> {
  const kinds = await Promise.all([made, path].map((each) => lstat(each).catch(() => null)));
  const [ofMade, there] = kinds;
  if (there === null || (there?.isFile() && ofMade?.isFile())) {
    await rename(made, path);
    return;
  }
  await rename(path, old);
  try {
    await rename(made, path);
  } catch (error) {
    await rename(old, path);
    throw error;
  }
}

/** Files of a new folder, the manifest last (F-6). */
async function writeParts(folder: string, { parts }: Planned): Promise<void> {
  await mkdir(folder);
  const folders = new Set([folder]);
  for (const part of parts) {
    const path = join(folder, ...part.name.split('/'));
    await mkdir(dirname(path), { recursive: true });
    for (let above = dirname(path); above !== folder; above = dirname(above)) folders.add(above);
    await writeDurably(path, part.pieces());
  }
  for (const each of folders) await flushFolder(each);
}

/** Writes a file that is not there yet, and waits until the storage device has it. */
export async function writeDurably(path: string, pieces: Pieces): Promise<void> {
  const file = await open(path, 'wx');
  try {
    for await (const piece of pieces) {
      for (let place = 0; place < piece.length; ) {
        place += (await file.write(piece, place, piece.length - place)).bytesWritten;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
