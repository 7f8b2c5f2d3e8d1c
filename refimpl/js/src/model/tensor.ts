// Tensors and variables of an open artifact.

import type { Area, Artifact } from '../artifact.js';
import { concat } from '../bytes.js';
import type { JsonMap } from '../canonical/json.js';
import { type Chunk, type Entry, plainOf } from '../documents/entries.js';
import { count, widthOf } from '../dtypes.js';
import { refuse } from '../errors.js';
import type { Ranges } from '../tensors/boxes.js';
import type { Elements } from '../tensors/reader.js';
import { textOfElement, type Values, valuesOf } from '../tensors/values.js';

/** A tensor: its index entry is known, its elements are read when they are asked for, and verified then. */
export class Tensor {
  /** The path of its variable, or its name in the index of its document. */
  readonly name: string;
  /** Of its logical elements. */
  readonly dtype: string;
  /** Sizes of the dimensions; none for a scalar. */
  readonly shape: readonly number[];
  /** Of what `complex`, `packed4`, `string` and `quantized` are made; null for a plain tensor. */
  readonly encoding: string | null;
  /** The boxes that it is stored in, those of its components included. */
  readonly chunks: readonly Chunk[];
  /** Bytes that are stored for it. */
  readonly storedBytes: number;
  readonly #artifact: Artifact;
  readonly #entry: Entry;

  constructor(artifact: Artifact, name: string, entry: Entry) {
    this.name = name;
    this.dtype = entry.dtype;
    this.shape = entry.shape;
    this.encoding = entry.encoding;
    this.#artifact = artifact;
    this.#entry = entry;
    const plains = [...plainOf(name, entry)].map(([, plain]) => plain);
    this.chunks = plains.flatMap(({ chunks }) => chunks);
    this.storedBytes = plains.reduce((sum, { dtype, shape }) => sum + (count(shape) * widthOf(dtype)) / 8, 0);
  }

  /** How many elements it has. */
  get length(): number {
    return count(this.shape);
  }

  /** Bytes of its logical elements: one for each of int4 and uint4; of strings, those that are stored. */
  get nbytes(): number {
    const bits = widthOf(this.dtype);
    return bits === 0 ? this.storedBytes : this.length * Math.max(1, bits / 8);
  }

  /** The digest of its bytes where they are stored in one piece, else null. */
  get digest(): string | null {
    return this.chunks.length === 1 ? (this.chunks[0] as Chunk).digest : null;
  }

  /** The tensors that it is made of by their names; nothing for a plain one. */
  get components(): ReadonlyMap<string, Tensor> {
    if (this.#entry.encoding === null) return new Map();
    return new Map(
      [...this.#entry.components].map(([key, entry]) => [
        key,
        new Tensor(this.#artifact, `${this.name}#${key}`, entry),
      ]),
    );
  }

  /**
   * The logical elements, row-major, little-endian, with every bit kept; verified unless the artifact was opened without.
   *
   * @param box [start, stop) of each dimension; all of it where it is left out. Only the chunks that meet it are read.
   * @throws EtuiError `digest-mismatch` of changed bytes, `argument` of a box that does not fit, `closed` after `close`,
   *   `out-of-memory`, and what a server or a file refuses.
   */
  async bytes(box: Ranges | null = null): Promise<Uint8Array> {
    const { data, strings } = await this.read(box);
    const bytes = data ?? concat(strings ?? []);
    // The caller may change what is given: it must not be a view of the artifact in memory.
    return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
  }

  /**
   * The elements as JavaScript has them: float16, bfloat16 and float8 as float32 (exact), 64-bit integers as bigint, `bool`
   * as 0 and 1, complex ones as pairs of numbers, `string` as texts, `bytes` as byte strings.
   *
   * @param box as of `bytes`.
   * @throws EtuiError as `bytes` does.
   */
  async values(box: Ranges | null = null): Promise<Values> {
    const { data, strings } = await this.read(box);
    if (strings !== null) {
      return this.dtype === 'string' ? strings.map((text) => textOfElement(text, this.name)) : [...strings];
    }
    return valuesOf(this.dtype, data as Uint8Array);
  }

  /** Elements with their dtype and shape; those of strings one by one. */
  read(box: Ranges | null = null): Promise<Elements> {
    return this.#artifact.read(this.name, this.#entry, box);
  }
}

/** A named tensor of the model. */
export class Variable {
  /** Its name, unique in the model, such as `encoder/dense/kernel`. */
  readonly path: string;
  /** What it is to its module: `kernel`, `bias` and so on. */
  readonly role: string;
  /** Whether training changes it. */
  readonly trainable: boolean;
  /** Its place in the model's own list of variables. */
  readonly order: number;
  /** Other paths that share it. */
  readonly aliases: readonly string[];
  /** Its value, which is read when it is asked for. */
  readonly tensor: Tensor;
  /** What the index says of it. */
  readonly document: JsonMap;

  constructor(path: string, document: JsonMap, aliases: readonly string[], tensor: Tensor) {
    this.path = path;
    this.document = document;
    this.role = document.get('role') as string;
    this.trainable = document.get('trainable') as boolean;
    this.order = document.get('order') as number;
    this.aliases = aliases;
    this.tensor = tensor;
  }

  get dtype(): string {
    return this.tensor.dtype;
  }

  get shape(): readonly number[] {
    return this.tensor.shape;
  }
}

/** The variables by their paths, in the model's own order. */
export class Weights extends Map<string, Variable> {
  /** Other path -> path of the variable that it shares. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly document: JsonMap;

  constructor(artifact: Artifact) {
    super();
    const { document, aliases, entries } = artifact.weights ?? refuse('argument', 'the artifact', 'no weights');
    this.document = document;
    this.aliases = aliases;
    const others = new Map<string, string[]>();
    for (const [alias, path] of aliases) others.set(path, [...(others.get(path) ?? []), alias]);
    const variables = [...(document.get('variables') as Map<string, JsonMap>)];
    variables.sort(([, a], [, b]) => (a.get('order') as number) - (b.get('order') as number));
    for (const [path, variable] of variables) {
      const tensor = new Tensor(artifact, path, entries.get(path) as Entry);
      this.set(path, new Variable(path, variable, others.get(path) ?? [], tensor));
    }
  }

  static override get [Symbol.species](): MapConstructor {
    return Map;
  }

  /** A variable by its path or an alias of it. */
  find(path: string): Variable | undefined {
    return this.get(this.aliases.get(path) ?? path);
  }
}

/** The tensors of a document's index by name. */
export function tensorsOf(artifact: Artifact, area: Area): Map<string, Tensor> {
  const entries = artifact[area]?.entries ?? new Map<string, Entry>();
  return new Map([...entries].map(([name, entry]) => [name, new Tensor(artifact, name, entry)]));
}
