// Boxes of tensors: their elements in row-major order, and what two boxes have in common.

/** [start, stop] for each dimension. */
export type Ranges = readonly (readonly [number, number])[];

/** A box of elements with its bytes. */
export interface Block {
  readonly offset: readonly number[];
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Every index of a box, in row-major order; one array, which changes. */
export function* placesOf(box: Ranges): Generator<readonly number[]> {
  const place = box.map(([from]) => from);
  if (box.some(([from, to]) => from >= to)) return;
  for (;;) {
    yield place;
    let d = box.length - 1;
    while (d >= 0 && (place[d] as number) + 1 === (box[d] as readonly number[])[1]) {
      place[d] = (box[d] as readonly [number, number])[0];
      d -= 1;
    }
    if (d < 0) return;
    place[d] = (place[d] as number) + 1;
  }
}

/** The row-major number of a place. */
export function linear(place: readonly number[], shape: readonly number[]): number {
  let sum = 0;
  for (let d = 0; d < shape.length; d += 1) sum = sum * (shape[d] as number) + (place[d] as number);
  return sum;
}

/** The row-major numbers of a box's elements lie in [from, to). */
export function spanOf(shape: readonly number[], box: Ranges): { from: number; to: number } {
  if (box.some(([from, to]) => from >= to)) return { from: 0, to: 0 };
  const first = linear(
    box.map(([from]) => from),
    shape,
  );
  const last = linear(
    box.map(([, to]) => to - 1),
    shape,
  );
  return { from: first, to: last + 1 };
}

/** Copies the elements that two boxes have in common. */
export function copyBox(source: Block, target: Block, common: Ranges, width: number): void {
  // Dimensions at the end that all three boxes have whole are one run of bytes.
  let inner = common.length;
  let run = width;
  let whole = true;
  while (inner > 0 && whole) {
    inner -= 1;
    const [from, to] = common[inner] as readonly [number, number];
    run *= to - from;
    whole = to - from === source.shape[inner] && to - from === target.shape[inner];
  }
  const rest = common.slice(inner).map(([from]) => from);
  for (const place of placesOf(common.slice(0, inner))) {
    const start = [...place, ...rest];
    const at = ({ offset, shape }: Block): number =>
      linear(
        start.map((p, d) => p - (offset[d] as number)),
        shape,
      ) * width;
    const from = at(source);
    target.data.set(source.data.subarray(from, from + run), at(target));
  }
}
