// Places of a series that a browser has: files of a folder that was dropped, and what is behind a URL (SPEC.md annex S).

import { EtuiError, refuse } from '../errors.js';
import { belowFile } from '../storage/container.js';
import { type Client, HttpFile, placeOf, urlBelow } from '../storage/http.js';
import { BlobSource, BytesSource, SliceSource, type Source } from '../storage/source.js';
import type { Found, SeriesPlace } from './place.js';

/** What the first request of a file asks for: most documents whole, and of the others the size. */
const HEAD = 64 * 1024;

/** Files by their names below the folder; one that was dropped has no links. */
export class FilesPlace implements SeriesPlace {
  readonly remote = false;
  readonly #files: ReadonlyMap<string, Blob | Uint8Array>;

  constructor(files: ReadonlyMap<string, Blob | Uint8Array>) {
    this.#files = belowFile(files, 'series.json');
  }

  look(name: string): Promise<Found> {
    const file = this.#files.get(name);
    const missing = { kind: 'missing', size: 0 };
    return Promise.resolve(
      file === undefined ? missing : { kind: 'file', size: file instanceof Uint8Array ? file.length : file.size },
    );
  }

  open(name: string): Promise<Source> {
    const file = this.#files.get(name) ?? refuse('series-object', name, 'no such file');
    return Promise.resolve(file instanceof Uint8Array ? new BytesSource(file) : new BlobSource(file));
  }

  list(folder: string): Promise<string[]> {
    const below = [...this.#files.keys()].filter((name) => name.startsWith(`${folder}/`));
    return Promise.resolve(below.map((name) => name.slice(folder.length + 1)).filter((name) => !name.includes('/')));
  }
}

/** What is behind a URL. Objects never change, so that each is asked for once; the other files are looked at anew. */
export class HttpPlace implements SeriesPlace {
  readonly remote = true;
  readonly #client: Client;
  readonly #url: URL;
  readonly #objects = new Map<string, HttpFile>();
  /** What was looked at and not yet opened. */
  readonly #looked = new Map<string, HttpFile>();

  constructor(client: Client, url: URL) {
    this.#client = client;
    this.#url = new URL(url);
    if (!url.pathname.endsWith('/')) this.#url.pathname = url.pathname.replace(/\/series\.json$|$/, '/');
  }

  async look(name: string): Promise<Found> {
    const known = this.#objects.get(name);
    if (known !== undefined) return { kind: 'file', size: known.size };
    const file = new HttpFile(this.#client, urlBelow(this.#url, name));
    try {
      await file.readHead(HEAD);
    } catch (error) {
      if (error instanceof EtuiError && error.code === 'part-missing') return { kind: 'missing', size: 0 };
      throw error;
    }
    (name.startsWith('objects/') ? this.#objects : this.#looked).set(name, file);
    return { kind: 'file', size: file.size };
  }

  async open(name: string): Promise<Source> {
    const find = (): HttpFile | undefined => this.#objects.get(name) ?? this.#looked.get(name);
    if (find() === undefined) await this.look(name);
    const file = find() ?? refuse('series-object', name, 'no such file');
    this.#looked.delete(name);
    // Whoever closes it closes a view: another may read the object.
    return new SliceSource(file, 0, file.size);
  }

  list(): Promise<string[]> {
    const found = 'a folder on a web server, which lists no files: name the step';
    return Promise.resolve().then(() => refuse('argument', placeOf(this.#url), found));
  }
}
