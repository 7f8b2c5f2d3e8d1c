// Digests and check sums by Node.js, which takes bytes in pieces and is faster.

import { createHash } from 'node:crypto';
import * as zlib from 'node:zlib';
import { type Platform, setPlatform } from '../platform.js';

/** Before Node.js 20.15 there is no CRC-32; then the library's own is taken. */
const crc = (zlib as { crc32?: (data: Uint8Array, value?: number) => number }).crc32;

/** Lets the library use what Node.js has. */
export function useNode(before: Platform): void {
  setPlatform({
    sha256: (bytes) => createHash('sha256').update(bytes).digest('hex'),
    hasher: () => {
      const hash = createHash('sha256');
      return {
        update: (bytes) => void hash.update(bytes),
        finish: () => hash.digest('hex'),
      };
    },
    crc32: crc ?? before.crc32,
  });
}
