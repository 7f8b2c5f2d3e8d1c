// Bytes at a place, of which ranges are read.

import { refuse } from '../errors.js';

/** Something that gives ranges of its bytes. */
export interface Source {
  readonly size: number;
  /** The bytes from `offset`; fewer where the source ends before. The caller does not change them. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Bytes in memory. */
export class BytesSource implements Source {
  readonly bytes: Uint8Array;
  readonly size: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.size = bytes.length;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    if (this.size === 0) return Promise.resolve(new Uint8Array(0));
    // A worker took them over: a view of what was transferred cannot be made.
    if (this.bytes.length !== this.size) refuse('argument', 'the bytes', 'their buffer was transferred to elsewhere');
    return Promise.resolve(this.bytes.subarray(Math.min(offset, this.size), Math.min(offset + length, this.size)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Browsers have no array of so many bytes. */
const LARGE = 2 ** 31 - 1;

/** A file that a user chose or dropped. */
export class BlobSource implements Source {
  readonly blob: Blob;

  constructor(blob: Blob) {
    this.blob = blob;
  }

  get size(): number {
    return this.blob.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const stop = Math.min(offset + length, this.size);
    try {
      return new Uint8Array(await this.blob.slice(offset, stop).arrayBuffer());
    } catch (error) {
      // Browsers call both of these NotReadableError.
      const code = stop - offset >= LARGE ? 'out-of-memory' : 'file-changed';
      return refuse(code, 'the file', `bytes ${offset} to ${stop} cannot be read: ${error}`);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A part of another source, which stays open. */
export class SliceSource implements Source {
  readonly source: Source;
  readonly offset: number;
  readonly size: number;

  constructor(source: Source, offset: number, size: number) {
    this.source = source;
    this.offset = offset;
    this.size = size;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return this.source.read(this.offset + offset, Math.max(0, Math.min(length, this.size - offset)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
