// Writing, whatever is written.

import { concat } from './bytes.js';
import { Model } from './model/model.js';
import { type Planned, plan } from './write/artifact.js';
import { type Content, contentOf } from './write/content.js';
import { packedPieces } from './write/zip.js';

/** How a model is stored. */
export interface WriteOptions {
  /** `packed` where it is left out. */
  readonly form?: 'packed' | 'directory';
  /** Bytes of data in a data part at most; one part for each document where it is left out. */
  readonly shardSize?: number;
}

/** The content of a model, which may be changed and written. */
export function contentOfModel(model: Model): Content {
  return contentOf(model.artifact);
}

/**
 * Writes a model into memory: the bytes of the packed form, or the files of the directory form by their names. The same
 * content gives the same bytes, here and in every other implementation (D-5).
 *
 * @throws EtuiError where the content is none that a reader would take.
 */
export async function write(
  model: Model | Content,
  options: WriteOptions & { form: 'directory' },
): Promise<Map<string, Uint8Array>>;
export async function write(model: Model | Content, options?: WriteOptions & { form?: 'packed' }): Promise<Uint8Array>;
export async function write(
  model: Model | Content,
  options: WriteOptions = {},
): Promise<Map<string, Uint8Array> | Uint8Array> {
  const planned = await planOf(model, options, true);
  if (options.form !== 'directory') return gathered(packedPieces(planned));
  const files = new Map<string, Uint8Array>();
  for (const part of planned.parts) files.set(part.name, await gathered(part.pieces()));
  return files;
}

/**
 * The packed form piece by piece, for a model that is larger than memory: tensors are read twice, and one at a time.
 *
 * @throws EtuiError as `write` does, before the first piece.
 */
export async function* writePieces(
  model: Model | Content,
  options: Omit<WriteOptions, 'form'> = {},
): AsyncGenerator<Uint8Array> {
  yield* packedPieces(await planOf(model, options, false));
}

/** What would be stored. */
export function planOf(model: Model | Content, options: WriteOptions, keep: boolean): Promise<Planned> {
  const content = model instanceof Model ? contentOf(model.artifact) : model;
  return plan(content, { shardSize: options.shardSize ?? null, keep });
}

async function gathered(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return concat(all);
}
