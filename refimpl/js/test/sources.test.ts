// Opening, reading and verifying, whatever the source is.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  EtuiError,
  type Model,
  open,
  openDocuments,
  openFolder,
  openPath,
  verify,
  verifyPath,
  write,
  writeFile,
  writeFolder,
} from '../src/node.js';
import { platform, setPlatform } from '../src/platform.js';
import { everyPlainDtype, vector, vectorPath } from './fixtures.js';

const folder = mkdtempSync(join(tmpdir(), 'etui-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function digestsOf(model: Model): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const [path, { tensor }] of model.weights ?? []) found.push([path, tensor.digest, await tensor.bytes()]);
  return found;
}

describe('one artifact', () => {
  test('is the same from bytes, a Blob, files of a folder, a path and a folder of the disk', async () => {
    const packed = await write(everyPlainDtype());
    const files = await write(everyPlainDtype(), { form: 'directory' });
    const path = join(folder, 'every.etui');
    writeFileSync(path, packed);
    await writeFolder(join(folder, 'every'), everyPlainDtype());
    const blobs = new Map(
      [...files].map(([name, data]) => [`every/${name}`, new Blob([data as Uint8Array<ArrayBuffer>])]),
    );
    const models = [
      await open(packed),
      await open(new Blob([packed as Uint8Array<ArrayBuffer>])),
      await open(files),
      await open(blobs),
      await openPath(path),
      await openPath(join(folder, 'every')),
    ];
    assert.deepEqual(
      models.map(({ form }) => form),
      ['packed', 'packed', 'directory', 'directory', 'packed', 'directory'],
    );
    const [first] = models as [Model];
    const expected = await digestsOf(first);
    assert.ok(expected.length > 15);
    for (const model of models) {
      assert.equal(model.identity, first.identity);
      assert.deepEqual(await digestsOf(model), expected);
      await verify(model);
      await model.close();
    }
  });

  test('is verified by what a browser has too, and with the same result', async () => {
    const node = platform();
    const bytes = vector('attachments/0001.etui');
    const expected = await verify(bytes);
    setPlatform(null);
    try {
      assert.deepEqual(await verify(bytes), expected);
      assert.deepEqual(await write(await open(bytes)), bytes);
    } finally {
      setPlatform(node);
    }
  });

  test('is not opened by a page that has no digests, and the error says why', async () => {
    const node = platform();
    const { crypto } = globalThis;
    setPlatform(null);
    Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true });
    try {
      await assert.rejects(open(vector('attachments/0001.etui')), (error: EtuiError) => {
        assert.equal(error.code, 'no-digests');
        assert.match(error.hint, /https/);
        return true;
      });
    } finally {
      Object.defineProperty(globalThis, 'crypto', { value: crypto, configurable: true });
      setPlatform(node);
    }
  });

  test('reads nothing of a data section that nobody asked for', async () => {
    const bytes = await write(everyPlainDtype());
    const reads: [number, number][] = [];
    const { PackedContainer, openContainer } = await import('../src/node.js');
    const model = await openContainer(
      await PackedContainer.open({
        size: bytes.length,
        read: (offset, length) => {
          reads.push([offset, Math.min(length, bytes.length - offset)]);
          return Promise.resolve(bytes.subarray(offset, offset + length));
        },
        close: () => Promise.resolve(),
      }),
    );
    const total = reads.reduce((sum, [, length]) => sum + length, 0);
    const data = model.manifest.parts.get('weights.safetensors');
    assert.ok(data !== undefined);
    // Headers of members are read a little beyond their end; elements are not.
    assert.ok(total < bytes.length);
    const before = reads.length;
    await model.weights?.get('of/int8')?.tensor.bytes();
    const [header, length, element] = reads.slice(before);
    assert.deepEqual([header?.[1], length?.[1], element?.[1]], [8, data.header?.size, 4]);
    assert.equal(reads.length, before + 3);
  });
});

describe('documents alone', () => {
  test('are opened without data, which is refused when it is asked for', async () => {
    const files = await write(everyPlainDtype(), { form: 'directory' });
    files.delete('weights.safetensors');
    const model = await openDocuments(files);
    assert.equal(model.weights?.size, 16);
    await assert.rejects(model.weights?.get('of/int8')?.tensor.bytes() as Promise<unknown>, { code: 'no-data' });
    await assert.rejects(open(files), { code: 'part-missing' });
  });
});

describe('a folder', () => {
  test('with a link, a missing or a cut part is refused, and one more file only by the verification', async () => {
    const path = join(folder, 'damaged');
    await writeFolder(path, everyPlainDtype());
    writeFileSync(join(path, 'notes.txt'), 'mine');
    await (await openFolder(path)).close();
    await assert.rejects(verifyPath(path), { code: 'part-unlisted', clause: 'F-5' });
    rmSync(join(path, 'notes.txt'));
    await verifyPath(path);
    truncateSync(join(path, 'weights.safetensors'), 100);
    await assert.rejects(openFolder(path), { code: 'part-size' });
    rmSync(join(path, 'weights.safetensors'));
    await assert.rejects(openFolder(path), { code: 'part-missing' });
    symlinkSync('/etc/hostname', join(path, 'weights.safetensors'));
    await assert.rejects(openFolder(path), { code: 'part-not-a-file', errorClass: 'unsafe' });
    rmSync(join(path, 'manifest.json'));
    await assert.rejects(openFolder(path), { code: 'manifest-missing' });
  });
});

describe('a failure', () => {
  test('names its code, clause, place and hint, and a closed artifact says so', async () => {
    const bytes = vector('attachments/0001.etui').slice();
    const model = await open(bytes);
    await model.close();
    const [part] = [...model.assets.values(), ...model.programs.values(), ...model.natives.values()];
    assert.ok(part !== undefined);
    await assert.rejects(part.bytes(), { code: 'closed' });
    await assert.rejects(open(bytes.subarray(0, 100)), (error: EtuiError) => {
      assert.ok(error instanceof EtuiError);
      assert.deepEqual([error.code, error.errorClass, error.clause], ['zip-truncated', 'malformed', 'Z-11']);
      assert.ok(error.where && error.found && error.hint && error.message.includes('Z-11'));
      return true;
    });
  });

  test('to write leaves what was there', async () => {
    const path = join(folder, 'kept.etui');
    const identity = await writeFile(path, everyPlainDtype());
    const broken = everyPlainDtype();
    const tensors = new Map(broken.tensors.weights);
    tensors.set('of/bool', {
      dtype: 'bool',
      shape: [2, 2],
      load: () => Promise.resolve({ data: Uint8Array.of(0, 1, 2, 3), strings: null }),
    });
    await assert.rejects(writeFile(path, { ...broken, tensors: { weights: tensors } }), { code: 'bool-value' });
    assert.equal((await verifyPath(path)).identity, identity);
  });

  test('lower limits of the caller hold, and no higher ones', async () => {
    const path = vectorPath('attachments/0001.etui');
    await assert.rejects(openPath(path, { limits: { parts: 1 } }), { code: 'limit-parts' });
    await (await openPath(path, { limits: { parts: 10 ** 9 } })).close();
  });
});
