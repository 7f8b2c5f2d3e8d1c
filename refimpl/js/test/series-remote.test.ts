// Steps of a series where a browser finds them: behind a URL, and among the files of a folder that was dropped.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { open } from '../src/index.js';
import { type Content, Series as NodeSeries, saveStep } from '../src/node.js';
import { openStep, Series } from '../src/series/series.js';
import { weightsOf } from './fixtures.js';

const folder = mkdtempSync(join(tmpdir(), 'etui-'));
const LARGE = 2 ** 20;

/** A large tensor that is an object of its own, and a small one that changes. */
function content(step: number): Content {
  return weightsOf({
    'a/kernel': ['uint8', [LARGE], new Uint8Array(LARGE).fill(1)],
    'b/kernel': ['uint8', [32], new Uint8Array(32).fill(step)],
  });
}

let files = new Map<string, Uint8Array>();
let asked: string[] = [];
let behaviour: { ranges?: boolean; stated?: boolean; gzip?: boolean; suffix?: boolean } = {};
let server: Server;
let base: string;

function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', base);
  asked.push(`${request.method} ${url.pathname}${url.search} ${request.headers.range ?? 'whole'}`);
  const file = files.get(decodeURIComponent(url.pathname.slice(1)));
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  const given = request.headers.range ?? '';
  const range = behaviour.ranges === false ? null : /^bytes=([0-9]+)-([0-9]+)$/.exec(given);
  if (range === null) {
    const refused = behaviour.ranges !== false && given !== '';
    const zipped = behaviour.gzip === true && /gzip/.test(request.headers['accept-encoding'] ?? '');
    const body = zipped ? gzipSync(file) : file;
    response.writeHead(refused ? 501 : 200, {
      'content-length': body.length,
      ...(zipped ? { 'content-encoding': 'gzip' } : {}),
    });
    response.end(refused || request.method === 'HEAD' ? undefined : body);
    return;
  }
  const [start, stop] = [Number(range[1]), Math.min(file.length, Number(range[2]) + 1)];
  if (start >= file.length) {
    response.writeHead(416).end();
    return;
  }
  response.writeHead(
    206,
    behaviour.stated === false ? {} : { 'content-range': `bytes ${start}-${stop - 1}/${file.length}` },
  );
  response.end(file.subarray(start, stop));
}

function filesBelow(path: string, prefix: string): Map<string, Uint8Array> {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries.map((entry) => {
      const place = join(entry.parentPath, entry.name);
      return [prefix + relative(path, place).split(sep).join('/'), new Uint8Array(readFileSync(place))];
    }),
  );
}

let stored: Map<string, Uint8Array>;
const identities: string[] = [];

