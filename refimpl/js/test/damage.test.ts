// Damaged and hostile bytes: every change is found, and nothing else than a refusal comes of them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EtuiError, verify } from '../src/node.js';
import { vector, vectors } from './fixtures.js';

/** Numbers that are the same in every run. */
function* numbers(seed: number): Generator<number> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

/** Bytes with one change: a byte that is another, some that are gone, or some that are there twice. */
function damaged(bytes: Uint8Array, random: Generator<number>): Uint8Array {
  const next = (below: number): number => (random.next().value as number) % below;
  const place = next(bytes.length);
  const size = 1 + next(40);
  switch (next(4)) {
    case 0:
      return Uint8Array.of(...bytes.subarray(0, place), ...bytes.subarray(place + size));
    case 1:
      return Uint8Array.of(...bytes.subarray(0, place + size), ...bytes.subarray(place));
    case 2:
      return bytes.slice(0, place);
    default: {
      const copy = bytes.slice();
      copy[place] = (copy[place] as number) ^ (1 << next(8));
      return copy;
    }
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof EtuiError && error.errorClass !== 'usage';
}

describe('damage', () => {
  test('of any byte of an artifact is found', async () => {
    const bytes = vector('training/0002.etui');
    await verify(bytes);
    let changed = 0;
    for (let place = 0; place < bytes.length; place += 3) {
      const copy = bytes.slice();
      copy[place] = (copy[place] as number) ^ (1 << (place % 8));
      await assert.rejects(verify(copy), isRefusal, `byte ${place}`);
      changed += 1;
    }
    assert.ok(changed > 300);
  });

  test('of any vector is a refusal, and no other failure', async () => {
    const random = numbers(7);
    let tried = 0;
    for (const { id, kind, result, files } of vectors().vectors) {
      const name = Object.keys(files).find((file) => file.endsWith('.etui'));
      if (kind !== 'packed' || result !== 'ok' || name === undefined) continue;
      const bytes = vector(name);
      if (bytes.length > 50_000) continue;
      for (let i = 0; i < 4; i += 1) {
        const copy = damaged(bytes, random);
        if (copy.length === bytes.length && copy.every((byte, place) => byte === bytes[place])) continue;
        await assert.rejects(verify(copy), isRefusal, id);
        tried += 1;
      }
    }
    assert.ok(tried > 700);
  });
});
