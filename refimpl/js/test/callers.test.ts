// What callers do that they should not: each gets an error with a code, and no file is the worse for it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Content, EtuiError, type JsonMap, open, verify, write } from '../src/node.js';
import { everyPlainDtype, map, vector, weightsOf } from './fixtures.js';

/** Names that are members of every object, numbers, or sort otherwise in UTF-16 than in UTF-8. */
const NAMES = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'then', 'length'],
  ...['0', '10', '9', '-0', '4294967296', '\u{1f600}', '\uffff', '\u2028'],
];

function isError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof EtuiError && error.code === code;
}

/** A config whose only module has these attributes. */
function configOf(attrs: JsonMap, modules: readonly string[] = []): Content {
  const model = map({ kind: 'layer', name: 'model', op: 'example:Layer' });
  model.set('attrs', attrs);
  if (modules.length > 0) {
    model.set(
      'modules',
      modules.map((name) => map({ kind: 'layer', name, op: 'example:Layer' })),
    );
  }
  const config = map({ format: 'etui-config', version: '1.0' }).set('model', model);
  return { config, tensors: {}, parts: new Map() };
}

describe('names that are special elsewhere', () => {
  test('are names of variables like any other', async () => {
    const one = weightsOf({ k: ['float32', [1], Uint8Array.of(0, 0, 128, 63)] });
    const fields = { dtype: 'float32', role: 'kernel', shape: [1], trainable: true };
    const variables = new Map(NAMES.map((name, order) => [name, map({ ...fields, order })] as const));
    const load = one.tensors.weights?.get('k');
    assert.ok(load);
    const content = {
      ...one,
      weights: new Map(one.weights).set('variables', variables),
      tensors: { weights: new Map(NAMES.map((name) => [name, load])) },
    };
    const packed = await write(content);
    await verify(packed);
    const model = await open(packed);
    assert.deepEqual([...(model.weights?.keys() ?? [])].sort(), [...NAMES].sort());
    for (const name of NAMES) {
      assert.deepEqual(await model.weights?.get(name)?.tensor.values(), Float32Array.of(1));
    }
    assert.deepEqual(await write(model), packed);
  });

  test('are names of modules and keys of attributes, and change no other object', async () => {
    const attrs: JsonMap = new Map(NAMES.map((name) => [name, map({ polluted: true })]));
    const model = await open(await write(configOf(attrs, NAMES)));
    assert.deepEqual(
      model.config?.model.modules.map(({ name }) => name),
      NAMES,
    );
    assert.deepEqual(Object.keys(model.config?.model.attrs ?? {}).sort(), [...NAMES].sort());
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
    assert.equal(model.config?.model.attrs.polluted, undefined);
  });
});

describe('bytes', () => {
  test('whose buffer goes elsewhere are told of', async () => {
    const bytes = (await write(everyPlainDtype())).slice();
    const model = await open(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    const [variable] = model.weights?.values() ?? [];
    assert.ok(variable);
    await assert.rejects(variable.tensor.bytes(), isError('argument'));
    await assert.rejects(open(bytes), isError('zip-truncated'));
  });

  test('may begin at any place of a buffer', async () => {
    const packed = await write(everyPlainDtype());
    const expected = [...((await open(packed)).weights?.values() ?? [])];
    let read = 0;
    for (const place of [1, 2, 3, 5]) {
      const larger = new Uint8Array(packed.length + place + 1);
      larger.set(packed, place);
      const { weights } = await open(larger.subarray(place, place + packed.length));
      for (const { path, tensor } of expected) {
        assert.deepEqual(await weights?.get(path)?.tensor.values(), await tensor.values());
        read += 1;
      }
    }
    assert.ok(read > 60);
  });

  test('that were given may be changed, and the artifact is not', async () => {
    const packed = await write(everyPlainDtype());
    const kept = packed.slice();
    const { weights } = await open(packed);
    for (const { tensor } of weights?.values() ?? []) (await tensor.bytes()).fill(255);
    assert.ok((weights?.size ?? 0) > 15);
    assert.deepEqual(packed, kept);
  });

  test('of many tensors are read at once, also of one that is closed meanwhile', async () => {
    const model = await open(await write(everyPlainDtype()));
    const variables = [...(model.weights?.values() ?? [])];
    const all = await Promise.all(
      Array.from({ length: 20 }, () => variables.map(({ tensor }) => tensor.bytes())).flat(),
    );
    assert.equal(all.length, 20 * variables.length);
    await model.close();
    for (const { tensor } of variables) await assert.rejects(tensor.bytes(), isError('closed'));
  });
});

describe('arguments', () => {
  test('that are no box of a tensor are refused', async () => {
    const model = await open(await write(everyPlainDtype()));
    const [variable] = model.weights?.values() ?? [];
    const boxes: unknown[] = [
      [[0, 1]],
      ...[-1, 0.5, Number.NaN, '0', 3].map((from) => [
        [from, 2],
        [0, 1],
      ]),
      ...[0.5, 9, Number.NaN, '1'].map((to) => [
        [0, to],
        [0, 1],
      ]),
    ];
    for (const box of boxes) {
      await assert.rejects(async () => variable?.tensor.bytes(box as [number, number][]), isError('argument'));
    }
    assert.equal(boxes.length, 10);
  });

  test('that are no limit, or no size of a shard, are refused', async () => {
    const packed = await write(everyPlainDtype());
    for (const depth of [Number.NaN, -1, 'many' as unknown as number]) {
      await assert.rejects(open(packed, { limits: { depth } }), isError('argument'));
    }
    for (const shardSize of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5' as unknown as number]) {
      await assert.rejects(write(everyPlainDtype(), { shardSize }), isError('argument'));
    }
  });

  test('that no document can hold are refused, rather than written as something else', async () => {
    const wrong: [unknown, string][] = [
      [-0, 'json-number'],
      [2 ** 53, 'json-number'],
      [1e21, 'json-number'],
      [Number.NaN, 'json-number'],
      [Number.NEGATIVE_INFINITY, 'json-number'],
      [5n, 'argument'],
      [undefined, 'argument'],
      [() => 1, 'argument'],
      [{ a: 1 }, 'argument'],
      [new Date(0), 'argument'],
      ['\ud800', 'json-surrogate'],
    ];
    for (const [value, code] of wrong) {
      const attrs = new Map([['a', value]]) as JsonMap;
      await assert.rejects(write(configOf(attrs)), isError(code), `${String(value)} in JSON`);
      const state = map({ format: 'etui-state', tensors: {}, version: '1.0' }).set('user', attrs);
      const content = { ...weightsOf({}), state, tensors: { weights: new Map(), state: new Map() } };
      // In MessagePack each integer, and each float, has a form of its own.
      if (Object.is(value, -0) || typeof value === 'object') await assert.rejects(write(content), isError(code));
    }
    assert.equal(wrong.length, 11);
  });
});

describe('a copy of an artifact', () => {
  test('in which a tensor is named by nothing is not made, rather than be without it', async () => {
    await assert.rejects(write(await open(vector('data/0051.etui'))), isError('tensor-unreferenced'));
  });
});
