// The manifest (SPEC.md chapters 7, 10 and 18).

import { refuse, show } from './errors.mjs';
import { decode } from './json.mjs';
import { checkDigest, checkFields, checkPartCollisions, checkPartName, checkVersion, isNatural } from './names.mjs';
import { checkMap } from './values.mjs';

export const FEATURES = [
  'chunks', 'encoding.complex', 'encoding.packed4', 'encoding.quantized', 'encoding.string', 'opaque', 'programs',
];

/** Documents: name -> role, which is also their kind. */
export const DOCUMENTS = new Map([
  ['config.json', 'config'], ['weights.json', 'weights'], ['training.json', 'training'],
  ['optimizer.msgpack', 'optimizer'], ['state.msgpack', 'state'],
]);

const FORM = 'manifest-form';
const WHERE = 'manifest.json';
const PARTS_LIMIT = 100_000;
const DATA_NAME = /^(weights|optimizer|state)(?:-([0-9]{5}|[1-9][0-9]{5,})-of-([0-9]{5}|[1-9][0-9]{5,}))?\.safetensors$/;
const PROFILES = new Map([ // has, may have, in the order config, weights, training, optimizer, state: 1 has, 0 lacks, ? may
  ['config', '10?00'], ['weights', '01000'], ['model', '11?0?'], ['training', '11?1?'], ['checkpoint', '01???'],
]);

/** A checked manifest: {document, version, minor, profile, requires, parts}, parts from name to its entry as a Map. */
export function readManifest(bytes) {
  const document = decode(bytes, WHERE);
  if (document.get('format') !== 'etui') refuse(FORM, `${WHERE} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${WHERE} /version`);
  const rules = { form: FORM, minor };
  checkFields(document, ['format', 'metadata', 'parts', 'profile', 'requires', 'version'], WHERE, rules);
  for (const field of ['parts', 'profile', 'requires']) {
    if (!document.has(field)) refuse(FORM, WHERE, `no ${field}`);
  }
  const parts = document.get('parts');
  if (!(parts instanceof Map)) refuse(FORM, `${WHERE} /parts`, show(parts));
  if (parts.size > PARTS_LIMIT) refuse('limit-parts', `${WHERE} /parts`, `${parts.size} parts`);
  for (const [name, entry] of parts) checkEntry(name, entry, rules);
  checkPartCollisions(parts.keys(), `${WHERE} /parts`);
  checkShards([...parts.keys()]);
  checkProfile(document.get('profile'), parts);
  checkRequires(document.get('requires'));
  if (document.has('metadata')) checkMetadata(document.get('metadata'), parts, {});
  return {
    document, minor, parts, version: document.get('version'), profile: document.get('profile'), requires: document.get('requires'),
  };
}

/** Refuses a list of features that is not what the artifact uses (M-4). */
export function checkUsed(requires, used) {
  for (const feature of used) {
    if (!requires.includes(feature)) refuse('requires-list', `${WHERE} /requires`, `no ${feature}, which is used`);
  }
  for (const feature of requires) {
    if (!used.has(feature)) refuse('requires-list', `${WHERE} /requires`, `${feature}, which nothing uses`);
  }
}

function checkEntry(name, entry, rules) {
  const at = `${WHERE} /parts/${name}`;
  checkPartName(name, at);
  if (name === WHERE) refuse(FORM, at, 'the manifest itself');
  if (!(entry instanceof Map)) refuse(FORM, at, show(entry));
  const role = roleOf(name, at);
  for (const field of ['media_type', 'role', 'size']) {
    if (!entry.has(field)) refuse(FORM, at, `no ${field}`);
  }
  if (entry.get('role') !== role) refuse('part-role', at, `the role ${show(entry.get('role'))}`);
  checkMediaType(name, role, entry.get('media_type'), at);
  if (!isNatural(entry.get('size'))) refuse(FORM, at, `the size ${show(entry.get('size'))}`);
  const own = { data: ['header'], native: ['digest', 'framework', 'framework_version', 'bindings'] }[role] ?? ['digest'];
  for (const field of ['header', 'digest']) {
    if (entry.has(field) !== own.includes(field)) refuse(FORM, at, `${entry.has(field) ? 'a' : 'no'} ${field}`);
  }
  checkFields(entry, ['media_type', 'role', 'size', ...own], at, rules);
  if (role === 'data') checkHeader(entry.get('header'), at);
  else checkDigest(entry.get('digest'), `${at}/digest`);
  if (role === 'native') checkNative(name, entry, at);
}

