// Ranges of a file behind a URL (SPEC.md annex S).

import { concat } from '../bytes.js';
import { EtuiError, refuse } from '../errors.js';
import type { Source } from './source.js';

export interface RemoteOptions {
  /** What asks the server; the surroundings' own where it is left out. */
  readonly fetch?: typeof fetch;
  /** Sent with each request, to the host of the URL alone (RM-22). */
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds before a request is sent again, doubled each time; 200 where it is left out. */
  readonly retryDelay?: number;
}

/** A file that a server sends whole, since it ignores ranges, is taken up to this size (RM-10). */
const WHOLE_LIMIT = 256 * 1024 * 1024;
const TRIES = 4;
const REDIRECTS = 5;

interface Answer {
  readonly start: number;
  readonly bytes: Uint8Array;
  /** Of the file, or null where the server does not tell. */
  readonly total: number | null;
}

/** Sends requests: with the caller's headers, again where that may help, and never with a secret in a message. */
export class Client {
  readonly #fetch: typeof fetch;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #delay: number;

  constructor(options: RemoteOptions) {
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#headers = options.headers ?? {};
    this.#delay = options.retryDelay ?? 200;
  }

  /** An answer below 500, or a refusal after a few tries. */
  async ask(url: URL, range: string | null, method = 'GET'): Promise<Response> {
    let last: unknown = null;
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      await this.pause(attempt);
      try {
        const response = await this.#follow(url, range, method);
        if (response.status < 500 && response.status !== 429) return response;
        await response.body?.cancel();
        last = `status ${response.status}`;
      } catch (error) {
        if (error instanceof EtuiError) throw error;
        last = error instanceof Error ? error.message : error;
      }
    }
    return refuse('not-reached', placeOf(url), scrub(String(last), url));
  }

  /** One answer, whatever it is; null where there is none. */
  async tryOnce(url: URL, range: string): Promise<Response | null> {
    try {
      return await this.#follow(url, range, 'GET');
    } catch (error) {
      if (error instanceof EtuiError) throw error;
      return null;
    }
  }

  /** Waits before a try, but the first. */
  pause(attempt: number): Promise<void> {
    const delay = attempt === 0 ? 0 : this.#delay * 2 ** (attempt - 1);
    return new Promise((resolve) => (delay === 0 ? resolve() : setTimeout(resolve, delay)));
  }

  /** Follows redirections by hand where there are headers to keep from other hosts. */
  async #follow(url: URL, range: string | null, method: string): Promise<Response> {
    const own = Object.keys(this.#headers).length > 0;
    let target = url;
    for (let step = 0; step <= REDIRECTS; step += 1) {
      const headers = new Headers(target.origin === url.origin ? this.#headers : {});
      if (range !== null) headers.set('Range', range);
      const response = await this.#fetch(target, { method, headers, redirect: own ? 'manual' : 'follow' });
      if (response.type === 'opaqueredirect') {
        refuse(
          'not-reached',
          placeOf(url),
          'a redirection, which a page cannot follow without giving its headers away',
        );
      }
      const location = response.headers.get('Location');
      if (response.status < 300 || response.status >= 400 || location === null) return response;
      await response.body?.cancel();
      target = new URL(location, target);
    }
    return refuse('not-reached', placeOf(url), `more than ${REDIRECTS} redirections`);
  }
}

/** A file behind a URL. */
export class HttpFile implements Source {
  readonly url: URL;
  readonly #client: Client;
  readonly #kept: { readonly start: number; readonly bytes: Uint8Array }[] = [];
  /** Whether the size is what somebody else said. */
  readonly #listed: boolean;
  #size: number | null;
  #version: string | null = null;

  /** `size` is what is known of it before anybody asked. */
  constructor(client: Client, url: URL, size: number | null = null) {
    this.#client = client;
    this.url = url;
    this.#size = size;
    this.#listed = size !== null;
  }

  get size(): number {
    return this.#size ?? refuse('not-reached', placeOf(this.url), 'a file of unknown size');
  }

