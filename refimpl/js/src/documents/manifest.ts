// The manifest (SPEC.md chapters 7, 10 and 18).

import type { Json, JsonMap } from '../canonical/json.js';
import { decodeJson } from '../canonical/json.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { checkMap, type Scope } from '../values/check.js';
import {
  checkDigest,
  checkFields,
  checkPartCollisions,
  checkPartName,
  checkRequired,
  checkVersion,
  isNatural,
  type Rules,
} from './names.js';

/** The features that an artifact may require (chapter 18.2). */
export const FEATURES: readonly string[] = [
  'chunks',
  'encoding.complex',
  'encoding.packed4',
  'encoding.quantized',
  'encoding.string',
  'opaque',
  'programs',
];

export type DocumentRole = 'config' | 'weights' | 'training' | 'optimizer' | 'state';

/** Documents: name -> role, which is also their kind. */
export const DOCUMENTS: ReadonlyMap<string, DocumentRole> = new Map([
  ['config.json', 'config'],
  ['weights.json', 'weights'],
  ['training.json', 'training'],
  ['optimizer.msgpack', 'optimizer'],
  ['state.msgpack', 'state'],
]);

/** What a part is for. */
export type Role = DocumentRole | 'data' | 'asset' | 'program' | 'native';

const FORM = 'manifest-form';
const WHERE = 'manifest.json';
const DATA_NAME =
  /^(weights|optimizer|state)(?:-([0-9]{5}|[1-9][0-9]{5,})-of-([0-9]{5}|[1-9][0-9]{5,}))?\.safetensors$/;

// has, may have or lacks, in the order config, weights, training, optimizer, state: 1 has, 0 lacks, ? may.
const PROFILES: readonly (readonly [string, string])[] = [
  ['config', '10?00'],
  ['weights', '01000'],
  ['model', '11?0?'],
  ['training', '11?1?'],
  ['checkpoint', '01?1?'],
  ['checkpoint', '01?01'],
];

/** What the manifest says of a part. */
export interface PartEntry {
  readonly role: Role;
  readonly mediaType: string;
  readonly size: number;
  /** Of all bytes; null for a data part. */
  readonly digest: string | null;
  /** Of a data part: its first bytes, up to the data section. */
  readonly header: { readonly size: number; readonly digest: string } | null;
  readonly fields: JsonMap;
}

/** A checked manifest. */
export interface Manifest {
  readonly document: JsonMap;
  readonly version: string;
  readonly minor: number;
  readonly profile: string;
  readonly requires: readonly string[];
  readonly parts: ReadonlyMap<string, PartEntry>;
}

export function readManifest(bytes: Uint8Array, limits: Limits): Manifest {
  const document = decodeJson(bytes, WHERE, limits);
  if (document.get('format') !== 'etui') refuse(FORM, `${WHERE} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${WHERE} /version`);
  const rules = { form: FORM, minor, limits };
  checkFields(document, ['format', 'metadata', 'parts', 'profile', 'requires', 'version'], WHERE, rules);
  checkRequired(document, ['parts', 'profile', 'requires'], WHERE, FORM);
  const given = document.get('parts');
  if (!(given instanceof Map)) refuse(FORM, `${WHERE} /parts`, show(given));
  if (given.size > limits.parts) refuse('limit-parts', `${WHERE} /parts`, `${given.size} parts`);
  const parts = new Map<string, PartEntry>();
  for (const [name, entry] of given) parts.set(name, readEntry(name, entry, rules));
  checkPartCollisions(parts.keys(), `${WHERE} /parts`);
  checkShards([...parts.keys()]);
  const requires = readRequires(document.get('requires') as Json);
  const profile = document.get('profile');
  const named = profileOf((name) => parts.has(name));
  if (named !== profile)
    refuse('profile-parts', `${WHERE} /profile`, `${show(profile)}, where the documents are of ${named}`);
  const manifest = { document, minor, parts, version: document.get('version') as string, profile: named, requires };
  // Whether what it names is there is known when the documents are read.
  checkMetadata(manifest, { limits, module: () => true, variable: () => true, asset: (name) => parts.has(name) });
  return manifest;
}

/** The profile of chapter 18.1 that an artifact of these documents has. */
export function profileOf(has: (document: string) => boolean): string {
  const there = [...DOCUMENTS.keys()].map((name) => (has(name) ? '1' : '0'));
  const row = PROFILES.find(([, wanted]) => [...wanted].every((mark, i) => mark === '?' || mark === there[i]));
  return row?.[0] ?? refuse('profile-parts', `${WHERE} /parts`, 'documents of no profile');
}

/** Refuses a list of features that is not what the artifact uses (M-4). */
export function checkUsed(requires: readonly string[], used: ReadonlySet<string>): void {
  for (const feature of used) {
    if (!requires.includes(feature)) refuse('requires-list', `${WHERE} /requires`, `no ${feature}, which is used`);
  }
  for (const feature of requires) {
    if (!used.has(feature)) refuse('requires-list', `${WHERE} /requires`, `${feature}, which nothing uses`);
  }
}

/** Refuses metadata that is no map of values, or that names what is not there (V-10). */
export function checkMetadata(manifest: Manifest, scope: Omit<Scope, 'stored' | 'output'>): void {
  if (!manifest.document.has('metadata')) return;
  const metadata = manifest.document.get('metadata');
  checkMap(metadata, `${WHERE} /metadata`, { ...scope, stored: () => false, output: null }, FORM);
  if (metadata.size === 0) refuse(FORM, `${WHERE} /metadata`, 'an empty map');
}

