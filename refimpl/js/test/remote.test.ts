// Artifacts behind a URL (annex S).

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import {
  type ArtifactSource,
  EtuiError,
  type Model,
  type OpenOptions,
  open as openSource,
  verify,
  write,
} from '../src/node.js';
import { everyPlainDtype, weightsOf } from './fixtures.js';

interface Answering {
  /** How the server departs from what it should do. */
  readonly ranges?: boolean;
  readonly fail?: number;
  readonly short?: number;
  readonly stated?: boolean;
}

let files: Map<string, Uint8Array>;
let asked: string[] = [];
let seen: IncomingMessage['headers'][] = [];
let behaviour: Answering = {};
let failures = 0;
let server: Server;
let base: string;

function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', base);
  asked.push(`${url.pathname} ${request.headers.range ?? 'whole'}`);
  seen.push(request.headers);
  if (url.pathname.startsWith('/elsewhere/')) {
    const other = base.replace('127.0.0.1', 'localhost');
    response.writeHead(302, { location: `${other}/${url.pathname.slice('/elsewhere/'.length)}` }).end();
    return;
  }
  const file = files.get(decodeURIComponent(url.pathname.slice(1)));
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  if (failures < (behaviour.fail ?? 0)) {
    failures += 1;
    response.writeHead(503).end();
    return;
  }
  const range = behaviour.ranges === false ? null : /^bytes=([0-9]*)-([0-9]*)$/.exec(request.headers.range ?? '');
  if (range === null) {
    response.writeHead(200, { 'content-length': file.length }).end(file);
    return;
  }
  const start = range[1] === '' ? Math.max(0, file.length - Number(range[2])) : Number(range[1]);
  const stop = range[1] === '' || range[2] === '' ? file.length : Math.min(file.length, Number(range[2]) + 1);
  const stated = { 'content-range': `bytes ${start}-${stop - 1}/${file.length}` };
  response.writeHead(206, behaviour.stated === false ? {} : stated);
  const cut = failures < (behaviour.short ?? 0) ? 1 : 0;
  failures += cut;
  response.end(file.subarray(start, stop - cut));
}

