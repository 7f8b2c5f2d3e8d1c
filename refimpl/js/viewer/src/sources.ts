/** Where models come from: the page itself, a file, a folder, a URL. */

import { type ArtifactSource, open, openDocuments } from '../../src/index.js';
import { Opened } from './data/opened.js';
import { loadDifferences } from './diff.js';
import { bytesOf, type EmbeddedArtifact, type Payload, PayloadError, payloadOf } from './payload.js';
import { phase, show } from './state.js';

/** A thing to open, with the name that people know it by. */
export interface Given {
  readonly name: string;
  readonly source: ArtifactSource;
}

/** Shows what is wrong in place of a model. */
export function fail(name: string, error: unknown): void {
  phase.value = { kind: 'broken', name, error };
}

/** Opens what the page holds, or what its address names. */
export async function openPage(): Promise<void> {
  let payload: Payload | null;
  try {
    payload = payloadOf(document);
  } catch (error) {
    return fail('this page', error);
  }
  if (payload) return openPayload(payload);
  const parameters = new URLSearchParams(location.search);
  const urls = parameters.getAll('url').slice(0, 2);
  if (urls.length > 0) await openAll(urls.map((url) => ({ name: nameOf(url), source: url })));
}

function nameOf(url: string): string {
  const path = url.split(/[?#]/)[0]!.replace(/\/+$/, '');
  return path.slice(path.lastIndexOf('/') + 1) || url;
}

async function openPayload(payload: Payload): Promise<void> {
  const models: Opened[] = [];
  for (const artifact of payload.artifacts) {
    try {
      models.push(await openEmbedded(artifact, payload.created_by));
    } catch (error) {
      return fail(artifact.name, error);
    }
  }
  present(models);
  if (models.length > 1) loadDifferences(payload.differences ?? null);
}

async function openEmbedded(artifact: EmbeddedArtifact, createdBy: unknown): Promise<Opened> {
  const parts = new Map(Object.entries(artifact.parts).map(([name, base64]) => [name, bytesOf(base64)]));
  const model = await openDocuments(parts);
  if (artifact.identity !== model.identity) {
    throw new PayloadError(`This page says that it holds ${artifact.identity}, and holds ${model.identity}.`);
  }
  return new Opened(artifact.name, model, {
    sourceFormat: artifact.source_format,
    report: artifact.report,
    statistics: artifact.statistics,
    form: artifact.form,
    ...(typeof createdBy === 'string' ? { createdBy } : {}),
  });
}

/** Opens one artifact, or two to compare: the first is the older. */
export async function openAll(given: readonly Given[]): Promise<void> {
  const models: Opened[] = [];
  for (const { name, source } of given) {
    phase.value = { kind: 'busy', name };
    try {
      const model = await open(source);
      models.push(new Opened(name, model, { source, form: model.form }));
    } catch (error) {
      return fail(name, error);
    }
  }
  present(models);
}

function present(models: readonly Opened[]): void {
  const [first, second] = models;
  if (second) show(second, first!);
  else if (first) show(first);
}

/** The artifacts among chosen files: a packed file each, or, where there is a manifest among them, the files of a folder. */
export function artifactsOf(files: readonly { readonly path: string; readonly file: File }[]): Given[] {
  const folders = files.filter(({ path }) => path === 'manifest.json' || path.endsWith('/manifest.json'));
  const roots = folders.map(({ path }) => path.slice(0, -'manifest.json'.length));
  // The manifest of a folder inside of another's is a part of it.
  const outer = roots.filter((root) => !roots.some((other) => other !== root && root.startsWith(other)));
  const within = (path: string) => outer.find((root) => path.startsWith(root));
  const given: Given[] = outer.map((root) => ({
    name: root.replace(/\/$/, '').split('/').at(-1) || 'folder',
    source: new Map(
      files.filter(({ path }) => within(path) === root).map(({ path, file }) => [path.slice(root.length), file]),
    ),
  }));
  for (const { path, file } of files) if (within(path) === undefined) given.push({ name: file.name, source: file });
  return given.slice(0, 2);
}

/** The files that were chosen in a dialog. */
export function chosenFiles(list: FileList): { path: string; file: File }[] {
  return Array.from(list, (file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** The files that were dropped, those in folders included. */
export async function droppedFiles(transfer: DataTransfer): Promise<{ path: string; file: File }[]> {
  // The entries must be taken at once: the browser forgets them when the event is over.
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? null);
  const plain = chosenFiles(transfer.files);
  if (entries.every((entry) => entry === null || entry.isFile)) return plain;
  const files: { path: string; file: File }[] = [];
  const walk = async (entry: FileSystemEntry): Promise<void> => {
    if (files.length > MOST_FILES) return;
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      files.push({ path: entry.fullPath.replace(/^\//, ''), file });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (batch.length === 0) return;
      for (const child of batch) await walk(child);
    }
  };
  for (const entry of entries) if (entry) await walk(entry);
  return files;
}

const MOST_FILES = 20_000;
