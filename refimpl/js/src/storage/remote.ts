// Artifacts behind a URL (SPEC.md annex S): a packed file, or the folder of a directory form.

import type { Manifest } from '../documents/manifest.js';
import { EtuiError, refuse } from '../errors.js';
import type { Container } from './container.js';
import { Client, HttpFile, placeOf, type RemoteOptions, urlBelow } from './http.js';
import type { Source } from './source.js';
import { PackedContainer } from './zip.js';

/** What the first request of a packed file asks for (RM-1). */
const TAIL = 512 * 1024;

/** Opens what is behind a URL: a folder where it ends with `/` or names a manifest, else a packed file. */
export async function openRemote(url: URL, options: RemoteOptions): Promise<Container> {
  const client = new Client(options);
  if (url.pathname.endsWith('/') || url.pathname.endsWith('/manifest.json')) return new HttpFolder(client, url);
  const file = new HttpFile(client, url);
  const start = await file.readTail(TAIL).catch((error: unknown) => {
    // Not a part of an artifact: the artifact itself, by an address that may be wrong.
    if (error instanceof EtuiError && error.code === 'part-missing')
      refuse('not-reached', placeOf(url), 'no such file');
    throw error;
  });
  const container = await PackedContainer.open(file, true);
  // One request more for the documents that lie before the tail.
  await file.keep(Math.min(container.firstDocument(), start), start);
  return container;
}

/** The folder of a directory form behind a URL. */
export class HttpFolder implements Container {
  readonly form = 'directory';
  readonly remote = true;
  readonly #client: Client;
  readonly #url: URL;
  readonly #sizes = new Map<string, number>();

  constructor(client: Client, url: URL) {
    this.#client = client;
    this.#url = url;
  }

  async manifest(): Promise<Source> {
    const file = new HttpFile(this.#client, urlBelow(this.#url, 'manifest.json'));
    try {
      await file.readWhole();
    } catch (error) {
      if (!(error instanceof EtuiError) || error.code !== 'part-missing') throw error;
      refuse('manifest-missing', placeOf(this.#url), 'no manifest.json');
    }
    return file;
  }

  /** Whether parts that are not read are there, and their sizes, are left to the full verification (RM-5). */
  checkParts({ parts }: Manifest): Promise<void> {
    for (const [name, { size }] of parts) this.#sizes.set(name, size);
    return Promise.resolve();
  }

  open(name: string): Promise<Source> {
    return Promise.resolve(new HttpFile(this.#client, urlBelow(this.#url, name), this.#sizes.get(name) ?? null));
  }

  crc(): null {
    return null;
  }

  /** A server does not list files, so that none is looked for that is not listed (RM-7). */
  verify(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
