// An adapter of the conformance suite: a reader and writer of weights, in plain JavaScript, from SPEC.md alone.
//
//     etui-conformance run --profile weights-reader --adapter "node conformance/adapters/javascript/adapter.mjs"

import { DTYPES } from './dtypes.mjs';
import { Refusal, Unsupported, classOf } from './errors.mjs';
import { DOCUMENTS, FEATURES, readManifest } from './manifest.mjs';
import { Artifact } from './reader.mjs';
import { BufferSource } from './source.mjs';
import { packed, store } from './storage.mjs';
import { readWeights } from './weights.mjs';
import { Outbox, bytesOf, contentOf, lineOf, linesOf, placeOf } from './wire.mjs';
import { checkAreas, writeParts } from './writer.mjs';

let outbox = new Outbox('.');

const OPS = {
  hello({ protocol, folder }) {
    if (protocol.split('.')[0] !== '1') throw new Unsupported(`protocol:${protocol}`);
    outbox = new Outbox(folder);
    return {
      name: 'etui-javascript',
      version: '1.0',
      language: 'javascript',
      ops: ['decode', 'validate', 'encode'],
      areas: ['weights', 'parts'],
      forms: ['packed', 'directory'],
      features: FEATURES,
      dtypes: [...DTYPES.keys()],
      formats: [],
    };
  },

  decode({ artifact: place, want, read = [] }) {
    return withArtifact(place, (artifact) => {
      const all = want === 'all';
      if (all) artifact.checkReferences();
      return {
        identity: artifact.identity,
        profile: artifact.manifest.profile,
        content: readContent(artifact, all),
        read: read.map(({ part, name, box }) => {
          if (part !== 'weights') throw new Unsupported(`area:${part}`);
          return outbox.tensor(artifact.tensors.read(name, artifact.variable(name), box));
        }),
      };
    });
  },

  validate({ artifact: place, document, data }) {
    if (document !== undefined) return validateDocument(document, bytesOf(data));
    return withArtifact(place, (artifact) => {
      artifact.verify();
      return { identity: artifact.identity };
    });
  },

  encode({ content, form, path, shard_size: shardSize = null }) {
    checkAreas(content);
    const parts = writeParts(contentOf(content), shardSize);
    const roles = new Map(Object.entries(content.parts ?? {}).map(([name, part]) => [name, part.role]));
    for (const name of parts.keys()) if (name.endsWith('.safetensors') && !roles.has(name)) roles.set(name, 'data');
    // What the reader refuses is not written: the caller gets its code (L-1).
    const written = new Artifact({ packed: new BufferSource(Buffer.concat(packed(parts, roles))) });
    written.verify();
    store(parts, roles, form, path);
    return { identity: written.identity };
  },

  reset() {
    outbox.clear();
    return {};
  },

  bye() {
    outbox.clear();
    return {};
  },
};

function withArtifact(place, work) {
  const { packed, directory } = placeOf(place);
  try {
    const artifact = new Artifact({ packed, directory });
    try {
      return work(artifact);
    } finally {
      artifact.close();
    }
  } finally {
    packed?.close();
  }
}

function validateDocument(kind, bytes) {
  if (kind === 'manifest') readManifest(bytes);
  else if (kind === 'weights') readWeights(bytes, () => true, null);
  else throw new Unsupported(`area:${kind}`);
  return {};
}

/** What the artifact holds of the areas that this adapter claims. */
function readContent(artifact, all) {
  const { manifest, weights } = artifact;
  const content = { profile: manifest.profile };
  if (manifest.document.has('metadata')) content.metadata = manifest.document.get('metadata');
  if (weights) {
    const variables = [...weights.document.get('variables')].map(([path, variable]) => [path, without(variable)]);
    content.weights = new Map(weights.document).set('variables', new Map(variables));
  }
  if (all && weights) {
    const tensors = [...weights.entries].map(([path, entry]) => [path, outbox.tensor(artifact.tensors.read(path, entry))]);
    content.tensors = { weights: Object.fromEntries(tensors) };
  }
  const parts = [...manifest.parts].filter(([name, entry]) => entry.get('role') !== 'data' && !DOCUMENTS.has(name));
  if (parts.length) content.parts = Object.fromEntries(parts.map(([name, entry]) => [name, partOf(artifact, name, entry)]));
  return content;
}

/** A variable without what says where its bytes are. */
function without(variable) {
  return new Map([...variable].filter(([field]) => field !== 'chunks' && field !== 'components'));
}

function partOf(artifact, name, entry) {
  const kept = [...entry].filter(([field]) => field !== 'digest' && field !== 'size');
  return { ...Object.fromEntries(kept), ...outbox.stream(artifact.open(name).size, (sink) => artifact.checkPart(name, sink)) };
}

function answer(request) {
  try {
    const work = Object.hasOwn(OPS, request.op) ? OPS[request.op] : null;
    if (work === null) throw new Unsupported(`op:${request.op}`);
    return { id: request.id, result: 'ok', ...work(request) };
  } catch (error) {
    if (error instanceof Refusal) {
      return { id: request.id, result: 'reject', class: classOf(error.code), code: error.code, at: error.at, message: error.message };
    }
    if (error instanceof Unsupported) return { id: request.id, result: 'unsupported', what: error.what };
    process.stderr.write(`${error.stack}\n`);
    return { id: request.id, result: 'fault', message: String(error) };
  }
}

for await (const line of linesOf(process.stdin)) {
  const request = JSON.parse(line);
  process.stdout.write(lineOf(answer(request)));
  if (request.op === 'bye') break;
}
process.stdin.destroy();