function readEntry(name: string, entry: Json, rules: Rules): PartEntry {
  const at = `${WHERE} /parts/${name}`;
  checkPartName(name, at, rules.limits);
  if (name === WHERE) refuse(FORM, at, 'the manifest itself');
  if (!(entry instanceof Map)) refuse(FORM, at, show(entry));
  const role = roleOf(name, at);
  checkRequired(entry, ['media_type', 'role', 'size'], at, FORM);
  if (entry.get('role') !== role) refuse('part-role', at, `the role ${show(entry.get('role'))}`);
  const mediaType = entry.get('media_type') as Json;
  checkMediaType(name, role, mediaType, at);
  const size = entry.get('size');
  if (!isNatural(size)) refuse(FORM, at, `the size ${show(size)}`);
  const own = role === 'data' ? ['header'] : role === 'native' ? NATIVE_FIELDS : ['digest'];
  for (const field of ['header', 'digest']) {
    if (entry.has(field) !== own.includes(field)) refuse(FORM, at, `${entry.has(field) ? 'a' : 'no'} ${field}`);
  }
  checkFields(entry, ['media_type', 'role', 'size', ...own], at, rules);
  const digest = entry.get('digest');
  if (role !== 'data') checkDigest(digest, `${at}/digest`);
  if (role === 'native') checkNative(name, entry, at);
  const header = role === 'data' ? readHeaderEntry(entry.get('header') as Json, at) : null;
  return {
    role,
    mediaType: mediaType as string,
    size,
    digest: (digest as string | undefined) ?? null,
    header,
    fields: entry,
  };
}

const NATIVE_FIELDS = ['digest', 'framework', 'framework_version', 'bindings'];

/** The role that a part of this name has (P-4, G-1). */
export function roleOf(name: string, at: string = name): Role {
  const document = DOCUMENTS.get(name);
  if (document !== undefined) return document;
  if (DATA_NAME.test(name)) return 'data';
  if (/^assets\/./.test(name)) return 'asset';
  if (/^programs\/[^/]+\/./.test(name)) return 'program';
  if (/^native\/[^/]+\/./.test(name)) return 'native';
  return refuse('part-role', at, 'a name that no role has');
}

/** The media type that a document or data part of a name has. */
export function mediaTypeOf(name: string): string {
  const kind = DOCUMENTS.get(name);
  return kind === undefined ? 'application/vnd.safetensors' : `application/vnd.etui.${kind}+${name.split('.')[1]}`;
}

function checkMediaType(name: string, role: Role, type: Json, at: string): void {
  if (DOCUMENTS.has(name) || role === 'data') {
    if (type !== mediaTypeOf(name)) refuse('part-role', at, `the media type ${show(type)}`);
  } else if (typeof type !== 'string' || type === '') refuse(FORM, at, `the media type ${show(type)}`);
}

function readHeaderEntry(header: Json, at: string): { size: number; digest: string } {
  const size = header instanceof Map ? header.get('size') : undefined;
  if (!(header instanceof Map) || [...header.keys()].join() !== 'digest,size' || !isNatural(size)) {
    refuse(FORM, `${at}/header`, show(header));
  }
  const digest = header.get('digest');
  checkDigest(digest, `${at}/header/digest`);
  return { size, digest };
}

function checkNative(name: string, entry: JsonMap, at: string): void {
  const [framework, version, bindings] = ['framework', 'framework_version', 'bindings'].map((field) =>
    entry.get(field),
  );
  if (typeof framework !== 'string' || name.split('/')[1] !== framework) {
    refuse(FORM, at, `the framework ${show(framework)}`);
  }
  if (version !== null && typeof version !== 'string') refuse(FORM, at, `the version ${show(version)}`);
  if (!(bindings instanceof Map)) refuse(FORM, at, `the bindings ${show(bindings)}`);
  for (const [document, digest] of bindings) {
    if (!DOCUMENTS.has(document)) refuse(FORM, `${at}/bindings`, show(document));
    checkDigest(digest, `${at}/bindings/${document}`);
  }
}

/** Refuses a series of shards that is not 1 … n, or that stands beside the whole (P-5). */
function checkShards(names: readonly string[]): void {
  const series = new Map<string, { total: string; indices: Set<number> }>();
  for (const name of names) {
    const [, base, index, total] = DATA_NAME.exec(name) ?? [];
    if (base === undefined || index === undefined || total === undefined) continue;
    const shards = series.get(base) ?? { total, indices: new Set() };
    if (shards.total !== total) {
      refuse('part-role', `${WHERE} /parts/${name}`, `of ${total}, where another is of ${shards.total}`);
    }
    shards.indices.add(Number(index));
    series.set(base, shards);
  }
  for (const [base, { total, indices }] of series) {
    if (names.includes(`${base}.safetensors`)) {
      refuse('part-role', `${WHERE} /parts`, `${base} both in shards and as a whole`);
    }
    // As many as the total says, and none beyond it: then they are 1 to n.
    const complete = indices.size === Number(total) && [...indices].every((i) => i >= 1 && i <= indices.size);
    if (!complete) refuse('part-role', `${WHERE} /parts`, `${indices.size} of the ${total} shards of ${base}`);
  }
}

function readRequires(requires: Json): string[] {
  const at = `${WHERE} /requires`;
  if (!Array.isArray(requires) || !requires.every((name) => typeof name === 'string')) refuse(FORM, at, show(requires));
  requires.forEach((name, i) => {
    if (i > 0 && (requires[i - 1] as string) >= name) {
      refuse('requires-list', at, `${show(name)} behind ${show(requires[i - 1])}`);
    }
  });
  const unknown = requires.find((name) => !FEATURES.includes(name));
  if (unknown !== undefined) refuse('feature-unknown', at, show(unknown));
  return requires;
}
