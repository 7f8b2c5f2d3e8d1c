/** Edges as paths: they leave a box below, bend smoothly from layer to layer, and reach the next box from above. */

import type { Box } from './layout.js';

export interface Point {
  readonly x: number;
  readonly y: number;
}

const HEAD = 6.5;

/** How far from the boxes of a row an edge that passes between them begins to bend. */
const CLEAR = 2;

/**
 * The points of an edge with its ends on the lower and the upper side of its boxes. dagre puts a point in the middle of each
 * gap between rows, and one in each row that is passed; an edge goes straight through a row and bends in the gaps.
 */
export function ported(points: readonly Point[], from: Box, to: Box, gap: number): Point[] {
  const inner = points.slice(1, -1);
  const through = inner.flatMap((point, index) => {
    const [above, below] = [inner[index - 1], inner[index + 1]];
    if (index % 2 === 0 || !above || !below) return [];
    return [
      { x: point.x, y: above.y + gap / 2 - CLEAR },
      { x: point.x, y: below.y - gap / 2 + CLEAR },
    ];
  });
  const within = (box: Box, x: number) => {
    const room = Math.min(28, box.width / 4);
    return Math.min(box.x + box.width - room, Math.max(box.x + room, x));
  };
  const start = { x: within(from, points[0]!.x), y: from.y + from.height };
  const end = { x: within(to, points.at(-1)!.x), y: to.y };
  return [start, ...through.filter(({ y }) => y > start.y && y < end.y), end];
}

const round = (value: number) => Math.round(value * 10) / 10;
const at = (x: number, y: number) => `${round(x)} ${round(y)}`;

/** A path that is vertical at each of its points; it ends where the head begins. */
export function curve(points: readonly Point[]): string {
  const path = [`M${at(points[0]!.x, points[0]!.y)}`];
  points.slice(1).forEach((point, index) => {
    const before = points[index]!;
    const y = index === points.length - 2 ? point.y - HEAD + 1 : point.y;
    const middle = (before.y + y) / 2;
    if (before.x === point.x) path.push(`V${round(y)}`);
    else path.push(`C${at(before.x, middle)} ${at(point.x, middle)} ${at(point.x, y)}`);
  });
  return path.join('');
}

/** The head of an edge: a small triangle that stands on the box below. */
export function head(points: readonly Point[]): string {
  const { x, y } = points.at(-1)!;
  return `M${at(x, y)}l-3.6 ${-HEAD}h7.2Z`;
}
