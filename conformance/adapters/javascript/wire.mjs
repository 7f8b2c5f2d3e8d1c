// Data between the suite and the adapter: base64 below 1 MiB, files above.

import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { BufferSource, FileSource } from './source.mjs';

const INLINE_LIMIT = 1 << 20;

/** Writes data for replies; remembers the files, so that a reset removes them. */
export class Outbox {
  constructor(folder) {
    this.folder = folder;
    this.files = [];
    this.count = 0;
  }

  data(bytes) {
    if (bytes.length < INLINE_LIMIT) return { data: bytes.toString('base64') };
    const file = this.newFile();
    writeFileSync(file, bytes);
    return { file };
  }

  /** Data that may be too large for memory: `source` gives its pieces to the function that it is called with. */
  stream(size, source) {
    if (size < INLINE_LIMIT) {
      const pieces = [];
      source((piece) => pieces.push(piece));
      return this.data(Buffer.concat(pieces));
    }
    const file = this.newFile();
    const descriptor = openSync(file, 'w');
    try {
      source((piece) => writeSync(descriptor, piece));
    } finally {
      closeSync(descriptor);
    }
    return { file };
  }

  newFile() {
    this.count += 1;
    const file = join(this.folder, `javascript-${process.pid}-${this.count}.bin`);
    this.files.push(file);
    return file;
  }

  tensor({ dtype, shape, data, strings, components }) {
    if (strings) return { dtype, shape, strings: strings.map((text) => text.toString('base64')) };
    const message = { dtype, shape, ...this.data(data) };
    if (components) {
      message.components = Object.fromEntries(Object.entries(components).map(([name, part]) => [name, this.tensor(part)]));
    }
    return message;
  }

  clear() {
    for (const file of this.files.splice(0)) rmSync(file, { force: true });
  }
}

/** Bytes that the suite sent. */
export function bytesOf(message) {
  return message.file === undefined ? Buffer.from(message.data, 'base64') : readFileSync(message.file);
}

/** A content that the suite sent, as the writer takes it. */
export function contentOf({ metadata, weights, tensors, parts }) {
  const of = (object, work) => new Map(Object.entries(object ?? {}).map(([name, value]) => [name, work(value)]));
  const part = ({ data, file, ...fields }) => new Map(Object.entries(fields)).set('bytes', bytesOf({ data, file }));
  return { metadata: mapped(metadata), weights: mapped(weights), tensors: of(tensors?.weights, tensorOf), parts: of(parts, part) };
}

function tensorOf({ dtype, shape, strings, components, ...data }) {
  const tensor = { dtype, shape };
  if (strings !== undefined) tensor.strings = strings.map((text) => Buffer.from(text, 'base64'));
  else tensor.data = bytesOf(data);
  if (components !== undefined) {
    tensor.components = Object.fromEntries(Object.entries(components).map(([name, each]) => [name, tensorOf(each)]));
  }
  return tensor;
}

/** JSON with Maps for objects. */
function mapped(value) {
  if (Array.isArray(value)) return value.map(mapped);
  if (value === null || typeof value !== 'object') return value;
  return new Map(Object.entries(value).map(([key, item]) => [key, mapped(item)]));
}

/** An artifact that the suite sent, as the reader takes it. A file is not read as a whole. */
export function placeOf({ packed, directory }) {
  if (directory !== undefined) return { directory };
  return { packed: packed.file === undefined ? new BufferSource(Buffer.from(packed.data, 'base64')) : new FileSource(packed.file) };
}

/** A line of JSON; objects of documents are Maps. */
export function lineOf(message) {
  return `${JSON.stringify(message, (_, value) => (value instanceof Map ? Object.fromEntries(value) : value))}\n`;
}

/** The lines of a stream. (readline would also end them at U+2028, which JSON may hold.) */
export async function* linesOf(stream) {
  let pieces = [];
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
