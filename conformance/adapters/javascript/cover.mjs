// Whether boxes cover a tensor exactly once (SPEC.md W-7).

/** In which dimensions some box is not the whole. */
export function cutDimensions(shape, chunks) {
  return shape.map((size, i) => (chunks.some((chunk) => chunk.shape[i] !== size) ? i : -1)).filter((i) => i >= 0);
}

/**
 * Whether boxes inside of a tensor cover each of its elements exactly once.
 *
 * Each box has 2^k corners in the k dimensions that are cut, with alternating signs. Two sets of boxes cover the same
 * elements equally often exactly if their signed corners are the same: taking differences along each dimension loses
 * nothing. So the corners of all boxes must cancel but for those of the whole. The work is the product that chapter 19
 * limits.
 */
export function coversOnce(shape, chunks, dimensions) {
  const corners = new Map();
  const add = (offset, size, sign) => {
    let keys = [['', sign]];
    for (const i of dimensions) {
      keys = keys.flatMap(([key, value]) => [[`${key},${offset[i]}`, value], [`${key},${offset[i] + size[i]}`, -value]]);
    }
    for (const [key, value] of keys) {
      const sum = (corners.get(key) ?? 0) + value;
      if (sum === 0) corners.delete(key);
      else corners.set(key, sum);
    }
  };
  for (const chunk of chunks) add(chunk.offset, chunk.shape, 1);
  add(shape.map(() => 0), shape, -1);
  return corners.size === 0;
}
