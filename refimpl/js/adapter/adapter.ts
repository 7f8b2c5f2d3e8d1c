// The adapter of the conformance suite (annex P).
//
//     etui-conformance run --profile full --adapter "node refimpl/js/dist/adapter/adapter.js"

import { store } from '../src/node/store.js';
import {
  type Content,
  contentOfModel,
  DOCUMENTS,
  DTYPES,
  EtuiError,
  FEATURES,
  type JsonMap,
  type Model,
  open,
  openFile,
  openFolder,
  type SaveOptions,
  Series,
  saveStep,
  type Tensor,
  verify,
} from '../src/node.js';
import { plan } from '../src/write/artifact.js';
import { bareOf } from '../src/write/content.js';
import { validateDocument } from './documents.js';
import { SEMANTICS, semantics } from './semantics.js';
import { bytesOf, contentOf, lineOf, linesOf, type Message, mapped, Outbox, Unsupported } from './wire.js';

const AREAS = ['config', 'weights', 'training', 'optimizer', 'state', 'parts'];
/** What a content has of a part (annex P.2). */
const PART_FIELDS = ['role', 'media_type', 'framework', 'framework_version', 'bindings'];
const OPS = ['decode', 'encode', 'transcode', 'validate'];

let outbox = new Outbox('.');

type Artifact = { packed?: { data?: string; file?: string }; directory?: string; series?: string; step?: number };

async function answerOf(request: Message): Promise<Message> {
  switch (request.op) {
    case 'hello':
      return hello(request);
    case 'decode':
      return withModel(request.artifact, (model) => decode(model, request));
    case 'validate':
      return validate(request);
    case 'encode':
      return save(contentOf(request.content as Message), request);
    case 'transcode':
      return withModel(request.artifact, (model) => save(contentOfModel(model), request));
    case 'reset':
    case 'bye':
      outbox.clear();
      return {};
    default:
      if (!SEMANTICS.includes(String(request.op))) throw new Unsupported(`op:${String(request.op)}`);
      return semantics(request, { withModel, outbox });
  }
}

function hello({ protocol, folder }: Message): Message {
  if (String(protocol).split('.')[0] !== '1') throw new Unsupported(`protocol:${String(protocol)}`);
  outbox.clear();
  outbox = new Outbox(String(folder));
  return {
    name: 'etui-javascript',
    version: '1.0',
    language: 'javascript',
    ops: [...OPS, ...SEMANTICS],
    areas: AREAS,
    forms: ['packed', 'directory', 'series'],
    features: FEATURES,
    dtypes: [...DTYPES.keys()],
    formats: [],
  };
}

/** Opens an artifact that the suite sent. A file is not read as a whole. */
async function openArtifact(artifact: Artifact): Promise<Model> {
  if (artifact.series !== undefined) return (await Series.open(artifact.series)).openStep(artifact.step ?? 0);
  if (artifact.directory !== undefined) return openFolder(artifact.directory);
  if (artifact.packed === undefined) throw new Unsupported('artifact');
  return artifact.packed.file === undefined ? open(bytesOf(artifact.packed)) : openFile(artifact.packed.file);
}

async function withModel(artifact: unknown, work: (model: Model) => Promise<Message>): Promise<Message> {
  const model = await openArtifact(artifact as Artifact);
  try {
    return await work(model);
  } finally {
    await model.close();
  }
}

async function decode(model: Model, { want, read = [] }: Message): Promise<Message> {
  const answers: unknown[] = [];
  for (const { part, name, box } of read as { part: string; name: string; box: [number, number][] | null }[]) {
    const tensor = tensorsOf(model, part).get(name) ?? model.weights?.find(name)?.tensor;
    if (tensor === undefined) throw new RangeError(`no tensor ${name} of ${part}`);
    answers.push(await outbox.tensor(tensor, await tensor.read(box), false));
  }
  const { identity, profile } = model;
  return { identity, profile, content: await content(model, want === 'all'), read: answers };
}

