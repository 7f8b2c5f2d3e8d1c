// The canonical forms, there and back.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compareUtf8, fromBase64, isBase64, toBase64, utf8, utf8Length } from '../src/bytes.js';
import { decodeMessagePack, encodeMessagePack } from '../src/canonical/msgpack.js';
import { canonicalText, decodeJson, EtuiError, encodeJson, open, verify, write } from '../src/node.js';
import { packedOfView, viewOfPacked } from '../src/values/view.js';
import { map, vector, vectors } from './fixtures.js';

describe('JSON', () => {
  test('of a value is one text, whatever the order of its keys', () => {
    const value = map({ b: [1, 0.1, 1e-7, true, null], a: { '\u20ac': 'é"\\\u0001', '\ud83d\ude00': 1, '\ufb33': 2 } });
    const text = canonicalText(value);
    assert.equal(text, '{"a":{"\u20ac":"é\\"\\\\\\u0001","\ud83d\ude00":1,"\ufb33":2},"b":[1,0.1,1e-7,true,null]}');
    assert.equal(canonicalText(decodeJson(encodeJson(value), 'a test')), text);
  });

  test('of a key that JavaScript has for itself is a key like others', () => {
    const text = '{"__proto__":{"constructor":1},"hasOwnProperty":2}';
    assert.equal(canonicalText(decodeJson(utf8(text), 'a test')), text);
  });

  test('that is deep is refused without an end of the stack', () => {
    const deep = `{"a":${'['.repeat(1_000_000)}`;
    assert.throws(() => decodeJson(utf8(deep), 'a test'), { code: 'json-depth' });
  });

  test('of each size is read in time that grows with it alone', () => {
    const text = `{${Array.from({ length: 100_000 }, (_, i) => `"k${String(i).padStart(6, '0')}":"\\n"`).join()}}`;
    assert.equal(decodeJson(utf8(text), 'a test').size, 100_000);
  });
});

describe('MessagePack', () => {
  test('of a view is the same bytes again', () => {
    const view = map({
      big: { $int: '18446744073709551615' },
      bytes: { $bytes: 'AAEC' },
      float: { $float: '-0' },
      integers: [0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, -1, -32, -33, -128, -129, -32769],
      nan: { $float: 'nan' },
      negative: { $int: '-9223372036854775808' },
      stored: { $stored: 'a/b' },
      text: 'é'.repeat(40),
      wide: { $int: '18446744073709551616' },
      zero: 0.5,
    });
    const bytes = encodeMessagePack(packedOfView(view));
    const back = viewOfPacked(decodeMessagePack(bytes, 'a test'), 'a test');
    assert.equal(canonicalText(back), canonicalText(view));
    assert.deepEqual(encodeMessagePack(packedOfView(back)), bytes);
  });
});

test('texts are compared by their UTF-8 bytes, and counted in them', () => {
  const texts = ['', 'a', 'é', '\u20ac', '\uffff', '\ud83d\ude00', 'aé', 'a\ud83d\ude00', '\ue000'];
  for (const text of texts) assert.equal(utf8Length(text), utf8(text).length);
  const bytes = (text: string): string => [...utf8(text)].map((byte) => String.fromCharCode(byte)).join('');
  const expected = [...texts].sort((a, b) => (bytes(a) < bytes(b) ? -1 : bytes(a) > bytes(b) ? 1 : 0));
  assert.deepEqual([...texts].sort(compareUtf8), expected);
});

test('base64 is taken in its one form, however long it is', () => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 91) % 256);
    assert.ok(isBase64(toBase64(bytes)));
    assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
  }
  const long = toBase64(new Uint8Array(10_000_000));
  assert.ok(isBase64(long));
  for (const text of ['A', 'AA', 'AAA', 'AB==', 'AAB=', 'AA= ', 'A-==', `${long.slice(0, 99)}-${long.slice(100)}`]) {
    assert.ok(!isBase64(text), text.slice(0, 10));
  }
});

test('every vector is written as it is, or refused with a code that it may be refused with', async () => {
  const counts = { written: 0, refused: 0 };
  for (const { id, kind, result, code, codes, transcode, shard_size: size, files } of vectors().vectors) {
    const name = Object.keys(files).find((file) => file.endsWith('.etui'));
    if (kind !== 'packed' || name === undefined) continue;
    const bytes = vector(name);
    if (result === 'reject') {
      const allowed = codes ?? [code];
      await assert.rejects(verify(bytes), (error) => error instanceof EtuiError && allowed.includes(error.code), id);
      counts.refused += 1;
    } else if (transcode === name) {
      const again = await write(await open(bytes), size === undefined ? {} : { shardSize: size });
      assert.deepEqual(again, bytes, id);
      counts.written += 1;
    }
  }
  assert.ok(counts.written > 200 && counts.refused > 900, JSON.stringify(counts));
});
