// Tensors that are larger than what is read at a time, or than memory.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  BytesSource,
  EtuiError,
  open,
  openContainer,
  PackedContainer,
  type Source,
  verify,
  write,
} from '../src/node.js';
import { platform, setPlatform } from '../src/platform.js';
import { weightsOf } from './fixtures.js';

const SIZE = 9 * 1024 * 1024 + 3;

async function refusal(work: () => Promise<unknown>): Promise<EtuiError> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof EtuiError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

/** A source that cannot give more bytes at a time. */
function small(bytes: Uint8Array, most: number, asked: number[]): Source {
  const source = new BytesSource(bytes);
  return {
    size: source.size,
    read(offset, length) {
      asked.push(length);
      if (length > most) throw new RangeError(`Invalid typed array length: ${length}`);
      return source.read(offset, length);
    },
    close: () => source.close(),
  };
}

describe('a large tensor', () => {
  test('is verified in pieces, and a byte of each is looked at', async () => {
    const bytes = await write(weightsOf({ 'a/kernel': ['uint8', [SIZE], new Uint8Array(SIZE).fill(1)] }));
    const most = 4 * 1024 * 1024;
    const asked: number[] = [];
    const container = await PackedContainer.open(small(bytes, most, asked));
    await verify(await openContainer(container));
    assert.equal(most, Math.max(...asked));
    const start = bytes.length - SIZE - 2000;
    assert.ok(start < 2000, 'the tensor is most of the file');
    for (const place of [start + 4000, start + most + 4000, start + 2 * most + 4000, start + SIZE]) {
      const changed = bytes.slice();
      changed[place] = 2;
      const found = await refusal(() => verify(changed));
      assert.ok(['digest-mismatch', 'zip-crc'].includes(found.code), `${place}: ${found.message}`);
      const folder = await openContainer(await PackedContainer.open(new BytesSource(changed)));
      assert.equal(
        'digest-mismatch',
        (await refusal(async () => folder.weights?.get('a/kernel')?.tensor.bytes())).code,
      );
    }
  });

  test('gives the same verdict where digests are made of whole byte strings alone', async () => {
    const flags = new Uint8Array(SIZE).fill(1);
    const content = weightsOf({ 'a/kernel': ['bool', [SIZE], flags], 'b/kernel': ['uint8', [SIZE], flags] });
    const files = await write(content, { form: 'directory' });
    const data = files.get('weights.safetensors') as Uint8Array;
    const verdicts = async (): Promise<string[]> => {
      const found: string[] = [(await verify(files)).identity];
      for (const place of [data.length - 5, data.length - SIZE - 5]) {
        const kept = data[place] as number;
        data[place] = 2;
        found.push((await refusal(() => verify(files))).code);
        data[place] = kept;
      }
      return found;
    };
    const node = platform();
    const inPieces = await verdicts();
    try {
      setPlatform(null);
      assert.deepEqual(inPieces, await verdicts());
    } finally {
      setPlatform(node);
    }
  });

  test('that memory does not hold is a coded refusal with a hint, and its neighbours are read', async () => {
    const bytes = await write(
      weightsOf({
        'a/kernel': ['uint8', [4], Uint8Array.of(1, 2, 3, 4)],
        'b/kernel': ['uint8', [SIZE], new Uint8Array(SIZE)],
      }),
    );
    const model = await openContainer(await PackedContainer.open(small(bytes, 1024 * 1024, [])));
    const found = await refusal(async () => model.weights?.get('b/kernel')?.tensor.values());
    assert.deepEqual(['out-of-memory', 'b/kernel'], [found.code, found.where]);
    assert.match(found.hint, /chunks/);
    assert.deepEqual(Uint8Array.of(1, 2, 3, 4), await model.weights?.get('a/kernel')?.tensor.values());
  });

  test('of a file that was changed after it was chosen is told', async () => {
    class Gone extends Blob {
      broken = false;
      override slice(start?: number, end?: number): Blob {
        if (!this.broken) return super.slice(start, end);
        const arrayBuffer = (): Promise<never> => Promise.reject(new DOMException('gone', 'NotReadableError'));
        return Object.assign(new Blob(), { arrayBuffer });
      }
    }
    const bytes = await write(weightsOf({ 'a/kernel': ['uint8', [4], Uint8Array.of(1, 2, 3, 4)] }));
    const file = new Gone([bytes as Uint8Array<ArrayBuffer>]);
    const model = await open(file);
    file.broken = true;
    const found = await refusal(async () => model.weights?.get('a/kernel')?.tensor.values());
    assert.equal('file-changed', found.code);
    assert.match(found.message, /NotReadableError/);
  });
});
