// Every byte of an artifact (H-7).

import type { Artifact } from './artifact.js';
import { concat } from './bytes.js';
import { type Entry, plainOf } from './documents/entries.js';
import { count, widthOf } from './dtypes.js';
import { refuse, show } from './errors.js';
import { platform } from './platform.js';

/** Bytes of data parts behind a URL that are kept, so that nothing is asked for twice. */
const PINNED = 512 * 1024 * 1024;

const PIECE = { local: 4 * 1024 * 1024, remote: 64 * 1024 * 1024 };

/** Called now and then with the bytes that were checked, of all that there are. */
export type Progress = (done: number, total: number) => void;

/** Refuses an artifact in which any byte is not as the manifest says. */
export async function verifyArtifact(artifact: Artifact, progress: Progress = () => {}): Promise<void> {
  const { parts } = artifact.manifest;
  await artifact.container.verify(artifact.manifest);
  let done = 0;
  let total = 0;
  for (const { size } of parts.values()) total += size;
  const checked = (bytes: number): void => {
    done += bytes;
    progress(Math.min(done, total), total);
  };
  let room = artifact.container.remote ? PINNED : 0;
  for (const [name, { role, size }] of parts) {
    const pinned = role === 'data' && size <= room;
    if (role === 'data' && !pinned && artifact.container.crc(name) === null) continue;
    const pieces: Uint8Array[] = [];
    for await (const piece of artifact.pieces(name)) {
      // What data parts hold counts when its digests are checked.
      if (role !== 'data') checked(piece.length);
      if (pinned) pieces.push(piece);
    }
    if (!pinned) continue;
    artifact.pin(name, concat(pieces));
    room -= size;
  }
  await checkReferences(artifact);
  for (const [, name, entry] of artifact.entries()) {
    for (const [part, plain] of plainsOf(name, entry)) {
      if (!(await checkPieces(artifact, part, plain))) await artifact.read(part, plain);
    }
    checked(sizeOf(entry));
  }
}

/** Checks the bytes of a plain tensor piece by piece, so that it may be larger than memory, where digests can be made so. */
async function checkPieces(artifact: Artifact, name: string, entry: Entry): Promise<boolean> {
  const make = platform().hasher;
  if (make === null || entry.encoding !== null) return false;
  const step = artifact.container.remote ? PIECE.remote : PIECE.local;
  for (const chunk of entry.chunks) {
    const { offset, size } = await artifact.find(name, entry, chunk);
    const hasher = make();
    let wrong: number | undefined;
    for (let place = 0; place < size; place += step) {
      const piece = await artifact.bytes(chunk.part, offset + place, Math.min(step, size - place));
      hasher.update(piece);
      if (entry.dtype === 'bool') wrong ??= piece.find((byte) => byte > 1);
    }
    if (`sha256:${hasher.finish()}` !== chunk.digest) {
      refuse('digest-mismatch', `${chunk.part} ${show(chunk.tensor)}`, 'changed bytes');
    }
    if (wrong !== undefined) refuse('bool-value', name, `the byte ${wrong}`);
  }
  return true;
}

/** What has to be read of a tensor so that each of its bytes is checked: of a quantized one its components. */
function plainsOf(name: string, entry: Entry): Iterable<readonly [string, Entry]> {
  if (entry.encoding !== 'quantized') return [[name, entry]];
  return [...entry.components].map(([key, component]) => [`${name}#${key}`, component] as const);
}

function sizeOf(entry: Entry): number {
  let size = 0;
  for (const [, plain] of plainOf('', entry)) size += (count(plain.shape) * widthOf(plain.dtype)) / 8;
  return size;
}

/** Refuses a tensor of a data part that no chunk names (S-9), and chunks without theirs; looks into every header. */
export async function checkReferences(artifact: Artifact): Promise<void> {
  const named = new Map<string, Set<string>>();
  for (const [part, { role }] of artifact.manifest.parts) if (role === 'data') named.set(part, new Set());
  for (const part of named.keys()) await artifact.storedHeader(part);
  for (const [, name, entry] of artifact.entries()) {
    for (const [each, plain] of plainOf(name, entry)) {
      for (const chunk of plain.chunks) {
        await artifact.find(each, plain, chunk);
        named.get(chunk.part)?.add(chunk.tensor);
      }
    }
  }
  for (const [part, tensors] of named) {
    for (const tensor of (await artifact.header(part)).keys()) {
      if (!tensors.has(tensor)) refuse('tensor-unreferenced', `${part} ${show(tensor)}`, 'named by no chunk');
    }
  }
}
