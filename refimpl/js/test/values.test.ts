// Elements of every dtype, as bytes and as JavaScript has them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeValues, open, write } from '../src/node.js';
import { crc32, platform, setPlatform } from '../src/platform.js';
import { tableOf, writeFloat } from '../src/tensors/floats.js';
import { vector, vectors, weightsOf } from './fixtures.js';

describe('values', () => {
  test('of 64 bits are exact', () => {
    const bytes = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    assert.deepEqual(decodeValues('int64', bytes), BigInt64Array.of(-9223372036854775807n, -1n));
    assert.deepEqual(decodeValues('uint64', bytes), BigUint64Array.of(9223372036854775809n, 18446744073709551615n));
  });

  test('of small floats are exact as float32', () => {
    assert.deepEqual(
      decodeValues('bfloat16', Uint8Array.of(0x80, 0x3f, 0x00, 0xc0, 0x80, 0x7f)),
      Float32Array.of(1, -2, Infinity),
    );
    assert.deepEqual(
      decodeValues('float16', Uint8Array.of(0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc)),
      Float32Array.of(1, 2 ** -24, -Infinity),
    );
    assert.deepEqual(
      decodeValues('float8_e4m3fn', Uint8Array.of(0x38, 0x7e, 0x7f, 0x01)),
      Float32Array.of(1, 448, NaN, 2 ** -9),
    );
    assert.deepEqual(
      decodeValues('float8_e5m2', Uint8Array.of(0x3c, 0x7b, 0x7c, 0x80)),
      Float32Array.of(1, 57344, Infinity, -0),
    );
    assert.deepEqual(
      decodeValues('float8_e8m0fnu', Uint8Array.of(127, 0, 255, 254)),
      Float32Array.of(1, 2 ** -127, NaN, 2 ** 127),
    );
  });

  test('of every code of a small float are written back as that code', () => {
    let tried = 0;
    for (const dtype of ['float16', 'bfloat16', 'float8_e4m3fn', 'float8_e5m2', 'float8_e8m0fnu']) {
      const table = tableOf(dtype);
      const view = new DataView(new ArrayBuffer(2));
      for (const [code, value] of table.entries()) {
        if (Number.isNaN(value)) continue;
        view.setUint16(0, 0);
        writeFloat(dtype, view, 0, value);
        assert.equal(view.getUint16(0, true), code, `${dtype} ${code}`);
        tried += 1;
      }
    }
    assert.ok(tried > 120_000);
  });

  test('do not depend on where their bytes lie', () => {
    const bytes = new Uint8Array(9);
    bytes.set(Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0x40), 1);
    assert.deepEqual(decodeValues('float32', bytes.subarray(1)), Float32Array.of(1, 2));
  });

  test('of encodings are logical: nibbles one by one, texts, numbers of quantized tensors', async () => {
    const encoded = new Set<string>();
    for (const { id, kind, result, files } of vectors().vectors) {
      const name = Object.keys(files).find((file) => file.endsWith('.etui'));
      if (!id.startsWith('encodings/') || kind !== 'packed' || result !== 'ok' || name === undefined) continue;
      for (const { dtype, tensor } of (await open(vector(name))).weights?.values() ?? []) {
        const places = dtype.startsWith('complex') ? 2 : 1;
        assert.equal((await tensor.values()).length, tensor.length * places);
        if (tensor.encoding !== null) encoded.add(tensor.encoding);
      }
    }
    assert.deepEqual([...encoded].sort(), ['complex', 'packed4', 'quantized', 'string']);
  });

  test('of a box are those of the whole at its places', async () => {
    const data = Uint8Array.from({ length: 60 }, (_, i) => i);
    const model = await open(await write(weightsOf({ k: ['uint8', [3, 4, 5], data] })));
    const tensor = model.weights?.get('k')?.tensor;
    assert.deepEqual(
      await tensor?.values([
        [1, 3],
        [0, 2],
        [3, 5],
      ]),
      Uint8Array.of(23, 24, 28, 29, 43, 44, 48, 49),
    );
    assert.equal(
      (
        await tensor?.values([
          [1, 1],
          [0, 4],
          [0, 5],
        ])
      )?.length,
      0,
    );
    await assert.rejects(
      tensor?.values([
        [0, 4],
        [0, 4],
        [0, 5],
      ]) as Promise<unknown>,
      { code: 'argument' },
    );
  });
});

test('the CRC-32 of the library is that of Node.js, at every length and from every start', () => {
  const node = platform();
  const bytes = Uint8Array.from({ length: 70 }, (_, i) => (i * 101) % 256);
  const lengths = [...bytes.keys()];
  const expected = lengths.map((length) => crc32(bytes.subarray(0, length), length));
  setPlatform(null);
  try {
    assert.deepEqual(
      lengths.map((length) => crc32(bytes.subarray(0, length), length)),
      expected,
    );
    assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
  } finally {
    setPlatform(node);
  }
});