before(async () => {
  const packed = await write(everyPlainDtype());
  // Larger than what the first request asks for, so that the documents alone come with it.
  const large = weightsOf({
    'large/kernel': ['float32', [512, 1024], new Uint8Array(512 * 1024 * 4).fill(1)],
    'a/kernel': ['float32', [2], new Uint8Array(8).fill(2)],
  });
  files = new Map([
    ['model.etui', packed],
    ['large.etui', await write(large)],
    ...[...(await write(large, { form: 'directory' }))].map(([name, data]) => [`folder/${name}`, data] as const),
  ]);
  server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

/** Opens without waits between tries. */
function open(source: ArtifactSource, options: OpenOptions = {}): Promise<Model> {
  return openSource(source, { retryDelay: 1, ...options });
}

function start(next: Answering = {}): void {
  asked = [];
  seen = [];
  failures = 0;
  behaviour = next;
}

describe('a packed file behind a URL', () => {
  test('is opened by one request where all documents are in its tail, and a tensor by one more', async () => {
    start();
    const model = await open(`${base}/large.etui`);
    assert.equal(asked.length, 1);
    const values = await model.weights?.get('a/kernel')?.tensor.values();
    assert.deepEqual(values, new Float32Array(new Uint8Array(8).fill(2).buffer));
    assert.equal(asked.length, 2);
    assert.match(asked[1] as string, /bytes=[0-9]+-[0-9]+$/);
    const [, from, to] = /bytes=([0-9]+)-([0-9]+)/.exec(asked[1] as string) ?? [];
    assert.equal(Number(to) - Number(from) + 1, 8);
    await model.close();
  });

  test('is opened by two requests where documents come before its tail', async () => {
    const many: Record<string, readonly [string, readonly number[], Uint8Array]> = {};
    for (let i = 0; i < 3000; i += 1) many[`layer_${i}/kernel`] = ['float32', [1], Uint8Array.of(i, i >> 8, 0, 0)];
    files.set('many.etui', await write(weightsOf(many)));
    start();
    const model = await open(new URL(`${base}/many.etui`));
    assert.equal(asked.length, 2);
    assert.equal(model.weights?.size, 3000);
    await model.weights?.get('layer_7/kernel')?.tensor.bytes();
    assert.equal(asked.length, 3);
  });

  test('is verified as a whole, local headers included', async () => {
    start();
    const result = await verify(`${base}/model.etui`);
    assert.equal(result.identity, (await open(files.get('model.etui') as Uint8Array)).identity);
    const broken = (files.get('model.etui') as Uint8Array).slice();
    broken[6] = 1; // a flag of the first local header, which opening leaves to the verification
    files.set('broken.etui', broken);
    await open(`${base}/broken.etui`);
    await assert.rejects(verify(`${base}/broken.etui`), { code: 'zip-field' });
  });

  test('is read where the server does not state the size, as another host of a page may not', async () => {
    start({ stated: false });
    const model = await open(`${base}/large.etui`);
    assert.equal((await model.weights?.get('a/kernel')?.tensor.bytes())?.length, 8);
    assert.equal(asked.length, 2);
  });

  test('is taken whole from a server that ignores ranges, and asked for once', async () => {
    start({ ranges: false });
    const model = await open(`${base}/large.etui`);
    await model.weights?.get('a/kernel')?.tensor.bytes();
    assert.equal(asked.length, 1);
  });

  test('is refused with a hint where it is too large to be taken whole', async () => {
    const fetch = (): Promise<Response> =>
      Promise.resolve(new Response('', { status: 200, headers: { 'Content-Length': '1000000000000' } }));
    await assert.rejects(open(`${base}/large.etui`, { fetch }), (error: EtuiError) => {
      assert.equal(error.code, 'no-ranges');
      assert.match(error.hint, /ranges/);
      return true;
    });
  });

  test('is asked for again where a server fails or sends too little, a few times', async () => {
    start({ fail: 2 });
    await open(`${base}/model.etui`);
    assert.equal(asked.length, 3);
    start({ short: 1 });
    const model = await open(`${base}/large.etui`);
    start({ short: 1 });
    assert.equal((await model.weights?.get('a/kernel')?.tensor.bytes())?.length, 8);
    assert.equal(asked.length, 2);
  });

  test('is opened where ranges that count from the end are not allowed, as of another host', async () => {
    const fetch: typeof globalThis.fetch = (input, init) => {
      const range = new Headers(init?.headers).get('Range') ?? '';
      return range.startsWith('bytes=-') ? Promise.reject(new TypeError('blocked')) : globalThis.fetch(input, init);
    };
    start({ stated: false });
    const model = await open(`${base}/large.etui`, { fetch });
    assert.equal(asked.length, 2);
    assert.equal((await model.weights?.get('a/kernel')?.tensor.bytes())?.length, 8);
    start();
    const refusing: typeof globalThis.fetch = () => Promise.reject(new TypeError('offline'));
    await assert.rejects(open(`${base}/large.etui`, { fetch: refusing }), { code: 'not-reached' });
  });

  test('is verified by as many requests as it has parts, and not by one for each tensor', async () => {
    start();
    await verify(`${base}/many.etui`);
    assert.ok(asked.length < 10 + 1, `${asked.length}`);
  });

  test('that is not there, or replaced while it is open, is told', async () => {
    start();
    await assert.rejects(open(`${base}/nothing.etui`), { code: 'not-reached', found: 'no such file' });
    const model = await open(`${base}/large.etui`);
    const before = files.get('large.etui') as Uint8Array;
    files.set('large.etui', (files.get('model.etui') as Uint8Array).slice());
    await assert.rejects(model.weights?.get('a/kernel')?.tensor.bytes() as Promise<unknown>, EtuiError);
    files.set('large.etui', before);
  });
});

describe('a folder behind a URL', () => {
  test('is opened by its manifest, and a tensor is one request', async () => {
    start();
    const model = await open(`${base}/folder/`);
    assert.equal(model.form, 'directory');
    assert.deepEqual(asked, [
      '/folder/manifest.json whole',
      `/folder/weights.json bytes=0-${(files.get('folder/weights.json') as Uint8Array).length - 1}`,
    ]);
    assert.equal((await model.weights?.get('a/kernel')?.tensor.bytes())?.length, 8);
    assert.equal(asked.length, 3);
    await verify(`${base}/folder/manifest.json`);
  });

  test('without a manifest is no model', async () => {
    start();
    await assert.rejects(open(`${base}/none/`), { code: 'manifest-missing' });
  });
});

describe('what is secret', () => {
  test('headers go with each request, and to no other host', async () => {
    start();
    await open(`${base}/model.etui`, { headers: { authorization: 'Bearer secret' } });
    assert.equal(seen[0]?.authorization, 'Bearer secret');
    start();
    await open(`${base}/elsewhere/model.etui`, { headers: { authorization: 'Bearer secret', 'x-key': 'secret' } });
    assert.equal(seen.length, 2);
    assert.deepEqual([seen[0]?.authorization, seen[1]?.authorization], ['Bearer secret', undefined]);
    assert.equal(seen[1]?.['x-key'], undefined);
  });

  test('no message holds the query of a URL', async () => {
    start();
    await assert.rejects(open(`${base}/nothing.etui?signature=secret`), (error: EtuiError) => {
      assert.doesNotMatch(`${error.message} ${error.where} ${error.found}`, /secret/);
      return true;
    });
    const fetch = (): Promise<Response> =>
      Promise.reject(new Error(`no route to ${base}/nothing.etui?signature=secret`));
    await assert.rejects(open(`${base}/nothing.etui?signature=secret`, { fetch }), (error: EtuiError) => {
      assert.equal(error.code, 'not-reached');
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });

  test('an address that is none of the web is refused', async () => {
    for (const address of ['file:///etc/passwd', 'data:text/plain,a', 'model.etui']) {
      await assert.rejects(open(address), { code: 'argument' });
    }
  });
});
