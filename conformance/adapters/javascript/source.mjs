// Bytes at a place: a file that is read piece by piece, or a buffer.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** A file. Nothing but the asked-for bytes is read. */
export class FileSource {
  constructor(path) {
    this.descriptor = openSync(path, 'r');
    this.size = fstatSync(this.descriptor).size;
  }

  /** The bytes from `offset`; fewer where the file ends before. */
  read(offset, length) {
    const size = Math.max(0, Math.min(length, this.size - offset));
    const data = Buffer.alloc(size);
    let filled = 0;
    while (filled < size) {
      const got = readSync(this.descriptor, data, filled, size - filled, offset + filled);
      if (got === 0) return data.subarray(0, filled);
      filled += got;
    }
    return data;
  }

  close() {
    closeSync(this.descriptor);
  }
}

/** Bytes in memory. */
export class BufferSource {
  constructor(data) {
    this.data = data;
    this.size = data.length;
  }

  read(offset, length) {
    return this.data.subarray(Math.min(offset, this.size), Math.min(offset + length, this.size));
  }

  close() {}
}

/** A part of another source, as a source. */
export class SliceSource {
  constructor(source, offset, size) {
    this.source = source;
    this.offset = offset;
    this.size = size;
  }

  read(offset, length) {
    return this.source.read(this.offset + offset, Math.max(0, Math.min(length, this.size - offset)));
  }

  close() {}
}
