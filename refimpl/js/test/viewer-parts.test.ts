// Small parts of the viewer: how numbers and texts are written, which rows are drawn, and how tensors become pictures.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attrsOf } from '../src/node.js';
import { canColour, tilesOf } from '../viewer/src/charts/tiles.js';
import { leaves } from '../viewer/src/diff.js';
import { brief, compact, counted, real, shape, share, shortDigest, size, tightShape } from '../viewer/src/format.js';
import { FAMILIES, family, namespace, shortOp, summary } from '../viewer/src/ops.js';
import { offsetFor, windowOf } from '../viewer/src/parts/virtual.js';
import { PayloadError, payloadOf } from '../viewer/src/payload.js';
import { artifactsOf } from '../viewer/src/sources.js';
import { matches, shortened, visible, words } from '../viewer/src/text.js';
import { mapped } from './fixtures.js';

describe('numbers', () => {
  test('are written with as many digits as the eye needs', () => {
    const cases: [string, string][] = [
      [compact(99_999), '99,999'],
      [compact(4_253_864), '4.25 M'],
      [compact(999_500), '1 M'],
      [size(612), '612 B'],
      [size(16_993_984), '17 MB'],
      [real(0), '0'],
      [real(-0.0123456), '−0.01235'],
      [real(1.5e-7), '1.5e−7'],
      [real(123456), '123,456'],
      [real(1e300), '1e300'],
      [real(Number.NaN), 'NaN'],
      [real(Number.POSITIVE_INFINITY), '∞'],
      [real(null), '–'],
      [brief(2648), '2,648'],
      [brief(0.123456), '0.123'],
      [share(1, 3), '33.3 %'],
      [share(1, 1e6), '< 0.1 %'],
      [share(999_999, 1e6), '> 99.9 %'],
      [share(0, 0), '0 %'],
      [shape([null, 3]), '? × 3'],
      [shape([]), 'scalar'],
      [tightShape([3, 3]), '3×3'],
      [counted(1, 'part'), '1 part'],
      [counted(1024, 'entry', 'entries'), '1,024 entries'],
      [shortDigest(`sha256:${'ab'.repeat(32)}`), 'sha256:abababababab…'],
    ];
    for (const [found, expected] of cases) assert.equal(found, expected);
    assert.equal(cases.length, 25);
  });
});

describe('texts', () => {
  test('have their invisible characters shown as codes', () => {
    assert.equal(visible('a\u202eb\u0000c\u200d\ufeff'), 'a⟨U+202E⟩b⟨U+0000⟩c⟨U+200D⟩⟨U+FEFF⟩');
    assert.equal(visible('\u{e0041}x'), '⟨U+E0041⟩x');
    assert.equal(visible('naïve – 層\n'), 'naïve – 層\n');
  });

  test('lose their middle if they are long, and no half of a character stays', () => {
    assert.equal(shortened('short', 10), 'short');
    assert.equal(shortened('abcdefghij', 5), 'ab…ij');
    assert.equal(Array.from(shortened('🎈'.repeat(5000), 9)).length, 9);
    assert.ok(!/[\ud800-\udbff](?![\udc00-\udfff])/.test(shortened('🎈'.repeat(5000), 9)));
  });

  test('are found by all words in any order', () => {
    assert.ok(matches('Encoder/Dense_1 keras:Dense', words('dense ENC')));
    assert.ok(!matches('encoder/dense', words('dense decoder')));
  });
});

describe('ops', () => {
  test('have the family that gives them their colour', () => {
    const expected: Record<string, string> = {
      'keras:Conv2D': 'convolution',
      'keras:ConvLSTM2D': 'recurrent',
      'keras:BatchNormalization': 'normalization',
      'keras:MultiHeadAttention': 'attention',
      'keras:Dense': 'linear',
      'core:dense': 'linear',
      'core:batch_norm': 'normalization',
      'keras:ReLU': 'activation',
      'keras:MaxPooling2D': 'shape',
      'keras:Add': 'merge',
      'keras:ops.numpy.Add': 'merge',
      'keras:Dropout': 'random',
      'keras:InputLayer': 'io',
      'keras:Functional': 'model',
      'keras:StringLookup': 'preprocessing',
      'keras:Embedding': 'embedding',
      'custom:mine>Dense': 'other',
      'keras:Unheard': 'other',
    };
    for (const [op, name] of Object.entries(expected)) assert.equal(family(op), name, op);
    for (const name of Object.values(expected)) assert.ok(FAMILIES.has(name as never));
    assert.equal(shortOp('keras:ops.numpy.Add'), 'Add');
    assert.equal(shortOp('custom:mine>Own'), 'Own');
    assert.equal(namespace('tf_keras:Dense'), 'tf_keras');
  });

  test('have their few telling attributes in a line', () => {
    const line = (op: string, attrs: object) => summary(op, attrsOf(mapped(attrs)));
    assert.equal(line('keras:Conv2D', { filters: 32, kernel_size: [3, 3], strides: [2, 2] }), '32 · 3×3 / 2');
    assert.equal(line('keras:MaxPooling2D', { pool_size: [2, 2], strides: [2, 2] }), '2×2');
    assert.equal(line('keras:Dense', { units: 5, activation: 'relu' }), '5 · relu');
    assert.equal(line('keras:Dense', { units: 5, activation: 'linear' }), '5');
    assert.equal(line('keras:Dropout', { rate: 0.25 }), '25 %');
    assert.equal(line('keras:Embedding', { input_dim: 100, output_dim: 8 }), '100 → 8');
    assert.equal(line('keras:Dense', { units: 'many' }), '');
  });
});

