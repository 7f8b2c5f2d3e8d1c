// Whether boxes cover a tensor exactly once (SPEC.md W-7).

/** A box of a tensor. */
export interface Box {
  readonly offset: readonly number[];
  readonly shape: readonly number[];
}

/** In which dimensions some box is not the whole. */
export function cutDimensions(shape: readonly number[], boxes: readonly Box[]): number[] {
  return [...shape.keys()].filter((i) => boxes.some((box) => box.shape[i] !== shape[i]));
}

/**
 * Whether boxes inside of a tensor cover each of its elements exactly once.
 *
 * Each box has 2^k corners in the k dimensions that are cut, with alternating signs. Two sets of boxes cover the same
 * elements equally often exactly if their signed corners are the same: taking differences along each dimension loses
 * nothing. So the corners of all boxes must cancel but for those of the whole. The work is the product that chapter 19
 * limits.
 */
export function coversOnce(shape: readonly number[], boxes: readonly Box[], dimensions: readonly number[]): boolean {
  const corners = new Map<string, number>();
  const add = (offset: readonly number[], size: readonly number[], sign: number): void => {
    let keys: [string, number][] = [['', sign]];
    for (const i of dimensions) {
      const start = offset[i] as number;
      const stop = start + (size[i] as number);
      keys = keys.flatMap(([key, value]): [string, number][] => [
        [`${key},${start}`, value],
        [`${key},${stop}`, -value],
      ]);
    }
    for (const [key, value] of keys) {
      const sum = (corners.get(key) ?? 0) + value;
      if (sum === 0) corners.delete(key);
      else corners.set(key, sum);
    }
  };
  for (const box of boxes) add(box.offset, box.shape, 1);
  const origin = shape.map(() => 0);
  add(origin, shape, -1);
  return corners.size === 0;
}
