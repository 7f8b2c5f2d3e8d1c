// Opening and verifying, whatever the source is.

import { Artifact } from './artifact.js';
import { refuse, show } from './errors.js';
import { type Limits, limitsOf } from './limits.js';
import { Model } from './model/model.js';
import { type Container, FilesContainer } from './storage/container.js';
import { placeOf, type RemoteOptions } from './storage/http.js';
import { openRemote } from './storage/remote.js';
import { BlobSource, BytesSource } from './storage/source.js';
import { PackedContainer } from './storage/zip.js';
import { type Progress, verifyArtifact } from './verification.js';

/** A URL, the bytes of a packed file, a packed file, or the files of a folder by their names. */
export type ArtifactSource = string | URL | Uint8Array | Blob | ReadonlyMap<string, Blob | Uint8Array>;

/** How an artifact is opened. */
export interface OpenOptions extends RemoteOptions {
  /** Lower limits than those of the specification (L-3). */
  readonly limits?: Partial<Limits>;
  /** False leaves out the digests of tensors that are handed out; documents are always verified. */
  readonly verify?: boolean;
}

/** How an artifact is verified. */
export interface VerifyOptions extends OpenOptions {
  /** Called now and then with the bytes that were checked, of all that there are. */
  readonly progress?: Progress;
}

/** What was verified: an artifact without a fault. */
export interface VerifyResult {
  /** The digest of the manifest, which names each other digest. */
  readonly identity: string;
  readonly form: string;
  readonly profile: string;
  /** Bytes of the parts and the manifest. */
  readonly bytes: number;
  /** How many, the manifest among them. */
  readonly parts: number;
  readonly tensors: number;
}

/**
 * Opens an artifact: reads its documents, and of its tensors nothing.
 *
 * @throws EtuiError where the artifact is refused, with the code of SPEC.md.
 */
export async function open(source: ArtifactSource, options: OpenOptions = {}): Promise<Model> {
  return openContainer(await containerOf(source, options), options);
}

/**
 * Opens what a container holds; the container is closed with the model, and where it is refused.
 *
 * @throws EtuiError as `open` does.
 */
export async function openContainer(container: Container, options: OpenOptions = {}): Promise<Model> {
  return new Model(await Artifact.open(container, limitsOf(options.limits), options.verify ?? true));
}

/**
 * Opens documents alone, such as those that a page has in itself: parts by their names, `manifest.json` among them. What needs
 * a data part is refused with `no-data`.
 */
export function openDocuments(
  parts: ReadonlyMap<string, Blob | Uint8Array>,
  options: OpenOptions = {},
): Promise<Model> {
  return openContainer(new FilesContainer(parts, false), options);
}

/**
 * Verifies every byte of an artifact (H-7). In Node.js a tensor may be larger than memory; a browser makes digests of whole
 * byte strings, so that it needs memory for the largest tensor.
 *
 * @param source what `open` takes, or a model that was opened with verification.
 * @throws EtuiError what is wrong, with its place.
 */
export async function verify(source: ArtifactSource | Model, options: VerifyOptions = {}): Promise<VerifyResult> {
  if (source instanceof Model) return verifyModel(source, options.progress);
  // A tensor that is read without its digest would be no verification.
  const model = await open(source, { ...options, verify: true });
  try {
    return await verifyModel(model, options.progress);
  } finally {
    await model.close();
  }
}

async function verifyModel(model: Model, progress?: Progress): Promise<VerifyResult> {
  const { artifact } = model;
  if (!artifact.verifying) refuse('argument', 'the model', 'opened without verification');
  await verifyArtifact(artifact, progress);
  const { parts } = artifact.manifest;
  let bytes = 0;
  for (const { size } of parts.values()) bytes += size;
  const tensors = [...artifact.entries()].length;
  return { identity: model.identity, form: model.form, profile: model.profile, bytes, parts: parts.size + 1, tensors };
}

async function containerOf(source: ArtifactSource, options: OpenOptions): Promise<Container> {
  if (source instanceof Uint8Array) return PackedContainer.open(new BytesSource(source));
  if (typeof Blob !== 'undefined' && source instanceof Blob) return PackedContainer.open(new BlobSource(source));
  if (source instanceof Map) return new FilesContainer(source);
  if (typeof source === 'string' || source instanceof URL) return openRemote(urlOf(source), options);
  return refuse('argument', 'open', `${show(source)}, which is no artifact`);
}

/** An address of the web; one that is not absolute is taken from the page's own. */
export function urlOf(source: string | URL): URL {
  const base = typeof location === 'undefined' ? undefined : location.href;
  const url = URL.canParse(source, base) ? new URL(source, base) : null;
  if (url === null) refuse('argument', 'open', `${show(source)}, which is no URL; etui/node opens paths`);
  if (!['http:', 'https:', 'blob:'].includes(url.protocol)) {
    refuse('argument', placeOf(url), 'an address that is none of the web');
  }
  return url;
}
