// What holds the parts of an artifact: a folder, a packed file, a series, or documents alone.

import type { Manifest } from '../documents/manifest.js';
import { refuse } from '../errors.js';
import { BlobSource, BytesSource, type Source } from './source.js';

/** How an artifact is stored. */
export type Form = 'packed' | 'directory' | 'series';

/** What gives the parts of an artifact. */
export interface Container {
  readonly form: Form;
  /** The bytes of `manifest.json`. */
  manifest(): Promise<Source>;
  /** Refuses parts that are not those of the manifest, as far as that is known without reading them (RM-5). */
  checkParts(manifest: Manifest): Promise<void>;
  /** A part that the manifest lists. */
  open(name: string): Promise<Source>;
  /** The CRC-32 that a part must have, or null. */
  crc(name: string): number | null;
  /** What a full verification looks at besides the parts (F-5, RM-6). */
  verify(manifest: Manifest): Promise<void>;
  /** Whether each read is a request over a network. */
  readonly remote: boolean;
  close(): Promise<void>;
}

/** Files by their names below the folder: one that was dropped, or documents in memory. */
export class FilesContainer implements Container {
  readonly form = 'directory';
  readonly remote = false;
  /** Whether the data parts are there (an embedded payload has documents alone). */
  readonly hasData: boolean;
  readonly files: ReadonlyMap<string, Blob | Uint8Array>;

  constructor(files: ReadonlyMap<string, Blob | Uint8Array>, hasData = true) {
    this.files = belowFile(files, 'manifest.json');
    this.hasData = hasData;
  }

  manifest(): Promise<Source> {
    if (!this.files.has('manifest.json')) refuse('manifest-missing', 'the folder', 'no manifest.json');
    return this.open('manifest.json');
  }

  async checkParts({ parts }: Manifest): Promise<void> {
    for (const [name, { role, size }] of parts) {
      if (!this.hasData && (role === 'data' || !this.files.has(name))) continue;
      const found = (await this.open(name)).size;
      if (found !== size) refuse('part-size', name, `${found} bytes, where the manifest has ${size}`);
    }
  }

  open(name: string): Promise<Source> {
    const file = this.files.get(name);
    if (file === undefined) {
      if (!this.hasData) refuse('no-data', name, 'a part that is not here');
      refuse('part-missing', name, 'no such file');
    }
    return Promise.resolve(file instanceof Uint8Array ? new BytesSource(file) : new BlobSource(file));
  }

  crc(): null {
    return null;
  }

  verify({ parts }: Manifest): Promise<void> {
    for (const name of this.files.keys()) {
      if (name !== 'manifest.json' && !parts.has(name)) {
        refuse('part-unlisted', name, 'a file that the manifest does not list');
      }
    }
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Files of a dropped folder have its name in front: those below the uppermost file of a name, by their names below it. */
export function belowFile(
  files: ReadonlyMap<string, Blob | Uint8Array>,
  name: string,
): ReadonlyMap<string, Blob | Uint8Array> {
  if (files.has(name)) return files;
  const found = [...files.keys()].filter((each) => each.endsWith(`/${name}`));
  const [first] = found.sort((a, b) => a.split('/').length - b.split('/').length || (a < b ? -1 : 1));
  if (first === undefined) return files;
  const folder = first.slice(0, -name.length);
  return new Map(
    [...files].flatMap(([each, file]) => (each.startsWith(folder) ? [[each.slice(folder.length), file] as const] : [])),
  );
}
