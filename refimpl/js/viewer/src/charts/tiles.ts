/** How a tensor becomes pictures: which of its axes are height and width, and how many pictures there are. */

/** Small pictures of one size, side by side. */
export interface Tiles {
  readonly height: number;
  readonly width: number;
  readonly count: number;
  /** How many of them are shown. */
  readonly shown: number;
  /** Index of the element of a picture; with colours, `channel` tells them apart. */
  readonly at: (tile: number, row: number, column: number, channel: number) => number;
  /** Whether three input channels are shown as red, green and blue. */
  readonly coloured: boolean;
  readonly caption: string;
}

const MOST_TILES = 96;
const LARGEST_WINDOW = 16;
const WIDEST = 512;

/** The pictures of a tensor in row-major order; null where it has none that says something.
 *
 * @param colours show three input channels as one picture in colour.
 */
export function tilesOf(role: string, shape: readonly number[], colours: boolean): Tiles | null {
  if (shape.some((size) => size === 0)) return null;
  if (shape.length === 4 && shape[0]! <= LARGEST_WINDOW && shape[1]! <= LARGEST_WINDOW)
    return windows(role, shape, colours);
  if (shape.length === 3 && shape[0]! <= LARGEST_WINDOW) return sequences(shape);
  if (shape.length === 2) return matrix(shape[0]!, shape[1]!);
  if (shape.length === 1 && shape[0]! > 1) return matrix(1, shape[0]!);
  return null;
}

/** Kernels of two spatial axes: [height, width, inputs, filters]. */
function windows(role: string, [height, width, inputs, filters]: readonly number[], colours: boolean): Tiles {
  const [h, w, i, o] = [height!, width!, inputs!, filters!];
  const depthwise = role.includes('depthwise');
  const coloured = colours && canColour([h, w, i, o]) && !depthwise;
  const count = coloured ? o : i * o;
  const shown = Math.min(MOST_TILES, count);
  const element = (row: number, column: number, input: number, filter: number) =>
    ((row * w + column) * i + input) * o + filter;
  return {
    height: h,
    width: w,
    count,
    shown,
    coloured,
    at: coloured
      ? (tile, row, column, channel) => element(row, column, channel, tile)
      : (tile, row, column) => element(row, column, tile % i, Math.floor(tile / i)),
    caption: coloured
      ? `${o} filters of ${h} × ${w}; colours are the three input channels`
      : `${count} windows of ${h} × ${w}: ${o} ${depthwise ? 'for each channel' : 'filters'} × ${i} channels`,
  };
}

/** Whether a kernel's inputs can be taken as red, green and blue. */
export function canColour(shape: readonly number[]): boolean {
  return shape.length === 4 && shape[2] === 3;
}

/** Kernels of one spatial axis: [length, inputs, filters]. */
function sequences([length, inputs, filters]: readonly number[]): Tiles {
  const [l, i, o] = [length!, inputs!, filters!];
  const height = Math.min(i, 48);
  return {
    height,
    width: l,
    count: o,
    shown: Math.min(MOST_TILES, o),
    coloured: false,
    at: (tile, row, column) => (column * i + row) * o + tile,
    caption: `${o} filters of length ${l} over ${i} channels${height < i ? `, of which the first ${height} are shown` : ''}`,
  };
}

function matrix(rows: number, columns: number): Tiles {
  const height = Math.min(rows, WIDEST);
  const width = Math.min(columns, WIDEST);
  const cut = height < rows || width < columns;
  return {
    height,
    width,
    count: 1,
    shown: 1,
    coloured: false,
    at: (_, row, column) => row * columns + column,
    caption: `${rows === 1 ? `${columns} elements` : `${rows} rows × ${columns} columns`}${cut ? `; the first ${height} × ${width} are shown` : ''}`,
  };
}
