// Writing artifacts in their one form (SPEC.md chapters 7 to 12).

import { Artifact } from '../artifact.js';
import { compareUtf8, concat, utf8 } from '../bytes.js';
import type { Json, JsonMap } from '../canonical/json.js';
import { encodeJson } from '../canonical/json.js';
import { encodeMessagePack } from '../canonical/msgpack.js';
import { DOCUMENTS, mediaTypeOf, profileOf, type Role, roleOf } from '../documents/manifest.js';
import { refuse, show } from '../errors.js';
import { LIMITS } from '../limits.js';
import { crc32, digestOf, platform } from '../platform.js';
import type { Container } from '../storage/container.js';
import { BytesSource, type Source } from '../storage/source.js';
import { packedOfView } from '../values/view.js';
import type { Content, PartContent } from './content.js';
import { loadPiece, Plan, type PlannedData } from './plan.js';

/** A part as it will be stored. */
export interface PlannedPart {
  readonly name: string;
  readonly role: Role | 'manifest';
  readonly size: number;
  readonly crc: number;
  /** Its bytes, one piece behind the other; may be asked for more than once. */
  pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** An artifact that is ready to be stored. */
export interface Planned {
  readonly identity: string;
  /** In the order of Z-2: the manifest is the last one. */
  readonly parts: readonly PlannedPart[];
  /** Of each data part, its header; of each other part, nothing. */
  readonly data: readonly PlannedData[];
}

export interface PlanOptions {
  /** Bytes of data in a shard at most. */
  readonly shardSize?: number | null;
  /** Keeps tensors in memory once they are loaded, rather than load them again to store them. */
  readonly keep?: boolean;
}

const GROUPS: Readonly<Partial<Record<string, number>>> = { data: 0, program: 1, native: 1, asset: 1, manifest: 3 };

/** Makes an artifact of a content, and refuses it as a reader would (L-1). */
export async function plan(content: Content, options: PlanOptions = {}): Promise<Planned> {
  const { shardSize } = options;
  if (shardSize !== undefined && shardSize !== null && !(Number.isSafeInteger(shardSize) && shardSize > 0)) {
    refuse('argument', 'shardSize', `${show(shardSize)}, which is no number of bytes`);
  }
  await content.checkSource?.();
  const planner = new Planner(options.keep ?? false);
  const features = new Set<string>();
  const documents = new Map<string, JsonMap>();
  for (const [name, role] of DOCUMENTS) {
    const document = content[role];
    if (document !== undefined) documents.set(name, document);
  }
  for (const [name, { fields, size, pieces }] of content.parts) {
    const role = roleOf(name);
    if (fields.get('role') !== role) refuse('part-role', name, `the role ${show(fields.get('role'))}`);
    if (role === 'program') features.add('programs');
    await planner.part(name, { fields, size, pieces });
  }
  if (content.config !== undefined && hasOpaque(content.config.get('model') ?? null)) features.add('opaque');
  for (const area of ['weights', 'optimizer', 'state'] as const) {
    const document = content[area];
    if (document === undefined) continue;
    const key = area === 'weights' ? 'variables' : 'tensors';
    const index = document.get(key);
    const layout = new Plan(area, features);
    const placed = new Map<string, Json>();
    for (const [name, fields] of sorted(index, area)) {
      placed.set(name, await layout.entry(name, fields, content.tensors[area]?.get(name)));
    }
    for (const data of layout.parts(options.shardSize ?? null)) await planner.data(data);
    if (index instanceof Map) documents.set(nameOf(area), new Map(document).set(key, placed));
  }
  for (const [name, document] of documents) {
    planner.document(name, name.endsWith('.json') ? encodeJson(document) : encodeMessagePack(packedOfView(document)));
  }
  return planner.finish(content, [...features].sort(), versionOf(documents));
}

function nameOf(area: string): string {
  return area === 'weights' ? 'weights.json' : `${area}.msgpack`;
}

/** Tensors in the order in which they fill shards (W-24). */
function sorted(index: Json | undefined, area: string): [string, JsonMap][] {
  if (!(index instanceof Map)) return []; // the reader that checks the document says so
  const entries = [...index].map(([name, fields]): [string, JsonMap] => {
    if (!(fields instanceof Map)) refuse(`${area}-form`, `${area} ${name}`, show(fields));
    return [name, fields];
  });
  const order = (fields: JsonMap): number => Number(fields.get('order'));
  return entries.sort(([a, ofA], [b, ofB]) => (area === 'weights' ? order(ofA) - order(ofB) : 0) || compareUtf8(a, b));
}

function versionOf(documents: ReadonlyMap<string, JsonMap>): Json {
  const [first] = documents.values();
  return first?.get('version') ?? '1.0';
}

function hasOpaque(module: Json): boolean {
  if (!(module instanceof Map)) return false;
  const children = module.get('modules');
  return module.get('kind') === 'opaque' || (Array.isArray(children) && children.some(hasOpaque));
}

class Planner {
  readonly keep: boolean;
  readonly parts: PlannedPart[] = [];
  readonly datas: PlannedData[] = [];
  readonly entries = new Map<string, JsonMap>();
  readonly documents = new Map<string, Uint8Array>();