/** The role that a part of this name has (P-4, G-1). */
function roleOf(name, at) {
  if (DOCUMENTS.has(name)) return DOCUMENTS.get(name);
  if (DATA_NAME.test(name)) return 'data';
  if (/^assets\/./.test(name)) return 'asset';
  if (/^programs\/[^/]+\/./.test(name)) return 'program';
  if (/^native\/[^/]+\/./.test(name)) return 'native';
  return refuse('part-role', at, 'a name that no role has');
}

function checkMediaType(name, role, type, at) {
  if (DOCUMENTS.has(name)) {
    const [kind, syntax] = [role, name.split('.')[1]];
    if (type !== `application/vnd.etui.${kind}+${syntax}`) refuse('part-role', at, `the media type ${show(type)}`);
  } else if (role === 'data') {
    if (type !== 'application/vnd.safetensors') refuse('part-role', at, `the media type ${show(type)}`);
  } else if (typeof type !== 'string' || type === '') refuse(FORM, at, `the media type ${show(type)}`);
}

function checkHeader(header, at) {
  if (!(header instanceof Map) || [...header.keys()].join() !== 'digest,size' || !isNatural(header.get('size'))) {
    refuse(FORM, `${at}/header`, show(header));
  }
  checkDigest(header.get('digest'), `${at}/header/digest`);
}

function checkNative(name, entry, at) {
  const [framework, version, bindings] = ['framework', 'framework_version', 'bindings'].map((field) => entry.get(field));
  if (typeof framework !== 'string') refuse(FORM, at, `the framework ${show(framework)}`);
  if (name.split('/')[1] !== framework) refuse(FORM, at, `the framework ${show(framework)}`);
  if (version !== null && typeof version !== 'string') refuse(FORM, at, `the version ${show(version)}`);
  if (!(bindings instanceof Map)) refuse(FORM, at, `the bindings ${show(bindings)}`);
  for (const [document, digest] of bindings) {
    if (!DOCUMENTS.has(document)) refuse(FORM, `${at}/bindings`, show(document));
    checkDigest(digest, `${at}/bindings/${document}`);
  }
}

/** Refuses a series of shards that is not 1 … n, or that stands beside the whole (P-5). */
function checkShards(names) {
  const series = new Map();
  for (const name of names) {
    const [, base, index, total] = DATA_NAME.exec(name) ?? [];
    if (index === undefined) continue;
    const shards = series.get(base) ?? { total, indices: new Set() };
    if (shards.total !== total) refuse('part-role', `${WHERE} /parts/${name}`, `of ${total}, where another is of ${shards.total}`);
    shards.indices.add(Number(index));
    series.set(base, shards);
  }
  for (const [base, { total, indices }] of series) {
    if (names.includes(`${base}.safetensors`)) refuse('part-role', `${WHERE} /parts`, `${base} both in shards and as a whole`);
    const missing = Array.from({ length: indices.size }, (_, i) => i + 1).find((i) => !indices.has(i));
    if (missing !== undefined || indices.size !== Number(total)) {
      refuse('part-role', `${WHERE} /parts`, `${indices.size} of the ${total} shards of ${base}`);
    }
  }
}

function checkProfile(profile, parts) {
  const has = [...DOCUMENTS.keys()].map((name) => (parts.has(name) ? '1' : '0'));
  const fits = (row) => [...row].every((wanted, i) => wanted === '?' || wanted === has[i]);
  const named = [...PROFILES].filter(([name, row]) => fits(row) && (name !== 'checkpoint' || has[3] === '1' || has[4] === '1'));
  const at = `${WHERE} /profile`;
  if (named.length === 0) refuse('profile-parts', at, 'documents of no profile');
  if (named[0][0] !== profile) refuse('profile-parts', at, `${show(profile)}, where the documents are of ${named[0][0]}`);
}

function checkRequires(requires) {
  const at = `${WHERE} /requires`;
  if (!Array.isArray(requires) || !requires.every((name) => typeof name === 'string')) refuse(FORM, at, show(requires));
  requires.forEach((name, i) => {
    if (i > 0 && requires[i - 1] >= name) refuse('requires-list', at, `${show(name)} behind ${show(requires[i - 1])}`);
  });
  const unknown = requires.find((name) => !FEATURES.includes(name));
  if (unknown !== undefined) refuse('feature-unknown', at, show(unknown));
}

/**
 * Refuses metadata that is no map of values, or that names what is not there (V-10). `known` may answer for `variable` and
 * `module` once the documents that have them are read.
 */
export function checkMetadata(metadata, parts, { variable = () => true, module = () => parts.has('config.json') }) {
  const names = { asset: (name) => parts.has(name), variable, module, stored: () => false };
  checkMap(metadata, `${WHERE} /metadata`, names, FORM);
  if (metadata.size === 0) refuse(FORM, `${WHERE} /metadata`, 'an empty map');
}