/** What the artifact holds; `all` is with every tensor. */
async function content(model: Model, all: boolean): Promise<Message> {
  const { manifest } = model;
  const found: Message = { profile: model.profile };
  if (manifest.document.has('metadata')) found.metadata = manifest.document.get('metadata');
  for (const role of ['config', 'training'] as const) {
    const document = model.document(role);
    if (document !== null) found[role] = document;
  }
  const tensors: Message = {};
  for (const role of ['weights', 'optimizer', 'state'] as const) {
    const document = model.document(role);
    if (document === null) continue;
    const key = role === 'weights' ? 'variables' : 'tensors';
    const index = [...(document.get(key) as Map<string, JsonMap>)].map(
      ([name, fields]) => [name, bareOf(fields)] as const,
    );
    found[role] = new Map(document).set(key, new Map(index));
    if (!all) continue;
    const read = new Map<string, unknown>();
    for (const [name, tensor] of tensorsOf(model, role)) {
      read.set(name, await outbox.tensor(tensor, await tensor.read(), true));
    }
    tensors[role] = read;
  }
  if (all) {
    await model.artifact.checkReferences();
    found.tensors = tensors;
  }
  const parts = new Map<string, unknown>();
  for (const [name, { role, size, fields }] of manifest.parts) {
    if (role === 'data' || DOCUMENTS.has(name)) continue;
    const kept = PART_FIELDS.flatMap((field) => (fields.has(field) ? [[field, fields.get(field)] as const] : []));
    parts.set(name, { ...Object.fromEntries(kept), ...(await outbox.stream(size, model.artifact.pieces(name))) });
  }
  if (parts.size > 0) found.parts = parts;
  return found;
}

function tensorsOf(model: Model, part: string): ReadonlyMap<string, Tensor> {
  if (part === 'weights') return new Map([...(model.weights ?? [])].map(([path, { tensor }]) => [path, tensor]));
  return (part === 'optimizer' ? model.optimizer?.tensors : model.state?.tensors) ?? new Map();
}

async function validate({ artifact, document, data }: Message): Promise<Message> {
  if (document !== undefined) return validateDocument(String(document), bytesOf(data as { data?: string }));
  return withModel(artifact, async (model) => {
    await verify(model);
    return { identity: model.identity };
  });
}

async function save(given: Content, request: Message): Promise<Message> {
  const { form, path, shard_size: shardSize } = request;
  if (form === 'series') return saveAsStep(given, request);
  if (form !== 'packed' && form !== 'directory') throw new Unsupported(String(form));
  const planned = await plan(given, { shardSize: (shardSize as number | undefined) ?? null, keep: true });
  await store(planned, form, String(path));
  return { identity: planned.identity };
}

async function saveAsStep(
  given: Content,
  { path, step, replace, metrics, time, shard_size: size }: Message,
): Promise<Message> {
  const options: SaveOptions = {
    replace: replace === true,
    ...(metrics === undefined ? {} : { metrics: mapped(metrics) as JsonMap }),
    ...(time === undefined ? {} : { time: String(time) }),
    ...(size === undefined ? {} : { shardSize: Number(size) }),
  };
  return { identity: await saveStep(String(path), Number(step), given, options) };
}

async function answer(request: Message): Promise<Message> {
  const { id } = request;
  try {
    return { id, result: 'ok', ...(await answerOf(request)) };
  } catch (error) {
    if (error instanceof EtuiError && error.errorClass !== 'usage') {
      const { errorClass, code, where, message } = error;
      return { id, result: 'reject', class: errorClass, code, at: where, message };
    }
    if (error instanceof Unsupported) return { id, result: 'unsupported', what: error.what };
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return { id, result: 'fault', message: String(error) };
  }
}

for await (const line of linesOf(process.stdin)) {
  const request = JSON.parse(line) as Message;
  process.stdout.write(lineOf(await answer(request)));
  if (request.op === 'bye') break;
}
process.stdin.destroy();
