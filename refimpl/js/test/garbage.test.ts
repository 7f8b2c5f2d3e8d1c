// Steps that are removed, and what no step needs any more (annex Q.5).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { encodeJson, type Json } from '../src/canonical/json.js';
import { type Content, collectGarbage, EtuiError, removeSteps, Series, saveStep } from '../src/node.js';
import { digestOf } from '../src/platform.js';
import { sealOf } from '../src/series/documents.js';
import { objectName } from '../src/series/place.js';
import { map, weightsOf } from './fixtures.js';

const folder = mkdtempSync(join(tmpdir(), 'etui-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const LARGE = 2 ** 20;

/** A large tensor that stays, and a large one that changes. */
function model(step: number): Content {
  return weightsOf({
    'a/kernel': ['uint8', [LARGE], new Uint8Array(LARGE).fill(1)],
    'b/kernel': ['uint8', [LARGE + step], new Uint8Array(LARGE + step).fill(step)],
  });
}

/** A series of the steps 1 to 3. */
async function series(name: string): Promise<string> {
  const path = join(folder, name);
  for (const step of [1, 2, 3]) await saveStep(path, step, model(step));
  return path;
}

function objects(path: string): string[] {
  const entries = readdirSync(join(path, 'objects'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const record = (path: string, step: number): string => join(path, 'steps', `${step}.json`);

describe('garbage', () => {
  test('is what no step needs: what is shared stays, and the other steps verify (CS-28)', async () => {
    const path = await series('shared');
    const before = objects(path);
    const would = await removeSteps(path, [3, 1, 3], { dry: true });
    assert.deepEqual(objects(path), before);
    assert.deepEqual(await (await Series.open(path)).steps(), [1, 2, 3]);
    const done = await removeSteps(path, [3, 1]);
    assert.deepEqual(done, would);
    assert.deepEqual(done.steps, [1, 3]);
    // Of each: the manifest, the index, the header, the layout and the tensor that changed.
    assert.equal(done.objects, 10);
    assert.equal(done.kept, before.length - 10);
    assert.equal(objects(path).length, done.kept);
    assert.ok(done.bytes > 2 * LARGE && done.bytes < 2.1 * LARGE, String(done.bytes));
    const rest = await Series.open(path);
    assert.deepEqual([...(await rest.verify()).keys()], [2]);
    assert.deepEqual(await collectGarbage(path), { steps: [], objects: 0, bytes: 0, kept: done.kept, young: 0 });
    const last = await removeSteps(path, [2]);
    assert.deepEqual([last.kept, objects(path)], [0, []]);
    await saveStep(path, 4, model(4));
    await (await Series.open(path)).verify();
  });

  test('of a step that was replaced goes, and files of other names stay (CS-3)', async () => {
    const path = await series('replaced');
    await saveStep(path, 3, model(9), { replace: true });
    const strange = ['objects/sha256/notes.txt', 'objects/README', 'steps/03.json', '.etui-left'];
    for (const name of strange) writeFileSync(join(path, ...name.split('/')), 'mine');
    const done = await collectGarbage(path);
    assert.deepEqual([done.objects, done.steps], [5, []]);
    assert.equal((await (await Series.open(path)).verify()).size, 3);
    for (const name of strange) assert.equal(readFileSync(join(path, ...name.split('/')), 'utf8'), 'mine');
  });

  test('is not collected where a step cannot be read (CS-29), unless that step is removed', async () => {
    const path = await series('damaged');
    const { document } = await (await Series.open(path)).record(2);
    const layout = (document.get('layouts') as Map<string, string>).get('weights.safetensors') as string;
    const places = [
      record(path, 2),
      join(path, objectName(String(document.get('identity')))),
      join(path, objectName(layout)),
    ];
    const before = objects(path);
    for (const place of places) {
      const bytes = readFileSync(place);
      const changed = Buffer.from(bytes);
      changed[bytes.length >> 1] = (changed[bytes.length >> 1] as number) ^ 1;
      writeFileSync(place, changed);
      await assert.rejects(removeSteps(path, [1]), (error) => error instanceof EtuiError, place);
      renameSync(place, join(folder, 'away'));
      if (place !== places[0]) await assert.rejects(collectGarbage(path), { code: 'series-object' }, place);
      symlinkSync(join(folder, 'away'), place);
      await assert.rejects(removeSteps(path, [1]), { code: 'series-link' }, place);
      rmSync(place);
      writeFileSync(place, bytes);
      assert.deepEqual(objects(path), before);
      assert.deepEqual(await (await Series.open(path)).steps(), [1, 2, 3]);
    }
    assert.equal(places.length, 3);
    writeFileSync(record(path, 2), '{}');
    await assert.rejects(removeSteps(path, [4]), { code: 'step-missing' });
    assert.equal((await removeSteps(path, [2])).objects, 5);
    assert.deepEqual([...(await (await Series.open(path)).verify()).keys()], [1, 3]);
  });

  test('may be needed by fields of a newer minor version (CS-29)', async () => {
    const path = await series('newer');
    const { document } = await (await Series.open(path)).record(3);
    const later = new Map<string, Json>([...document, ['version', '1.1']]);
    writeFileSync(record(path, 3), encodeJson(later.set('seal', await sealOf(later))));
    assert.equal((await (await Series.open(path)).verify()).size, 3);
    await assert.rejects(removeSteps(path, [1]), { code: 'version-unsupported' });
    const layout = encodeJson(map({ format: 'etui-layout', objects: [], pieces: [], version: '1.1' }));
    const digest = await digestOf(layout);
    const renamed = new Map<string, Json>([...document, ['layouts', map({ 'weights.safetensors': digest })]]);
    writeFileSync(record(path, 3), encodeJson(renamed.set('seal', await sealOf(renamed))));
    await saveStep(path, 5, model(5));
    const place = join(path, objectName(digest));
    await assert.rejects(collectGarbage(path), { code: 'series-object' });
    const made = join(path, 'objects', 'sha256', digest.slice(7, 9));
    mkdirSync(made, { recursive: true });
    writeFileSync(place, layout);
    await assert.rejects(collectGarbage(path), { code: 'version-unsupported' });
    assert.deepEqual(await (await Series.open(path)).steps(), [1, 2, 3, 5]);
  });

  test('that is young stays where there is no lock but a word (CS-31)', async () => {
    const path = await series('unlocked');
    rmSync(record(path, 1));
    const young = await collectGarbage(path, { lock: false });
    assert.deepEqual([young.objects, young.young], [0, 5]);
    const old = Date.now() / 1000 - 100_000;
    for (const object of objects(path)) utimesSync(object, old, old);
    assert.equal((await collectGarbage(path, { grace: 1e6, lock: false })).young, 5);
    assert.equal((await collectGarbage(path, { lock: false })).objects, 5);
    await assert.rejects(collectGarbage(path, { grace: Number.NaN }), { code: 'argument' });
    await assert.rejects(collectGarbage(path, { grace: -1 }), { code: 'argument' });
    const before = process.env.PATH;
    process.env.PATH = folder;
    try {
      await assert.rejects(collectGarbage(path), { code: 'no-locks' });
    } finally {
      process.env.PATH = before;
    }
  });

  test('is collected after the writers that hold the lock are done (CS-30)', async () => {
    const path = await series('busy');
    rmSync(record(path, 1));
    const words = ['--shared', join(path, 'lock'), 'sh', '-c', 'echo locked; exec cat > /dev/null'];
    const writer = spawn('flock', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(writer.stdout, 'data');
    let ended = false;
    const collected = collectGarbage(path).finally(() => {
      ended = true;
    });
    await pause(300);
    assert.equal(ended, false);
    writer.stdin.end();
    assert.equal((await collected).objects, 5);
  });

  test('behind a link is left alone (CS-4), and so is a folder that is no series', async () => {
    const path = await series('linked');
    const away = join(folder, 'objects-away');
    renameSync(join(path, 'objects'), away);
    symlinkSync(away, join(path, 'objects'));
    await assert.rejects(collectGarbage(path), { code: 'series-link' });
    for (const step of [1, 2, 3]) rmSync(record(path, step));
    await assert.rejects(collectGarbage(path), { code: 'series-link' });
    assert.ok(objects(path).length > 10);
    await assert.rejects(collectGarbage(folder), { code: 'series-form' });
    const steps = await series('steps-linked');
    renameSync(join(steps, 'steps'), join(folder, 'steps-away'));
    symlinkSync(join(folder, 'nowhere'), join(steps, 'steps'));
    await assert.rejects(collectGarbage(steps), { code: 'series-link' });
    assert.equal(objects(steps).length, objects(path).length);
  });
});
