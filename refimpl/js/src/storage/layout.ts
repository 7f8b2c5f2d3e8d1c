// What a data part's header must be, concluded from the documents that refer to its tensors (RM-4).

import { type Entry, plainOf } from '../documents/entries.js';
import { count, DTYPES, type Dtype } from '../dtypes.js';
import { digestOf } from '../platform.js';
import { headerOf, inOrder, type Piece, type StoredTensor } from './safetensors.js';

/** The tensors of a part, or null where the header that they make is not the one of the manifest. */
export async function canonicalHeader(
  entries: Iterable<readonly [unknown, string, Entry]>,
  part: string,
  header: { readonly size: number; readonly digest: string },
  partSize: number,
): Promise<ReadonlyMap<string, StoredTensor> | null> {
  const pieces: Piece[] = [];
  for (const [, name, entry] of entries) {
    for (const [, plain] of plainOf(name, entry)) {
      const { safetensors, bits } = DTYPES.get(plain.dtype) as Dtype;
      for (const chunk of plain.chunks) {
        if (chunk.part !== part || safetensors === null) continue;
        const size = (count(chunk.shape) * bits) / 8;
        pieces.push({ name: chunk.tensor, dtype: safetensors, shape: chunk.shape, size });
      }
    }
  }
  const ordered = inOrder(pieces);
  const bytes = headerOf(ordered);
  if (bytes.length !== header.size || (await digestOf(bytes)) !== header.digest) return null;
  const tensors = new Map<string, StoredTensor>();
  let place = bytes.length;
  for (const { name, dtype, shape, size } of ordered) {
    tensors.set(name, { dtype, shape, offset: place, size });
    place += size;
  }
  return place === partSize ? tensors : null;
}