describe('rows', () => {
  test('of a million are all reached, each in its place', () => {
    const [rows, height, room] = [1_000_000, 34, 600];
    const first = windowOf(rows, height, 0, room);
    assert.ok(first.height <= 8_000_000);
    assert.equal(first.first, 0);
    const last = windowOf(rows, height, first.height - room, room);
    assert.equal(last.last, rows - 1);
    assert.ok(Math.abs(last.top(rows - 1) + height - first.height) < 1);
    for (const row of [0, 1, 777, 500_000, 999_998, 999_999]) {
      const offset = offsetFor(row, rows, height, row < 500 ? 4_000_000 : 0, room) ?? 0;
      const seen = windowOf(rows, height, offset, room);
      assert.ok(seen.first <= row && row <= seen.last, String(row));
      const top = seen.top(row) - offset;
      assert.ok(top > -1 && top + height < room + 1, `${row} at ${top}`);
    }
  });

  test('that are in sight stay where they are', () => {
    assert.equal(offsetFor(3, 100, 30, 60, 300), null);
    assert.equal(offsetFor(0, 100, 30, 60, 300), 0);
    assert.equal(offsetFor(20, 100, 30, 60, 300), 330);
  });
});

describe('pictures', () => {
  test('show each element of a kernel once', () => {
    const cases: [string, number[], boolean][] = [
      ['kernel', [3, 2, 4, 5], false],
      ['kernel', [3, 3, 3, 6], true],
      ['depthwise_kernel', [3, 3, 3, 2], true],
      ['kernel', [4, 6, 7], false],
      ['kernel', [6, 9], false],
      ['bias', [16], false],
    ];
    for (const [role, dimensions, colours] of cases) {
      const tiles = tilesOf(role, dimensions, colours);
      assert.ok(tiles);
      const seen = new Set<number>();
      for (let tile = 0; tile < tiles.count; tile += 1) {
        for (let row = 0; row < tiles.height; row += 1) {
          for (let column = 0; column < tiles.width; column += 1) {
            for (let channel = 0; channel < (tiles.coloured ? 3 : 1); channel += 1) {
              seen.add(tiles.at(tile, row, column, channel));
            }
          }
        }
      }
      const elements = dimensions.reduce((product, each) => product * each, 1);
      assert.equal(seen.size, elements);
      assert.equal(Math.max(...seen), elements - 1);
    }
    assert.ok(canColour([3, 3, 3, 8]) && !canColour([3, 3, 4, 8]));
  });

  test('are not made of what has none', () => {
    for (const dimensions of [[], [1], [0, 3], [64, 64, 3, 3], [2, 2, 2, 2, 2], [100, 4, 4]]) {
      assert.equal(tilesOf('kernel', dimensions, true), null);
    }
  });

  test('of a large matrix are its first rows and columns', () => {
    const tiles = tilesOf('kernel', [2000, 3000], false);
    assert.deepEqual([tiles?.height, tiles?.width], [512, 512]);
    assert.ok(tiles?.caption.includes('the first 512 × 512 are shown'));
  });
});

describe('differences of documents', () => {
  test('are told place by place', () => {
    const before = mapped({ a: 1, same: [1, 2], list: [1, { b: 2 }], gone: true, tag: { $float: '1' } });
    const after = mapped({ a: 2, same: [1, 2], list: [1, { b: 3 }], come: null, tag: { $float: '2' } });
    const places = leaves(before, after).map(({ field, before: a, after: b }) => [
      field,
      a === undefined,
      b === undefined,
    ]);
    assert.deepEqual(places, [
      ['a', false, false],
      ['list/1/b', false, false],
      ['gone', false, true],
      ['tag', false, false],
      ['come', true, false],
    ]);
  });

  test('of lists of other lengths are one place', () => {
    const found = leaves(mapped({ list: [1, 2] }), mapped({ list: [1] }));
    assert.deepEqual(
      found.map(({ field }) => field),
      ['list'],
    );
  });
});

describe('what is chosen', () => {
  const file = (name: string) => new File([], name);

  test('is a file each, or the folders with a manifest', () => {
    const chosen = ['m/manifest.json', 'm/weights.json', 'm/native/manifest.json', 'b.etui', 'a.etui', 'c.etui'];
    const given = artifactsOf(chosen.map((path) => ({ path, file: file(path.split('/').at(-1) as string) })));
    assert.deepEqual(
      given.map(({ name }) => name),
      ['m', 'b.etui'],
    );
    const parts = given[0]?.source as Map<string, File>;
    assert.deepEqual([...parts.keys()], ['manifest.json', 'weights.json', 'native/manifest.json']);
  });

  test('is the payload of a page only where it is one', () => {
    const page = (text: string | null) =>
      ({ getElementById: () => (text === null ? null : { textContent: text }) }) as unknown as Document;
    assert.equal(payloadOf(page(null)), null);
    const good = {
      format: 'etui-view',
      version: '1.7',
      artifacts: [{ name: 'm', parts: { 'manifest.json': 'e30=' } }],
    };
    assert.ok(payloadOf(page(JSON.stringify(good))));
    for (const text of ['', '{"format":', 'null', JSON.stringify({ ...good, version: '2.0' })]) {
      assert.throws(() => payloadOf(page(text)), PayloadError);
    }
  });
});
