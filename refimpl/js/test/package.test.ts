// The package as others get it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { REASONS } from '../src/codes.js';
import { writeFile } from '../src/node.js';
import { vectorPath, weightsOf } from './fixtures.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'etui-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('the page of the package', () => {
  before(async () => {
    await writeFile(join(folder, 'model.etui'), weightsOf({ 'dense/kernel': ['float32', [2, 2], new Uint8Array(16)] }));
    const { cases } = JSON.parse(readFileSync(vectorPath('core/steps/sgd.json'), 'utf8')) as {
      cases: { name: string; request: { artifact: { packed: { data: string } } } }[];
    };
    const trained = cases.find(({ name }) => name === 'constraints')?.request.artifact.packed.data ?? '';
    writeFileSync(join(folder, 'trained.etui'), Buffer.from(trained, 'base64'));
  });

  test('has code that runs as it stands', () => {
    const page = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const blocks = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code as string);
    assert.ok(blocks.length >= 3);
    const place = join(ROOT, 'dist', 'readme');
    mkdirSync(place, { recursive: true });
    for (const [i, code] of blocks.entries()) {
      const script = join(place, `${i}.mjs`);
      writeFileSync(script, code);
      const printed = execFileSync(process.execPath, [script], { cwd: folder, encoding: 'utf8' });
      assert.ok(printed.length > 0, code);
    }
    assert.deepEqual(readFileSync(join(folder, 'again.etui')), readFileSync(join(folder, 'model.etui')));
  });
});

describe('what browsers load', () => {
  test('bundles without anything of Node.js', async () => {
    const entries = ['src/index.ts', 'src/core/index.ts', 'src/tfjs/index.ts'];
    const { outputFiles, metafile } = await build({
      absWorkingDir: ROOT,
      entryPoints: entries,
      bundle: true,
      format: 'esm',
      platform: 'browser',
      outdir: folder,
      write: false,
      metafile: true,
      logLevel: 'silent',
    });
    assert.equal(outputFiles.length, entries.length);
    const inputs = Object.keys(metafile.inputs);
    assert.ok(inputs.length > 40);
    assert.deepEqual(
      inputs.filter((input) => input.includes('node')),
      [],
    );
  });

  test('opens and verifies an artifact where there is no process and no Buffer', async () => {
    const script = join(folder, 'bundle.mjs');
    await build({
      absWorkingDir: ROOT,
      entryPoints: ['src/index.ts'],
      bundle: true,
      format: 'esm',
      platform: 'browser',
      outfile: script,
      logLevel: 'silent',
    });
    copyFileSync(vectorPath('attachments/0001.etui'), join(folder, 'vector.etui'));
    const test = join(folder, 'browser.mjs');
    writeFileSync(
      test,
      `import { readFileSync } from 'node:fs';
       const bytes = new Uint8Array(readFileSync('vector.etui'));
       const log = console.log;
       delete globalThis.process; delete globalThis.Buffer;
       const { open, verify, write } = await import('./bundle.mjs');
       const model = await open(new Blob([bytes]));
       const again = await write(model);
       log((await verify(bytes)).identity === model.identity, again.every((byte, i) => byte === bytes[i]));`,
    );
    const printed = execFileSync(process.execPath, [test], { cwd: folder, encoding: 'utf8' });
    assert.equal(printed.trim(), 'true true');
  });
});

test('every code has a class and a hint, and each of an artifact the clause that asks for it', () => {
  const codes = Object.entries(REASONS);
  assert.ok(codes.length > 70);
  for (const [code, { errorClass, clause, hint }] of codes) {
    assert.match(hint, /^[A-Z].*\.$/, code);
    if (errorClass !== 'usage') assert.match(clause ?? '', /^[A-Z]+-[0-9]+$/, code);
  }
});

test('the vocabulary of the package is that of the schemas', () => {
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'vocabulary.mjs'), '--check']);
});
