// Bytes at a place, of which ranges are read.

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

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.bytes.subarray(Math.min(offset, this.size), Math.min(offset + length, this.size)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

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
    return new Uint8Array(await this.blob.slice(offset, Math.min(offset + length, this.size)).arrayBuffer());
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
