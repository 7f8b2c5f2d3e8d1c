/** A tensor as pictures: zero is neutral, and the two signs have a colour each. */

import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Item } from '../data/opened.js';
import { integer, real } from '../format.js';
import { type Theme, theme } from '../state.js';
import type { Elements, Statistics } from '../statistics.js';
import { canColour, type Tiles, tilesOf } from './tiles.js';

type Colour = readonly [number, number, number];

const SCALES: Readonly<Record<Theme, { negative: Colour; zero: Colour; positive: Colour; none: Colour }>> = {
  light: { negative: [33, 86, 190], zero: [244, 244, 246], positive: [196, 62, 28], none: [235, 0, 215] },
  dark: { negative: [112, 168, 255], zero: [34, 36, 44], positive: [255, 146, 96], none: [255, 90, 240] },
};
const ROOM = 328;

/** The most that a picture is enlarged. */
const LARGEST = 22;

export function Kernel({ item, values, statistics }: { item: Item; values: Elements; statistics: Statistics }) {
  const [colours, setColours] = useState(true);
  const canvas = useRef<HTMLCanvasElement>(null);
  const scale = useRef<HTMLCanvasElement>(null);
  const tiles = useMemo(() => tilesOf(item.role, item.shape, colours), [item, colours]);
  const most = Math.max(Math.abs(statistics.min ?? 0), Math.abs(statistics.max ?? 0));
  const shade = theme.value;
  useLayoutEffect(() => {
    if (canvas.current && tiles) draw(canvas.current, tiles, values, most, shade);
    if (scale.current) drawScale(scale.current, shade);
  }, [tiles, values, most, shade]);
  if (!tiles) return null;
  const rest = tiles.count - tiles.shown;
  return (
    <section class="kernel">
      <h3>
        Picture
        {canColour(item.shape) && (
          <button type="button" class="link" onClick={() => setColours(!colours)}>
            {colours ? 'Show channels apart' : 'Show as colours'}
          </button>
        )}
      </h3>
      <canvas ref={canvas} role="img" aria-label={`Picture of the values: ${tiles.caption}`} />
      <p class="scale">
        {!tiles.coloured && (
          <>
            <span>{real(-most)}</span>
            <canvas ref={scale} aria-hidden="true" width="64" height="1" />
            <span>{real(most)}</span>
          </>
        )}
        <span class="faint">
          {tiles.caption}
          {rest > 0 ? `; ${integer(rest)} more are not shown` : ''}
        </span>
      </p>
    </section>
  );
}

function draw(canvas: HTMLCanvasElement, tiles: Tiles, values: Elements, most: number, shade: Theme): void {
  const gap = tiles.shown > 1 ? 1 : 0;
  const wanted = Math.max(1, Math.ceil(Math.sqrt((tiles.shown * (tiles.height + gap)) / (tiles.width + gap)) * 1.35));
  const columns = Math.min(tiles.shown, wanted);
  const rows = Math.ceil(tiles.shown / columns);
  const width = columns * (tiles.width + gap) - gap;
  const height = rows * (tiles.height + gap) - gap;
  canvas.width = width;
  canvas.height = height;
  const zoom = Math.max(0.5, Math.min(LARGEST, ROOM / width, 300 / height));
  canvas.style.width = `${width * (zoom > 1 ? Math.floor(zoom) || 1 : zoom)}px`;
  // A vector is a strip: as high as the eye needs.
  canvas.style.height = height === 1 ? '28px' : 'auto';
  if (height === 1) canvas.style.width = `${Math.min(ROOM, Math.max(width * 6, 120))}px`;
  const context = canvas.getContext('2d');
  if (!context) return;
  const image = context.createImageData(width, height);
  for (let tile = 0; tile < tiles.shown; tile += 1) {
    const left = (tile % columns) * (tiles.width + gap);
    const top = Math.floor(tile / columns) * (tiles.height + gap);
    for (let row = 0; row < tiles.height; row += 1) {
      for (let column = 0; column < tiles.width; column += 1) {
        const value = (channel: number) => Number(values[tiles.at(tile, row, column, channel)]);
        const colour = tiles.coloured
          ? ([0, 1, 2].map((channel) => 128 + (most ? (127 * value(channel)) / most : 0)) as unknown as Colour)
          : colourOf(value(0), most, shade);
        const start = 4 * ((top + row) * width + left + column);
        image.data.set([...colour, 255], start);
      }
    }
  }
  context.putImageData(image, 0, 0);
}

/** The colour of a value; what is no finite number has one of its own. */
function colourOf(value: number, most: number, shade: Theme): Colour {
  const { negative, zero, positive, none } = SCALES[shade];
  if (!Number.isFinite(value)) return none;
  const share = most === 0 ? 0 : Math.abs(value) / most;
  const end = value < 0 ? negative : positive;
  return zero.map((from, index) => from + (end[index]! - from) * share) as unknown as Colour;
}

function drawScale(canvas: HTMLCanvasElement, shade: Theme): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  for (let step = 0; step < canvas.width; step += 1) {
    context.fillStyle = `rgb(${colourOf((2 * step) / (canvas.width - 1) - 1, 1, shade)
      .map(Math.round)
      .join(' ')})`;
    context.fillRect(step, 0, 1, 1);
  }
}
