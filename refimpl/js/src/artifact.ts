// Artifacts as a whole (SPEC.md chapters 6, 8, 9, 18): documents are read and checked when one is opened, tensors later.

import { concat } from './bytes.js';
import type { JsonMap } from './canonical/json.js';
import { type ConfigDocument, readConfig } from './documents/config.js';
import { type Chunk, checkNamedOnce, type Entry, featuresOf, type PlainEntry } from './documents/entries.js';
import {
  checkMetadata,
  checkUsed,
  DOCUMENTS,
  type Manifest,
  type PartEntry,
  readManifest,
} from './documents/manifest.js';
import { readOptimizer, type TensorDocument } from './documents/optimizer.js';
import { readState } from './documents/state.js';
import { readTraining } from './documents/training.js';
import { readWeights, type WeightsDocument } from './documents/weights.js';
import { refuse, show } from './errors.js';
import type { Limits } from './limits.js';
import { once } from './once.js';
import { crc32, digestOf, platform } from './platform.js';
import type { Container } from './storage/container.js';
import { canonicalHeader } from './storage/layout.js';
import { readHeader, type StoredTensor } from './storage/safetensors.js';
import { BytesSource, type Source } from './storage/source.js';
import type { Ranges } from './tensors/boxes.js';
import { type Elements, findTensor, readTensor } from './tensors/reader.js';
import { checkReferences } from './verification.js';
import { checkCoreObject } from './vocabulary/check.js';

/** Bytes that are read at once: a request takes long, and memory is to be had. */
const PIECE = { local: 1 << 22, remote: 1 << 25 };

/** The documents with an index of tensors. */
export type Area = 'weights' | 'optimizer' | 'state';

/** An artifact that was opened. */
export class Artifact {
  readonly container: Container;
  readonly limits: Limits;
  /** Whether digests of tensors are checked when they are handed out (H-6). */
  readonly verifying: boolean;
  readonly identity: string;
  readonly manifest: Manifest;
  config: ConfigDocument | null = null;
  weights: WeightsDocument | null = null;
  training: JsonMap | null = null;
  optimizer: TensorDocument | null = null;
  state: TensorDocument | null = null;
  readonly #sources = new Map<string, Promise<Source>>();
  readonly #headers = new Map<string, Promise<ReadonlyMap<string, StoredTensor>>>();
  #closed = false;

  private constructor(container: Container, limits: Limits, verifying: boolean, identity: string, manifest: Manifest) {
    this.container = container;
    this.limits = limits;
    this.verifying = verifying;
    this.identity = identity;
    this.manifest = manifest;
  }

  /** Opens what a container holds; closes the container where that is refused. */
  static async open(container: Container, limits: Limits, verifying = true): Promise<Artifact> {
    let artifact: Artifact | null = null;
    try {
      const source = await container.manifest();
      if (source.size > limits.document) refuse('limit-document', 'manifest.json', `${source.size} bytes`);
      const bytes = await source.read(0, source.size);
      await source.close();
      const manifest = readManifest(bytes, limits);
      artifact = new Artifact(container, limits, verifying, await digestOf(bytes), manifest);
      await container.checkParts(manifest);
      await artifact.#readDocuments();
      return artifact;
    } catch (error) {
      await (artifact ?? container).close();
      throw error;
    }
  }

  async #readDocuments(): Promise<void> {
    const { parts, version } = this.manifest;
    const { limits } = this;
    for (const name of DOCUMENTS.keys()) {
      const size = parts.get(name)?.size ?? 0;
      if (size > limits.document) refuse('limit-document', name, `${size} bytes`);
    }
    const isData = (name: string): boolean => parts.get(name)?.role === 'data';
    const asset = (name: string): boolean => parts.has(name);
    if (parts.has('weights.json')) {
      this.weights = readWeights(await this.part('weights.json'), isData, version, limits);
    }
    const { aliases, entries } = this.weights ?? { aliases: null, entries: null };
    const variable = entries && aliases ? (path: string) => entries.has(path) || aliases.has(path) : null;
    const any = variable ?? (() => true);
    if (parts.has('config.json')) {
      const shape = (path: string): readonly number[] | null => entries?.get(aliases?.get(path) ?? path)?.shape ?? null;
      this.config = readConfig(await this.part('config.json'), { variable, asset, shape }, version, limits);
    }
    const module = (path: string): boolean => path !== '' && (this.config?.modules.has(path) ?? false);
    const scope = { limits, module, variable: any, asset };
    if (parts.has('training.json')) {
      const values = { ...scope, stored: () => false, output: null, object: coreObject };
      this.training = readTraining(await this.part('training.json'), values, version, limits);
    }
    const tensors = { isData, module, variable: any, asset, own: entries && ((path: string) => entries.has(path)) };
    if (parts.has('optimizer.msgpack')) {
      this.optimizer = readOptimizer(await this.part('optimizer.msgpack'), tensors, version, limits);
    }
    if (parts.has('state.msgpack')) {
      this.state = readState(await this.part('state.msgpack'), tensors, version, limits);
    }
    checkMetadata(this.manifest, scope);
    checkUsed(this.manifest.requires, this.#features());
    checkNamedOnce([...this.entries()].map(([, name, entry]) => [name, entry]));
  }

