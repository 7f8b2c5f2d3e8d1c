// An open artifact as JavaScript has it.

import type { Artifact } from '../artifact.js';
import type { JsonMap } from '../canonical/json.js';
import type { Manifest, PartEntry, Role } from '../documents/manifest.js';
import type { Form } from '../storage/container.js';
import type { Attrs } from '../values/classes.js';
import { attrsOf } from '../values/decode.js';
import { Config } from './config.js';
import { Weights } from './tensor.js';
import { Optimizer, State, Training } from './training.js';

/** An asset, a program or a native document. */
export class Part {
  readonly name: string;
  readonly role: Role;
  readonly mediaType: string;
  readonly size: number;
  readonly digest: string;
  /** Of a native document. */
  readonly framework: string | null;
  readonly frameworkVersion: string | null;
  /** Of a native document: the documents that were translated from it, with the digests that they had then. */
  readonly bindings: ReadonlyMap<string, string>;
  /** Whether a native document is stale, or bound to nothing, and must not be used (N-3, N-5). */
  readonly stale: boolean;
  readonly #artifact: Artifact;

  constructor(artifact: Artifact, name: string, entry: PartEntry) {
    this.#artifact = artifact;
    this.name = name;
    this.role = entry.role;
    this.mediaType = entry.mediaType;
    this.size = entry.size;
    this.digest = entry.digest as string;
    this.framework = (entry.fields.get('framework') as string | undefined) ?? null;
    this.frameworkVersion = (entry.fields.get('framework_version') as string | null | undefined) ?? null;
    this.bindings = new Map((entry.fields.get('bindings') as Map<string, string> | undefined) ?? []);
    const current = [...this.bindings].every(([document, digest]) => digestIn(artifact.manifest, document) === digest);
    this.stale = entry.role === 'native' && (this.bindings.size === 0 || !current);
  }

  /** Its bytes, verified. */
  bytes(): Promise<Uint8Array> {
    return this.#artifact.part(this.name);
  }

  /** Its bytes piece by piece; what is wrong with them is told at the end. */
  pieces(): AsyncGenerator<Uint8Array> {
    return this.#artifact.pieces(this.name);
  }
}

function digestIn({ parts }: Manifest, document: string): string | null {
  return parts.get(document)?.digest ?? null;
}

/** A model, with what of its training the artifact has. Documents are read, tensors are not. */
export class Model {
  /** The digest of the manifest (H-8). */
  readonly identity: string;
  /** How it is stored. */
  readonly form: Form;
  /** What the artifact has: `weights`, `config`, `model`, `checkpoint`, `training` (chapter 18.1). */
  readonly profile: string;
  /** Features that a reader needs to know. */
  readonly requires: readonly string[];
  /** Of the format, as the writer gave it. */
  readonly version: string;
  /** What the caller of the writer wanted to note. */
  readonly metadata: Attrs;
  readonly manifest: Manifest;
  /** The architecture; null where the artifact has none, as with the fields below. */
  readonly config: Config | null;
  readonly weights: Weights | null;
  readonly training: Training | null;
  readonly optimizer: Optimizer | null;
  readonly state: State | null;
  /** Files that modules need, by the name of the part. */
  readonly assets: ReadonlyMap<string, Part>;
  /** Programs that run without the code of the model, by the name of the part. */
  readonly programs: ReadonlyMap<string, Part>;
  /** Documents as a framework wrote them, by the name of the part. */
  readonly natives: ReadonlyMap<string, Part>;
  /** What the library itself works with; no part of its interface. */
  readonly artifact: Artifact;

  constructor(artifact: Artifact) {
    this.artifact = artifact;
    this.identity = artifact.identity;
    this.form = artifact.container.form;
    this.manifest = artifact.manifest;
    this.profile = artifact.manifest.profile;
    this.requires = artifact.manifest.requires;
    this.version = artifact.manifest.version;
    this.metadata = attrsOf(artifact.manifest.document.get('metadata'));
    this.config = artifact.config === null ? null : new Config(artifact.config);
    this.weights = artifact.weights === null ? null : new Weights(artifact);
    this.training = artifact.training === null ? null : new Training(artifact.training);
    this.optimizer = artifact.optimizer === null ? null : new Optimizer(artifact, artifact.optimizer.document);
    this.state = artifact.state === null ? null : new State(artifact, artifact.state.document);
    this.assets = parts(artifact, 'asset');
    this.programs = parts(artifact, 'program');
    this.natives = parts(artifact, 'native');
  }

  /** The stored value of a document, by its role; null where there is none. */
  document(role: 'config' | 'weights' | 'training' | 'optimizer' | 'state'): JsonMap | null {
    return role === 'training' ? this.artifact.training : (this.artifact[role]?.document ?? null);
  }

  /** Gives up files and requests; tensors cannot be read after it. */
  close(): Promise<void> {
    return this.artifact.close();
  }
}

function parts(artifact: Artifact, role: Role): Map<string, Part> {
  const found = new Map<string, Part>();
  for (const [name, entry] of artifact.manifest.parts) {
    if (entry.role === role) found.set(name, new Part(artifact, name, entry));
  }
  return found;
}
