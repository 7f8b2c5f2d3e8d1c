// Series of checkpoints (annex Q): what is shared, what is refused, and what a save leaves.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Content, Series, saveStep } from '../src/node.js';
import { weightsOf } from './fixtures.js';

const folder = mkdtempSync(join(tmpdir(), 'etui-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const TIME = '2026-01-31T12:00:00.125Z';
const LARGE = 2 ** 20;

/** A large tensor that stays, two small ones that are equal, an empty one, and one that changes. */
function model(step: number): Content {
  const filled = (value: number): Uint8Array => new Uint8Array(32).fill(value);
  return weightsOf({
    'a/kernel': ['uint8', [LARGE], new Uint8Array(LARGE).fill(1)],
    'b/kernel': ['uint8', [32], filled(2)],
    'c/kernel': ['uint8', [32], filled(2)],
    'd/kernel': ['uint8', [0, 3], new Uint8Array(0)],
    'e/kernel': ['uint8', [32], filled(step)],
  });
}

function files(path: string): string[] {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('a series', () => {
  test('stores once what did not change, and verifies', async () => {
    const path = join(folder, 'run');
    const identity = await saveStep(path, 1, model(10), {
      metrics: { loss: 0.5, one: 1, odd: Number.NaN },
      time: TIME,
    });
    const before = files(path).length;
    await saveStep(path, 2, model(11), { time: TIME });
    const series = await Series.open(path);
    assert.deepEqual(await series.steps(), [1, 2]);
    // The record, the manifest, the index, the layout, and the one small tensor that changed; the header is the same.
    assert.equal(files(path).length - before, 5);
    const { metrics, time } = await series.record(1);
    assert.deepEqual([{ ...metrics }, time], [{ loss: 0.5, odd: Number.NaN, one: 1 }, TIME]);
    assert.equal((await series.verify()).get(1)?.identity, identity);
    const opened = await series.openStep(2);
    assert.deepEqual(await opened.weights?.get('e/kernel')?.tensor.values(), new Uint8Array(32).fill(11));
    await opened.close();
    assert.deepEqual(
      readdirSync(path).filter((name) => name.startsWith('.')),
      [],
    );
  });

  test('keeps a step that it is not asked to replace, and a folder of something else', async () => {
    const path = join(folder, 'kept');
    await saveStep(path, 1, model(10));
    await assert.rejects(saveStep(path, 1, model(11)), { code: 'step-exists' });
    await saveStep(path, 1, model(12), { replace: true });
    const series = await Series.open(path);
    await assert.rejects(series.openStep(2), { code: 'step-missing' });
    await series.verify();
    const other = mkdtempSync(join(folder, 'other-'));
    writeFileSync(join(other, 'notes.txt'), 'mine');
    await assert.rejects(saveStep(other, 1, model(10)), { code: 'series-form' });
    assert.deepEqual(readdirSync(other), ['notes.txt']);
  });

  test('with a changed, a missing or a linked object is refused', async () => {
    const path = join(folder, 'damaged');
    await saveStep(path, 1, model(10));
    const series = await Series.open(path);
    const objects = files(join(path, 'objects'));
    assert.ok(objects.length > 4);
    for (const object of objects) {
      const bytes = readFileSync(object);
      const changed = Buffer.from(bytes);
      changed[bytes.length >> 1] = (changed[bytes.length >> 1] as number) ^ 1;
      writeFileSync(object, changed);
      await assert.rejects(series.verify(), { code: 'digest-mismatch' }, object);
      renameSync(object, join(folder, 'away'));
      await assert.rejects(series.verify(), { code: 'series-object' }, object);
      symlinkSync(join(folder, 'away'), object);
      await assert.rejects(series.verify(), { code: 'series-link' }, object);
      rmSync(object);
      writeFileSync(object, bytes);
    }
    const record = join(path, 'steps', '1.json');
    writeFileSync(record, readFileSync(record, 'utf8').replace('"step":1', '"step":2'));
    await assert.rejects(series.verify(), { code: 'step-form' });
  });

  test('cannot be saved into where nothing locks files, unless the caller says that nobody collects', async () => {
    const path = join(folder, 'unlocked');
    const before = process.env.PATH;
    process.env.PATH = folder;
    try {
      await assert.rejects(saveStep(path, 1, model(10)), { code: 'no-locks' });
      assert.deepEqual(await (await Series.open(path)).steps(), []);
      await saveStep(path, 1, model(10), { lock: false });
    } finally {
      process.env.PATH = before;
    }
    assert.equal((await (await Series.open(path)).verify()).size, 1);
  });
});