  /** Reads the last bytes, and keeps them; gives how many of the file's bytes come before them. */
  async readTail(length: number): Promise<number> {
    const first = await this.#client.tryOnce(this.url, `bytes=-${length}`);
    const unknown = first === null || first.status === 400 || first.status === 416 || first.status === 501;
    if (!unknown) {
      const usable = first.status < 500 && first.status !== 429;
      if (!usable) await first.body?.cancel();
      const answer = await this.#get(`bytes=-${length}`, null, length, usable ? first : null);
      const total = answer.total ?? concludedSize(answer.bytes);
      if (total === null || total < answer.bytes.length) {
        refuse('zip-truncated', placeOf(this.url), 'no end record at the end');
      }
      this.#size = total;
      this.#kept.push({ start: total - answer.bytes.length, bytes: answer.bytes });
      return total - answer.bytes.length;
    }
    // Some servers know no ranges that count from the end, and browsers ask other hosts first whether they may ask for one.
    await first?.body?.cancel();
    const size = await this.#askSize();
    const start = Math.max(0, size - length);
    await this.keep(start, size);
    return start;
  }

  /** Reads the first bytes, which tell the size; keeps them where they are the whole file. */
  async readHead(length: number): Promise<void> {
    const range = `bytes=0-${length - 1}`;
    const first = await this.#client.ask(this.url, range);
    if (first.status === 416) {
      await first.body?.cancel();
      this.#size = 0;
      return;
    }
    const { start, bytes, total } = await this.#get(range, null, length, first);
    if (this.#size !== null) return; // it came whole
    if (start !== 0) refuse('not-reached', placeOf(this.url), `bytes from ${start} on, where ${range} was asked for`);
    const size = total ?? (bytes.length < length ? bytes.length : await this.#askSize());
    this.#size = size;
    if (bytes.length === size) this.#kept.push({ start, bytes });
  }

  /** The size as the server tells it; a file that it would compress, or whose size it does not tell, is read whole. */
  async #askSize(): Promise<number> {
    const head = await this.#client.ask(this.url, null, 'HEAD');
    if (head.status !== 200) await this.#refuseStatus(head);
    this.#checkVersion(head);
    const size = head.headers.has('Content-Encoding') ? null : head.headers.get('Content-Length');
    if (size === null) await this.readWhole();
    else this.#size = Number(size);
    return this.size;
  }

  /** Reads the whole file, and keeps it. */
  async readWhole(): Promise<void> {
    const response = await this.#client.ask(this.url, null);
    if (response.status !== 200) await this.#refuseStatus(response);
    this.#checkVersion(response);
    await this.#whole(response, null);
  }

  /** Reads a range, and keeps it together with what is kept behind it. */
  async keep(start: number, stop: number): Promise<void> {
    if (stop <= start) return;
    const bytes = await this.read(start, stop - start);
    const next = this.#kept.findIndex((each) => each.start === stop);
    if (next < 0) this.#kept.push({ start, bytes });
    else this.#kept[next] = { start, bytes: concat([bytes, (this.#kept[next] as { bytes: Uint8Array }).bytes]) };
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const size = Math.max(0, Math.min(length, this.size - offset));
    if (size === 0) return new Uint8Array(0);
    const known = this.#kept.find(({ start, bytes }) => start <= offset && offset + size <= start + bytes.length);
    if (known !== undefined) return known.bytes.subarray(offset - known.start, offset - known.start + size);
    const answer = await this.#get(`bytes=${offset}-${offset + size - 1}`, { offset, size }, size);
    return answer.bytes;
  }

  close(): Promise<void> {
    this.#kept.length = 0;
    return Promise.resolve();
  }

  /** Asks until the answer is the one that was asked for (RM-8), and not of more bytes than `most`. */
  async #get(
    range: string,
    wanted: { offset: number; size: number } | null,
    most: number,
    first: Response | null = null,
  ): Promise<Answer> {
    let found = '';
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      await this.#client.pause(attempt);
      const response = (attempt === 0 ? first : null) ?? (await this.#client.ask(this.url, range));
      this.#checkVersion(response);
      if (response.status === 200) return this.#whole(response, wanted);
      if (response.status !== 206) await this.#refuseStatus(response);
      const stated = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/.exec(response.headers.get('Content-Range') ?? '');
      const bytes = await bodyOf(response, most);
      const total = stated === null || stated[3] === '*' ? null : Number(stated[3]);
      const start = stated === null ? (wanted?.offset ?? 0) : Number(stated[1]);
      if (total !== null && this.#size !== null && total !== this.#size) {
        refuse(
          this.#listed ? 'part-size' : 'file-changed',
          placeOf(this.url),
          `${total} bytes instead of ${this.#size}`,
        );
      }
      const right = wanted === null || (bytes?.length === wanted.size && start === wanted.offset);
      const whole = stated === null || bytes?.length === Number(stated[2]) - Number(stated[1]) + 1;
      if (bytes !== null && right && whole) return { start, bytes, total };
      found = `${bytes?.length ?? 'more'} bytes from ${start} on, where ${range} was asked for`;
    }
    return refuse('not-reached', placeOf(this.url), found);
  }

