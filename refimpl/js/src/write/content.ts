// What a writer is given: documents that do not yet say where the bytes are, and the tensors and parts that they belong to.

import type { Area, Artifact } from '../artifact.js';
import { concat } from '../bytes.js';
import type { Json, JsonMap } from '../canonical/json.js';
import type { Entry } from '../documents/entries.js';
import { DOCUMENTS } from '../documents/manifest.js';
import type { Elements } from '../tensors/reader.js';

/** A tensor to be written. */
export interface TensorContent {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Its logical elements; not called where `components` has what it is made of. */
  load(): Promise<Pick<Elements, 'data' | 'strings'>>;
  /** Of a quantized tensor, and of one that is copied. */
  readonly components?: ReadonlyMap<string, TensorContent>;
  /** The boxes that it is to be stored in, in order; one piece where it is left out. */
  readonly boxes?: readonly TensorBox[];
  /** What the index says of a component besides: fields that are kept. */
  readonly fields?: JsonMap;
}

/** A box of a tensor that is stored by itself. */
export interface TensorBox {
  readonly offset: readonly number[];
  readonly shape: readonly number[];
  /** Its elements, row-major and little-endian. */
  load(): Promise<Uint8Array>;
}

/** An asset, a program or a native document to be written. */
export interface PartContent {
  /** What the manifest says of it, without digest and size: `role`, `media_type`, and of a native document more. */
  readonly fields: JsonMap;
  readonly size: number;
  /** Its bytes, `size` of them; asked for more than once. */
  pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Content of an artifact. */
export interface Content {
  readonly metadata?: Json;
  readonly config?: JsonMap;
  readonly training?: JsonMap;
  /** Its variables have no chunks and components; nor have the entries of `tensors` of the JSON views below. */
  readonly weights?: JsonMap;
  readonly optimizer?: JsonMap;
  readonly state?: JsonMap;
  /** By the document whose index names them, and the path of the variable or the name there. */
  readonly tensors: Readonly<Partial<Record<Area, ReadonlyMap<string, TensorContent>>>>;
  /** Assets, programs and native documents, by the name of the part. */
  readonly parts: ReadonlyMap<string, PartContent>;
  /** Fields that only a later version knows, and those that begin with `x-`: of the manifest, and of its parts. */
  readonly manifest?: JsonMap;
  /** Of what is copied: refuses a tensor that no document names, and that a copy would be without (S-9). */
  checkSource?(): Promise<void>;
}

/** The content of an artifact that is open: what a rewrite copies. */
export function contentOf(artifact: Artifact): Content {
  const { manifest, config, training, weights } = artifact;
  const tensors: Partial<Record<Area, Map<string, TensorContent>>> = {};
  const documents: { weights?: JsonMap; optimizer?: JsonMap; state?: JsonMap } = {};
  for (const area of ['weights', 'optimizer', 'state'] as const) {
    const opened = artifact[area];
    if (opened === null) continue;
    const key = area === 'weights' ? 'variables' : 'tensors';
    const index = opened.document.get(key) as Map<string, JsonMap>;
    const bare = new Map([...index].map(([name, fields]) => [name, bareOf(fields)] as const));
    documents[area] = new Map(opened.document).set(key, bare);
    tensors[area] = new Map(
      [...opened.entries].map(([name, entry]) => [name, copyOf(artifact, name, entry, index.get(name) as JsonMap)]),
    );
  }
  const parts = new Map<string, PartContent>();
  for (const [name, { role, size, fields }] of manifest.parts) {
    if (role === 'data' || DOCUMENTS.has(name)) continue;
    const kept = new Map([...fields].filter(([field]) => field !== 'digest' && field !== 'size'));
    parts.set(name, { fields: kept, size, pieces: () => artifact.pieces(name) });
  }
  return {
    ...documents,
    ...(config === null ? {} : { config: config.document }),
    ...(training === null ? {} : { training }),
    ...(weights === null ? {} : { weights: documents.weights as JsonMap }),
    ...(manifest.document.has('metadata') ? { metadata: manifest.document.get('metadata') as Json } : {}),
    tensors,
    parts,
    manifest: manifest.document,
    checkSource: () => artifact.checkReferences(),
  };
}

/** A tensor's entry without what says where its bytes are. */
export function bareOf(fields: JsonMap): JsonMap {
  return new Map([...fields].filter(([field]) => field !== 'chunks' && field !== 'components'));
}

function copyOf(artifact: Artifact, name: string, entry: Entry, stored: JsonMap): TensorContent {
  const { dtype, shape } = entry;
  const load = (): Promise<Elements> => artifact.read(name, entry);
  const fields = bareOf(stored);
  if (entry.encoding !== null) {
    const objects = stored.get('components') as Map<string, JsonMap>;
    const components = [...entry.components].map(
      ([key, each]) => [key, copyOf(artifact, `${name}#${key}`, each, objects.get(key) as JsonMap)] as const,
    );
    return { dtype, shape, load, fields, components: new Map(components) };
  }
  if (entry.chunks.length === 1) return { dtype, shape, load, fields };
  const boxes = entry.chunks.map(({ offset, shape: size }) => {
    const box = offset.map((start, i) => [start, start + (size[i] as number)] as const);
    return { offset, shape: size, load: async () => (await artifact.read(name, entry, box)).data ?? new Uint8Array(0) };
  });
  return { dtype, shape, load, fields, boxes };
}

/** The bytes of a part as a whole. */
export async function bytesOf(part: PartContent): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of part.pieces()) pieces.push(piece);
  return concat(pieces);
}
