// Etui in Node.js: all of the library, and files and folders by their paths.

import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Model } from './model/model.js';
import { FileSource, FolderContainer } from './node/files.js';
import { useNode } from './node/platform.js';
import { store } from './node/store.js';
import { type OpenOptions, openContainer, type VerifyOptions, type VerifyResult, verify } from './open.js';
import { platform } from './platform.js';
import { PackedContainer } from './storage/zip.js';
import type { Content } from './write/content.js';
import { planOf, type WriteOptions } from './write.js';

useNode(platform());

export * from './index.js';
export { type Cleaned, type CleanOptions, collectGarbage, removeSteps } from './node/garbage.js';
export { FolderPlace, type SaveOptions, Series, saveStep } from './node/series.js';
export { FileSource, FolderContainer };

/**
 * Opens the artifact at a path, whichever form it has (I-1).
 *
 * @throws EtuiError as `open` does; the error of Node.js, such as ENOENT, where the path cannot be read.
 */
export async function openPath(path: string | URL, options: OpenOptions = {}): Promise<Model> {
  const place = path instanceof URL ? fileURLToPath(path) : path;
  return (await stat(place)).isDirectory() ? openFolder(place, options) : openFile(place, options);
}

/** Opens a packed file; throws as `openPath` does. */
export async function openFile(path: string, options: OpenOptions = {}): Promise<Model> {
  const file = await FileSource.open(path);
  try {
    return await openContainer(await PackedContainer.open(file), options);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Opens a folder; throws as `openPath` does. */
export function openFolder(path: string, options: OpenOptions = {}): Promise<Model> {
  return openContainer(new FolderContainer(path), options);
}

/**
 * Verifies every byte of the artifact at a path (H-7); a tensor may be larger than memory.
 *
 * @throws EtuiError what is wrong, with its place.
 */
export async function verifyPath(path: string | URL, options: VerifyOptions = {}): Promise<VerifyResult> {
  const model = await openPath(path, { ...options, verify: true });
  try {
    return await verify(model, options);
  } finally {
    await model.close();
  }
}

/**
 * Writes a model at a path, in place of what is there, and gives its identity. Tensors are read one at a time; a failure
 * leaves what was there.
 *
 * @throws EtuiError where the content is none that a reader would take; the error of Node.js where the place cannot be
 *   written.
 */
export async function writePath(path: string, model: Model | Content, options: WriteOptions = {}): Promise<string> {
  const planned = await planOf(model, options, false);
  await store(planned, options.form ?? 'packed', path);
  return planned.identity;
}

/** Writes a model as a packed file. */
export function writeFile(
  path: string,
  model: Model | Content,
  options: Omit<WriteOptions, 'form'> = {},
): Promise<string> {
  return writePath(path, model, { ...options, form: 'packed' });
}

/** Writes a model as a folder. */
export function writeFolder(
  path: string,
  model: Model | Content,
  options: Omit<WriteOptions, 'form'> = {},
): Promise<string> {
  return writePath(path, model, { ...options, form: 'directory' });
}