  async #refuseStatus(response: Response): Promise<never> {
    await response.body?.cancel();
    if (response.status === 404 || response.status === 410) refuse('part-missing', placeOf(this.url), 'no such file');
    return refuse('not-reached', placeOf(this.url), `status ${response.status}`);
  }

  /** A whole file in place of a range: it is used, and nothing is asked again, unless it is too large. */
  async #whole(response: Response, wanted: { offset: number; size: number } | null): Promise<Answer> {
    const stated = Number(response.headers.get('Content-Length') ?? Number.NaN);
    const bytes = stated > WHOLE_LIMIT ? null : await bodyOf(response, WHOLE_LIMIT);
    if (bytes === null) {
      await response.body?.cancel();
      refuse('no-ranges', placeOf(this.url), 'a server that sends the whole file in place of a range');
    }
    if (this.#size !== null && bytes.length !== this.#size) {
      refuse('part-size', placeOf(this.url), `${bytes.length} bytes instead of ${this.#size}`);
    }
    this.#size = bytes.length;
    this.#kept.push({ start: 0, bytes });
    if (wanted === null) return { start: 0, bytes, total: bytes.length };
    return {
      start: wanted.offset,
      bytes: bytes.subarray(wanted.offset, wanted.offset + wanted.size),
      total: bytes.length,
    };
  }

  /** Refuses a file that was replaced (RM-9), as far as the server marks versions. */
  #checkVersion(response: Response): void {
    if (response.status !== 200 && response.status !== 206) return;
    const version = response.headers.get('ETag') ?? response.headers.get('Last-Modified');
    if (this.#version !== null && version !== null && version !== this.#version) {
      refuse('file-changed', placeOf(this.url), 'another version of the file');
    }
    this.#version ??= version;
  }
}

/** The bytes of an answer, or null where they are more than `most`. */
async function bodyOf(response: Response, most: number): Promise<Uint8Array | null> {
  if (response.body === null) return new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      return null;
    }
    pieces.push(value);
  }
  return concat(pieces);
}

/** The size of a packed file by its end record, where the server does not tell (RM-3). */
function concludedSize(tail: Uint8Array): number | null {
  if (tail.length < 22) return null;
  const view = new DataView(tail.buffer, tail.byteOffset + tail.length - 22, 22);
  if (view.getUint32(0, true) !== 0x06054b50) return null;
  const [size, offset] = [view.getUint32(12, true), view.getUint32(16, true)];
  if (size !== 0xffffffff && offset !== 0xffffffff && view.getUint16(10, true) !== 0xffff) return offset + size + 22;
  if (tail.length < 98) return null;
  const wide = new DataView(tail.buffer, tail.byteOffset + tail.length - 98, 56);
  if (wide.getUint32(0, true) !== 0x06064b50) return null;
  return Number(wide.getBigUint64(48, true)) + Number(wide.getBigUint64(40, true)) + 98;
}

/** The URL of a file below that of a folder, with the same query. */
export function urlBelow(folder: URL, name: string): URL {
  const url = new URL(name.split('/').map(encodeURIComponent).join('/'), folder);
  url.search = folder.search;
  return url;
}

/** A URL as a message may have it: without user, password and query (RM-17). */
export function placeOf(url: URL): string {
  return url.origin === 'null' ? url.protocol : `${url.origin}${url.pathname}`;
}

/** The message of a failed request, which may repeat the URL. */
function scrub(message: string, url: URL): string {
  const secrets = [url.search, url.username, url.password].filter((secret) => secret !== '');
  return secrets.reduce((text, secret) => text.replaceAll(secret, '…'), message);
}