before(async () => {
  for (const step of [3, 12]) {
    identities.push(await saveStep(join(folder, 'run'), step, content(step), { metrics: { loss: 1 / step } }));
  }
  stored = filesBelow(join(folder, 'run'), 'my run/');
  server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

beforeEach(() => {
  files = new Map(stored);
  asked = [];
  behaviour = {};
});

after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const options = { retryDelay: 1 };
const nameOf = (digest: string): string => {
  const digits = digest.slice('sha256:'.length);
  return `my run/objects/sha256/${digits.slice(0, 2)}/${digits.slice(2)}`;
};

describe('a series behind a URL', () => {
  test('gives a step by one request for each document, and a tensor by its bytes', async () => {
    const model = await openStep(`${base}/my run/`, 12, options);
    assert.deepEqual([model.form, model.identity], ['series', identities[1]]);
    // The mark, the record, the manifest, the layout and the index.
    assert.equal(asked.length, 5, asked.join('\n'));
    assert.deepEqual(new Uint8Array(32).fill(12), await model.weights?.get('b/kernel')?.tensor.values());
    assert.equal(asked.length, 6, 'an object that is small came with its size');
    assert.deepEqual(new Uint8Array(4).fill(1), await model.weights?.get('a/kernel')?.tensor.values([[5, 9]]));
    await model.close();
    await assert.rejects(model.weights?.get('b/kernel')?.tensor.values() as Promise<unknown>, { code: 'closed' });
  });

  test('is a series with records, steps of which verify, and whose query is that of each request', async () => {
    const series = await Series.open(new URL(`${base}/my%20run/series.json?key=secret`), options);
    assert.deepEqual({ ...(await series.record(3)).metrics }, { loss: 1 / 3 });
    const model = await series.openStep(3);
    const { verify } = await import('../src/index.js');
    assert.equal((await verify(model)).identity, identities[0]);
    assert.ok(asked.length > 5 && asked.every((each) => each.includes('?key=secret ')), asked.join('\n'));
    await assert.rejects(series.steps(), (error: Error & { code: string }) => {
      assert.equal('argument', error.code);
      assert.match(error.message, /lists no files: name the step/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    for (const step of [-1, 0.5, Number.NaN]) await assert.rejects(series.openStep(step), { code: 'argument' });
    assert.deepEqual([3, 12], await (await NodeSeries.open(join(folder, 'run'))).steps());
  });

  test('that is none, or has no such step, is told', async () => {
    await assert.rejects(openStep(`${base}/other`, 1, options), { code: 'series-form' });
    await assert.rejects(openStep(`${base}/my run`, 1, options), { code: 'step-missing' });
    await assert.rejects(openStep('file:///run', 1, options), { code: 'argument' });
    files.set('my run/series.json', new Uint8Array(0));
    await assert.rejects(openStep(`${base}/my run`, 3, options), { code: 'json-syntax' });
  });

  test('is looked at anew for each record, which a run may write or replace', async () => {
    const series = await Series.open(`${base}/my run`, options);
    files.delete('my run/steps/12.json');
    await assert.rejects(series.record(12), { code: 'step-missing' });
    files.set('my run/steps/12.json', stored.get('my run/steps/12.json') as Uint8Array);
    assert.equal((await series.record(12)).step, 12);
  });

  test('is refused where an object is changed, cut or gone', async () => {
    const model = await openStep(`${base}/my run`, 12, options);
    const { digest } = model.weights?.get('a/kernel')?.tensor ?? {};
    const name = nameOf(digest as string);
    const right = files.get(name) as Uint8Array;
    const read = async (): Promise<unknown> => {
      const fresh = await openStep(`${base}/my run`, 12, options);
      return fresh.weights?.get('a/kernel')?.tensor.values();
    };
    files.set(name, right.slice().fill(2, 77, 78));
    await assert.rejects(read, { code: 'digest-mismatch' });
    files.set(name, right.slice(0, -1));
    await assert.rejects(read, { code: 'series-layout' });
    files.delete(name);
    await assert.rejects(read, { code: 'series-object' });
    files.set(name, right);
    files.set(nameOf(identities[1] as string), new Uint8Array(10));
    await assert.rejects(openStep(`${base}/my run`, 12, options), { code: 'digest-mismatch' });
  });

  test('is read from servers that state no sizes, ignore ranges, or compress', async () => {
    const ways: (typeof behaviour)[] = [{ stated: false }, { ranges: false }, { ranges: false, gzip: true }];
    for (const way of ways) {
      behaviour = way;
      const model = await openStep(`${base}/my run`, 12, options);
      assert.deepEqual(new Uint8Array(32).fill(12), await model.weights?.get('b/kernel')?.tensor.values());
      assert.equal(LARGE, (await model.weights?.get('a/kernel')?.tensor.values())?.length);
    }
    assert.equal(3, ways.length);
    assert.ok(asked.some((each) => each.startsWith('HEAD ')));
  });
});

test('a packed file is read from a server that compresses and knows no ranges from the end', async () => {
  const { write } = await import('../src/index.js');
  files.set('model.etui', await write(content(1)));
  behaviour = { gzip: true };
  const model = await open(`${base}/model.etui`, options);
  assert.deepEqual(new Uint8Array(32).fill(1), await model.weights?.get('b/kernel')?.tensor.values());
  assert.deepEqual(
    ['GET /model.etui bytes=-524288', 'HEAD /model.etui whole', 'GET /model.etui whole'],
    asked.slice(0, 3),
  );
});

test('a failure of the network is not for ever', async () => {
  let offline = false;
  const fetch: typeof globalThis.fetch = (input, init) =>
    offline ? Promise.reject(new TypeError('offline')) : globalThis.fetch(input, init);
  const model = await openStep(`${base}/my run`, 12, { ...options, fetch });
  const tensor = model.weights?.get('b/kernel')?.tensor;
  offline = true;
  await assert.rejects(tensor?.values() as Promise<unknown>, { code: 'not-reached' });
  offline = false;
  assert.deepEqual(new Uint8Array(32).fill(12), await tensor?.values());
});

test('an answer that goes on for ever is not taken into memory', async () => {
  let sent = 0;
  const endless: typeof globalThis.fetch = () => {
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1 << 20;
        controller.enqueue(new Uint8Array(1 << 20));
      },
    });
    return Promise.resolve(new Response(body, { status: 206, headers: { 'Content-Range': 'bytes 0-9/10' } }));
  };
  await assert.rejects(open(`${base}/model.etui`, { fetch: endless, retryDelay: 1 }), { code: 'not-reached' });
  await assert.rejects(openStep(`${base}/my run`, 3, { fetch: endless, retryDelay: 1 }), { code: 'not-reached' });
  assert.ok(sent > 0 && sent < 64 << 20, `${sent} bytes`);
});

test('a series that was dropped lists its steps and opens them', async () => {
  const dropped = new Map([...stored].map(([name, data]) => [name, new Blob([data as Uint8Array<ArrayBuffer>])]));
  const series = await Series.open(dropped);
  assert.deepEqual([3, 12], await series.steps());
  const found = await series.verify();
  assert.deepEqual(
    identities,
    [...found.values()].map(({ identity }) => identity),
  );
  const model = await openStep(dropped, 3);
  assert.deepEqual(new Uint8Array(32).fill(3), await model.weights?.get('b/kernel')?.tensor.values());
  await assert.rejects(openStep(new Map(), 3), { code: 'series-form' });
  await assert.rejects(openStep(7 as unknown as string, 3), { code: 'argument' });
});