  constructor(keep: boolean) {
    this.keep = keep;
  }

  /** An asset, a program or a native document. */
  async part(name: string, { fields, size, pieces }: PartContent): Promise<void> {
    const kept: Uint8Array[] = [];
    const hasher = platform().hasher?.() ?? null;
    let [crc, found] = [0, 0];
    for await (const piece of pieces()) {
      crc = crc32(piece, crc);
      found += piece.length;
      hasher?.update(piece);
      if (this.keep || hasher === null) kept.push(piece);
    }
    if (found !== size) refuse('part-size', name, `${found} bytes instead of ${size}`);
    const digest = hasher === null ? await digestOf(concat(kept)) : `sha256:${hasher.finish()}`;
    this.#add(name, size, crc, this.keep ? () => kept : pieces, new Map(fields).set('digest', digest));
  }

  async data(data: PlannedData): Promise<void> {
    const kept: Uint8Array[] = [data.header];
    let crc = crc32(data.header);
    for (const piece of data.pieces) {
      const bytes = await loadPiece(piece);
      crc = crc32(bytes, crc);
      if (this.keep) kept.push(bytes);
    }
    async function* again(): AsyncGenerator<Uint8Array> {
      yield data.header;
      for (const piece of data.pieces) yield await loadPiece(piece);
    }
    const header = new Map<string, Json>([
      ['digest', await digestOf(data.header)],
      ['size', data.header.length],
    ]);
    this.#add(data.name, data.size, crc, this.keep ? () => kept : again, new Map([['header', header]]));
    this.datas.push(data);
  }

  document(name: string, bytes: Uint8Array): void {
    if (bytes.length > LIMITS.document) refuse('limit-document', name, `${bytes.length} bytes`);
    this.documents.set(name, bytes);
  }

  #add(name: string, size: number, crc: number, pieces: PlannedPart['pieces'], fields: JsonMap): void {
    const role = roleOf(name);
    this.parts.push({ name, role, size, crc, pieces });
    if (role === 'data' || DOCUMENTS.has(name)) fields.set('media_type', mediaTypeOf(name)).set('role', role);
    this.entries.set(name, fields.set('size', size));
  }

  async finish(content: Content, requires: string[], version: Json): Promise<Planned> {
    for (const [name, bytes] of this.documents) {
      this.#add(name, bytes.length, crc32(bytes), () => [bytes], new Map([['digest', await digestOf(bytes)]]));
    }
    const kept = content.manifest?.get('parts');
    for (const [name, fields] of this.entries) {
      const before = kept instanceof Map ? kept.get(name) : undefined;
      if (!(before instanceof Map)) continue;
      for (const [field, value] of before) if (!fields.has(field)) fields.set(field, value);
    }
    const manifest: JsonMap = new Map(content.manifest ?? []);
    manifest.set('format', 'etui').set('parts', this.entries).set('version', version);
    manifest
      .set(
        'profile',
        profileOf((name) => this.documents.has(name)),
      )
      .set('requires', requires);
    if (content.metadata !== undefined) manifest.set('metadata', content.metadata);
    const bytes = encodeJson(manifest);
    this.documents.set('manifest.json', bytes);
    this.parts.push({
      name: 'manifest.json',
      role: 'manifest',
      size: bytes.length,
      crc: crc32(bytes),
      pieces: () => [bytes],
    });
    const parts = this.parts.sort((a, b) => groupOf(a) - groupOf(b) || (a.name < b.name ? -1 : 1));
    const planned = { identity: await digestOf(bytes), parts, data: this.datas };
    await this.#check(planned);
    return planned;
  }

  /** What a reader refuses is not written: the caller gets its code (L-1). Elements were looked at as they were loaded. */
  async #check({ parts }: Planned): Promise<void> {
    const headers = new Map(this.datas.map(({ name, header }) => [name, header]));
    const container: Container = {
      form: 'directory',
      remote: false,
      manifest: () => Promise.resolve(new BytesSource(this.documents.get('manifest.json') as Uint8Array)),
      checkParts: () => Promise.resolve(),
      open: (name) => {
        const document = this.documents.get(name);
        if (document !== undefined) return Promise.resolve(new BytesSource(document));
        const size = parts.find((part) => part.name === name)?.size ?? 0;
        return Promise.resolve(headerSource(headers.get(name) ?? new Uint8Array(0), size));
      },
      crc: () => null,
      verify: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    const artifact = await Artifact.open(container, LIMITS);
    for (const name of headers.keys()) await artifact.storedHeader(name);
    await artifact.close();
  }
}

/** A data part of which only the header is there. */
function headerSource(header: Uint8Array, size: number): Source {
  return {
    size,
    read: (offset, length) => Promise.resolve(header.subarray(offset, offset + length)),
    close: () => Promise.resolve(),
  };
}

/** Its place in the order of Z-2. */
export function groupOf({ role }: PlannedPart): number {
  return GROUPS[role] ?? 2;
}

/** Text as the bytes of a part. */
export function textPart(fields: JsonMap, text: string): PartContent {
  const bytes = utf8(text);
  return { fields, size: bytes.length, pieces: () => [bytes] };
}
