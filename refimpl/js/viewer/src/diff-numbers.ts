/** How the numbers of two tensors differ: the same figures that `etui view` puts into its pages (`view.schema.json`). */

import { decodeValues, type Tensor } from '../../src/index.js';
import type { NumericDifference } from './payload.js';
import type { Elements } from './statistics.js';

export type Numeric =
  | { readonly state: 'pending' }
  | { readonly state: 'failed'; readonly error: unknown }
  | { readonly state: 'same' }
  | ({ readonly state: 'known' } & NumericDifference);

const SLICE = 1 << 18;

/** Reads both tensors, which have one shape, and compares them. */
export async function numericOf(before: Tensor, after: Tensor): Promise<Numeric> {
  try {
    const [a, b] = [await before.read(), await after.read()];
    if (!a.data || !b.data) return ofTexts(countTexts(a.strings ?? [], b.strings ?? []));
    const complex = after.dtype.startsWith('complex');
    const same = before.dtype === after.dtype ? sameBits(a.data, b.data, after.length) : null;
    const values = [decodeValues(before.dtype, a.data), decodeValues(after.dtype, b.data)] as [Elements, Elements];
    return await compareNumbers(...values, complex, same);
  } catch (error) {
    return { state: 'failed', error };
  }
}

function ofTexts(changed: number): Numeric {
  if (changed === 0) return { state: 'same' };
  return { state: 'known', changed, max_abs: null, mean_abs: null, rel: null, cosine: null };
}

/** Tells whether an element has the same bits in both: NaN has many, and zero two signs. */
function sameBits(a: Uint8Array, b: Uint8Array, elements: number): (element: number) => boolean {
  const width = a.length / Math.max(1, elements);
  return (element) => {
    for (let at = element * width; at < (element + 1) * width; at += 1) if (a[at] !== b[at]) return false;
    return true;
  };
}

function countTexts(a: readonly Uint8Array[], b: readonly Uint8Array[]): number {
  const equal = (x: Uint8Array, y: Uint8Array | undefined) =>
    x.length === y?.length && x.every((byte, index) => byte === y[index]);
  return a.filter((text, index) => !equal(text, b[index])).length;
}

/**
 * The figures of two lists of numbers of one length; of complex ones, whose two parts lie side by side, each pair counts once.
 *
 * @param same tells whether an element is the same in both; without it, equal numbers are.
 */
export async function compareNumbers(
  a: Elements,
  b: Elements,
  complex = false,
  same: ((element: number) => boolean) | null = null,
): Promise<Numeric> {
  const step = complex ? 2 : 1;
  const elements = b.length / step;
  let [changed, most, total, apart2, first2, second2, dot] = [0, 0, 0, 0, 0, 0, 0];
  for (let element = 0; element < elements; element += 1) {
    if (element > 0 && element % SLICE === 0) await new Promise((resolve) => setTimeout(resolve));
    let [square, equal, nanA, nanB, gap] = [0, true, false, false, 0];
    for (let part = element * step; part < (element + 1) * step; part += 1) {
      const [x, y] = [Number(a[part]), Number(b[part])];
      if (x !== y) equal = false;
      nanA ||= Number.isNaN(x);
      nanB ||= Number.isNaN(y);
      gap = y - x;
      square += gap * gap;
      first2 += x * x;
      second2 += y * y;
      dot += x * y;
    }
    // Two equal infinities are no distance apart, and neither are two NaN.
    const alike = equal || (nanA && nanB);
    if (!(same ? same(element) : alike)) changed += 1;
    if (alike) continue;
    const apart = step === 1 ? Math.abs(gap) : Math.sqrt(square);
    most = Number.isNaN(apart) ? apart : Math.max(most, apart);
    total += apart;
    apart2 += apart * apart;
  }
  if (changed === 0) return { state: 'same' };
  const known = (value: number) => (Number.isFinite(value) ? value : null);
  const cosine = known(dot / (Math.sqrt(first2) * Math.sqrt(second2)));
  return {
    state: 'known',
    changed,
    max_abs: known(most),
    mean_abs: known(total / elements),
    rel: known(Math.sqrt(apart2) / Math.sqrt(first2)),
    cosine: cosine === null ? null : Math.max(-1, Math.min(1, cosine)),
  };
}
