// Data between the suite and the adapter: base64 below 1 MiB, files above (annex P.2).

import { Buffer } from 'node:buffer';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Content, Elements, Json, JsonMap, PartContent, Tensor, TensorContent } from '../src/node.js';

const INLINE_LIMIT = 1 << 20;

/** A message of the protocol. */
export interface Message {
  [field: string]: unknown;
}

/** Bytes as a message has them. */
export type Bytes = { data: string } | { file: string };

/** A tensor as a message has it. */
export interface TensorMessage {
  dtype: string;
  shape: number[];
  data?: string;
  file?: string;
  strings?: string[];
  components?: Record<string, TensorMessage>;
}

/** Asked for what this adapter does not have; no fault of the artifact. */
export class Unsupported extends Error {
  readonly what: string;

  constructor(what: string) {
    super(`unsupported: ${what}`);
    this.what = what;
  }
}

/** Writes data for replies; remembers the files, so that a reset removes them. */
export class Outbox {
  readonly folder: string;
  readonly #files: string[] = [];
  #count = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  data(bytes: Uint8Array): Bytes {
    if (bytes.length < INLINE_LIMIT) return { data: buffer(bytes).toString('base64') };
    const file = this.#newFile();
    writeFileSync(file, bytes);
    return { file };
  }

  /** Data that may be too large for memory. */
  async stream(size: number, pieces: AsyncIterable<Uint8Array>): Promise<Bytes> {
    if (size < INLINE_LIMIT) {
      const all: Uint8Array[] = [];
      for await (const piece of pieces) all.push(piece);
      return this.data(Buffer.concat(all));
    }
    const file = this.#newFile();
    const handle: FileHandle = await open(file, 'w');
    try {
      for await (const piece of pieces) await handle.write(piece);
    } finally {
      await handle.close();
    }
    return { file };
  }

  /** A tensor; with `components` those of a quantized one are there too (CF-17). */
  async tensor(tensor: Tensor, elements: Elements, components: boolean): Promise<TensorMessage> {
    const { dtype, shape, data, strings } = elements;
    const message: TensorMessage = { dtype, shape: [...shape] };
    if (strings !== null) message.strings = strings.map((text) => buffer(text).toString('base64'));
    else Object.assign(message, this.data(data as Uint8Array));
    if (components && tensor.encoding === 'quantized') {
      const entries: [string, TensorMessage][] = [];
      for (const [name, each] of tensor.components) {
        entries.push([name, await this.tensor(each, await each.read(), false)]);
      }
      message.components = Object.fromEntries(entries);
    }
    return message;
  }

  clear(): void {
    for (const file of this.#files.splice(0)) rmSync(file, { force: true });
  }

  #newFile(): string {
    this.#count += 1;
    const file = join(this.folder, `javascript-${process.pid}-${this.#count}.bin`);
    this.#files.push(file);
    return file;
  }
}

/** The same bytes, with what Buffer can do. */
function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes that the suite sent. */
export function bytesOf(message: { data?: string; file?: string }): Uint8Array {
  return message.file === undefined ? Buffer.from(message.data ?? '', 'base64') : readFileSync(message.file);
}

/** A content that the suite sent, as the writer takes it. */
export function contentOf(message: Message): Content {
  const documents: Record<string, JsonMap> = {};
  for (const area of ['config', 'training', 'weights', 'optimizer', 'state']) {
    if (message[area] !== undefined) documents[area] = mapped(message[area]) as JsonMap;
  }
  const tensors: Record<string, Map<string, TensorContent>> = {};
  for (const [area, given] of Object.entries(
    (message.tensors ?? {}) as Record<string, Record<string, TensorMessage>>,
  )) {
    tensors[area] = new Map(Object.entries(given).map(([name, tensor]) => [name, tensorOf(tensor)]));
  }
  const parts = new Map<string, PartContent>();
  for (const [name, part] of Object.entries((message.parts ?? {}) as Record<string, Message>)) {
    const { data, file, ...fields } = part as { data?: string; file?: string };
    const bytes = bytesOf({ ...(data === undefined ? {} : { data }), ...(file === undefined ? {} : { file }) });
    parts.set(name, { fields: mapped(fields) as JsonMap, size: bytes.length, pieces: () => [bytes] });
  }
  const metadata = message.metadata === undefined ? {} : { metadata: mapped(message.metadata) };
  return { ...documents, ...metadata, tensors, parts };
}

/** A tensor that the suite sent, as the writer takes it. */
function tensorOf({ dtype, shape, strings, components, ...data }: TensorMessage): TensorContent {
  const load = (): Promise<{ data: Uint8Array | null; strings: Uint8Array[] | null }> => {
    if (strings !== undefined) {
      return Promise.resolve({ data: null, strings: strings.map((text) => Buffer.from(text, 'base64')) });
    }
    return Promise.resolve({ data: bytesOf(data), strings: null });
  };
  if (components === undefined) return { dtype, shape, load };
  const made = new Map(Object.entries(components).map(([name, each]) => [name, tensorOf(each)]));
  return { dtype, shape, load, components: made };
}

/** JSON with Maps for objects. */
export function mapped(value: unknown): Json {
  if (Array.isArray(value)) return value.map(mapped);
  if (value === null || typeof value !== 'object') return value as Json;
  return new Map(Object.entries(value).map(([key, item]) => [key, mapped(item)]));
}

/** A line of JSON; objects of documents are Maps. */
export function lineOf(message: Message): string {
  return `${JSON.stringify(message, (_, value: unknown) => (value instanceof Map ? fromEntries(value) : value))}\n`;
}

/** An object of which no key is special. */
function fromEntries(map: Map<string, unknown>): object {
  const object = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of map) object[key] = item;
  return object;
}

/** The lines of a stream. (readline would also end them at U+2028, which JSON may hold.) */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      yield Buffer.concat([...pieces, chunk.subarray(start, end)]).toString();
      pieces = [];
      start = end + 1;
    }
    pieces.push(chunk.subarray(start));
  }
}