  /** The features of chapter 18.2 that the artifact uses. */
  #features(): Set<string> {
    const used = new Set<string>();
    for (const { role } of this.manifest.parts.values()) if (role === 'program') used.add('programs');
    for (const module of this.config?.modules.values() ?? []) if (module.get('kind') === 'opaque') used.add('opaque');
    for (const [, , entry] of this.entries()) for (const feature of featuresOf(entry)) used.add(feature);
    return used;
  }

  /** Every tensor: its document, its name, its entry. */
  *entries(): Generator<[Area, string, Entry]> {
    for (const area of ['weights', 'optimizer', 'state'] as const) {
      for (const [name, entry] of this[area]?.entries ?? []) yield [area, name, entry];
    }
  }

  /** The entry of a tensor by its name in a document; of weights also by an alias. */
  entry(area: Area, name: string): Entry {
    const path = area === 'weights' ? (this.weights?.aliases.get(name) ?? name) : name;
    return this[area]?.entries.get(path) ?? refuse('argument', area, `no tensor ${show(name)}`);
  }

  /** A part that the manifest lists, as a source that stays open. */
  open(name: string): Promise<Source> {
    if (this.#closed) refuse('closed', name, 'the artifact is closed');
    return once(this.#sources, name, () => this.container.open(name));
  }

  /** Takes the bytes of a part from memory from now on. */
  pin(name: string, bytes: Uint8Array): void {
    this.#sources.set(name, Promise.resolve(new BytesSource(bytes)));
  }

  /** The bytes of a part that is not a data part, verified (H-5, H-6). */
  async part(name: string): Promise<Uint8Array> {
    const { size, digest } = this.manifest.parts.get(name) as PartEntry;
    const source = await this.open(name);
    const bytes = await source.read(0, size);
    if (bytes.length !== size || (await digestOf(bytes)) !== digest) refuse('digest-mismatch', name, 'changed bytes');
    const crc = this.container.crc(name);
    if (crc !== null && crc32(bytes) !== crc) refuse('zip-crc', name, 'another CRC-32');
    return bytes;
  }

  /** The bytes of a part piece by piece; what is wrong with them is told at the end. */
  async *pieces(name: string): AsyncGenerator<Uint8Array> {
    const { size, digest } = this.manifest.parts.get(name) as PartEntry;
    const source = await this.open(name);
    const hasher = digest === null ? null : (platform().hasher?.() ?? null);
    const crc = this.container.crc(name);
    const whole: Uint8Array[] = [];
    let check = 0;
    const step = this.container.remote ? PIECE.remote : PIECE.local;
    for (let place = 0; place < size; place += step) {
      const piece = await source.read(place, Math.min(step, size - place));
      if (piece.length === 0) refuse('part-size', name, `ends after ${place} bytes`);
      hasher?.update(piece);
      if (hasher === null && digest !== null) whole.push(piece);
      if (crc !== null) check = crc32(piece, check);
      yield piece;
    }
    if (digest !== null) {
      const found = hasher ? `sha256:${hasher.finish()}` : await digestOf(concat(whole));
      if (found !== digest) refuse('digest-mismatch', name, 'changed bytes');
    }
    if (crc !== null && check !== crc) refuse('zip-crc', name, 'another CRC-32');
  }

  /** The header of a data part, read once (S-10). */
  header(part: string): Promise<ReadonlyMap<string, StoredTensor>> {
    return once(this.#headers, part, () => this.#readHeader(part));
  }

  async #readHeader(part: string): Promise<ReadonlyMap<string, StoredTensor>> {
    const entry = this.manifest.parts.get(part) as PartEntry;
    const header = entry.header as { size: number; digest: string };
    if (this.container.remote) {
      const made = await canonicalHeader(this.entries(), part, header, entry.size);
      if (made !== null) return made;
    }
    return readHeader(await this.open(part), part, header, this.limits);
  }

  /** The header of a data part as it is stored, whatever was concluded of it (RM-6). */
  async storedHeader(part: string): Promise<ReadonlyMap<string, StoredTensor>> {
    const { header } = this.manifest.parts.get(part) as PartEntry;
    return readHeader(await this.open(part), part, header as { size: number; digest: string }, this.limits);
  }

  /** Refuses a tensor of a data part that no chunk names (S-9); looks into the header of every data part. */
  checkReferences(): Promise<void> {
    return checkReferences(this);
  }

  /** Reads a box of a tensor; all of it where `box` is null. */
  async read(name: string, entry: Entry, box: Ranges | null = null): Promise<Elements> {
    try {
      return await readTensor(this, name, entry, box);
    } catch (error) {
      if (error instanceof RangeError) refuse('out-of-memory', name, error.message);
      throw error;
    }
  }

  // What the reader of tensors takes from here:

  async find(name: string, entry: PlainEntry, chunk: Chunk): Promise<StoredTensor> {
    return findTensor(await this.header(chunk.part), name, entry, chunk);
  }

  async bytes(part: string, offset: number, size: number): Promise<Uint8Array> {
    return (await this.open(part)).read(offset, size);
  }

  async accepts(bytes: Uint8Array, digest: string): Promise<boolean> {
    return !this.verifying || (await digestOf(bytes)) === digest;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // A source that could not be opened has nothing to close.
    for (const source of this.#sources.values()) await source.then((each) => each.close()).catch(() => {});
    await this.container.close();
  }
}

function coreObject(object: JsonMap, at: string): void {
  checkCoreObject(object, at);
}
