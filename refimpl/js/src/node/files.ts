// Files and folders of Node.js.

import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../documents/manifest.js';
import { refuse } from '../errors.js';
import type { Container } from '../storage/container.js';
import type { Source } from '../storage/source.js';

/** A file. Nothing but the asked-for bytes is read. */
export class FileSource implements Source {
  readonly size: number;
  readonly #handle: FileHandle;
  #open = true;

  private constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  static async open(path: string): Promise<FileSource> {
    const handle = await open(path, 'r');
    try {
      return new FileSource(handle, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const size = Math.max(0, Math.min(length, this.size - offset));
    const data = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      const { bytesRead } = await this.#handle.read(data, filled, size - filled, offset + filled);
      if (bytesRead === 0) return data.subarray(0, filled);
      filled += bytesRead;
    }
    return data;
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#handle.close();
  }
}

interface Found {
  /** `file`, `missing`, or a word for something that is no part. */
  readonly kind: string;
  readonly size: number;
}

/** A folder with a file for each part (chapter 8). */
export class FolderContainer implements Container {
  readonly form = 'directory';
  readonly remote = false;
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async manifest(): Promise<Source> {
    const { kind } = await look(this.path, 'manifest.json');
    if (kind === 'missing') refuse('manifest-missing', this.path, 'no manifest.json');
    return this.open('manifest.json');
  }

  async checkParts({ parts }: Manifest): Promise<void> {
    for (const [name, { size }] of parts) {
      const found = await this.#size(name);
      if (found !== size) refuse('part-size', name, `${found} bytes, where the manifest has ${size}`);
    }
  }

  async open(name: string): Promise<Source> {
    await this.#size(name);
    return FileSource.open(join(this.path, ...name.split('/')));
  }

  crc(): null {
    return null;
  }

  verify({ parts }: Manifest): Promise<void> {
    return this.#checkListed('', parts);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #size(name: string): Promise<number> {
    const { kind, size } = await look(this.path, name);
    if (kind === 'missing') refuse('part-missing', name, 'no such file');
    if (kind !== 'file') refuse('part-not-a-file', name, kind);
    return size;
  }

  /** Refuses files that the manifest does not list (F-5). */
  async #checkListed(below: string, parts: ReadonlyMap<string, unknown>): Promise<void> {
    for (const entry of await readdir(join(this.path, below), { withFileTypes: true })) {
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) await this.#checkListed(name, parts);
      else if (name !== 'manifest.json' && !parts.has(name)) {
        refuse('part-unlisted', name, 'a file that the manifest does not list');
      }
    }
  }
}

/** What is at a name. No link is followed on the way. */
export async function look(folder: string, name: string): Promise<Found> {
  let path = folder;
  let found: Found = { kind: 'a folder', size: 0 };
  for (const segment of name.split('/')) {
    if (found.kind !== 'a folder') return { kind: 'missing', size: 0 };
    path = join(path, segment);
    const status = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw error;
    });
    if (status === null) return { kind: 'missing', size: 0 };
    if (status.isSymbolicLink()) return { kind: 'a symbolic link', size: 0 };
    const kind = status.isFile() ? 'file' : status.isDirectory() ? 'a folder' : 'a device';
    found = { kind, size: status.size };
  }
  return found;
}
