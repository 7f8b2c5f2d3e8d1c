/**
 * Where each box and each edge is drawn.
 *
 * dagre lays out one stretch of a level at a time: a stretch ends at a box that every way through the graph passes, so that a
 * chain of thousands of layers takes time in proportion to its length. What is inside an unfolded box is laid out first, and
 * gives the box its size.
 */

import { layout as dagre, Graph } from '@dagrejs/dagre';
import { type Point, ported } from './curves.js';
import type { Edge, Level, Node } from './levels.js';
import { rowsOf, type Stretch, stretchesOf } from './stretches.js';

export interface Box {
  readonly node: Node;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly depth: number;
}

export interface Line {
  readonly edge: Edge;
  readonly points: readonly Point[];
}

/** A drawing: boxes come before those inside of them. */
export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly lines: readonly Line[];
}

export const WIDTH = 226;
export const HEIGHT = 46;
/** The least width of an unfolded box: its bar has the op and the name beside each other. */
const ROOMY = 300;
const PILL = { width: 150, height: 32 };
const BAR = 36;
const PADDING = 18;
const GAP = { across: 26, down: 40 };

/** The drawing of a level and of all that is unfolded in it. */
export function layoutOf(level: Level): Scene {
  const inner = new Map<string, Scene>();
  const sizes = new Map<string, { width: number; height: number }>();
  for (const node of level.nodes) {
    if (node.inside) {
      const scene = layoutOf(node.inside);
      inner.set(node.id, scene);
      sizes.set(node.id, {
        width: Math.max(ROOMY, scene.width + 2 * PADDING),
        height: scene.height + BAR + PADDING,
      });
    } else sizes.set(node.id, node.pill ? PILL : { width: WIDTH, height: HEIGHT });
  }
  const placed = level.edges.length > 0 ? flow(level, sizes) : columns(level, sizes);
  const boxes: Box[] = [];
  const lines: Line[] = [...placed.lines];
  for (const box of placed.boxes) {
    boxes.push(box);
    const scene = inner.get(box.node.id);
    if (!scene) continue;
    const left = box.x + (box.width - scene.width) / 2;
    const top = box.y + BAR;
    for (const child of scene.boxes) {
      boxes.push({ ...child, x: child.x + left, y: child.y + top, depth: child.depth + 1 });
    }
    for (const line of scene.lines) {
      lines.push({ edge: line.edge, points: line.points.map(({ x, y }) => ({ x: x + left, y: y + top })) });
    }
  }
  return { ...placed, boxes, lines };
}

type Sizes = ReadonlyMap<string, { width: number; height: number }>;

/** Boxes that no edge joins: in columns, so that many of them stay near each other. */
function columns(level: Level, sizes: Sizes): Scene {
  const across = Math.min(6, Math.max(1, Math.round(Math.sqrt(level.nodes.length / 3))));
  const heights = new Array<number>(across).fill(0);
  const widths = new Array<number>(across).fill(0);
  const columnOf = level.nodes.map((node) => {
    const column = heights.indexOf(Math.min(...heights));
    const size = sizes.get(node.id)!;
    const y = heights[column]!;
    heights[column] = y + size.height + 14;
    widths[column] = Math.max(widths[column]!, size.width);
    return { node, column, y, size };
  });
  const lefts = widths.map((_, column) => widths.slice(0, column).reduce((sum, width) => sum + width + GAP.across, 0));
  const boxes = columnOf.map(({ node, column, y, size }) => ({ node, x: lefts[column]!, y, ...size, depth: 0 }));
  return {
    width: Math.max(0, ...boxes.map((box) => box.x + box.width)),
    height: Math.max(0, ...heights.map((height) => height - 14)),
    boxes,
    lines: [],
  };
}

/** Boxes that edges join: the stretches, one below the other, each hung on the box that it shares with the one above. */
function flow(level: Level, sizes: Sizes): Scene {
  const nodes = new Map(level.nodes.map((node) => [node.id, node]));
  const placed = new Map<string, Box>();
  const lines: Line[] = [];
  const { stretches, across } = stretchesOf(level);
  for (const stretch of stretches) {
    const spots = stretch.chain ? stacked(stretch, sizes) : (arranged(stretch, sizes) ?? rowed(stretch, sizes));
    const head = stretch.ids[0]!;
    const above = placed.get(head);
    const at = spots.boxes.get(head)!;
    const dx = above ? above.x + above.width / 2 - at.x : 0;
    const dy = above ? above.y + above.height / 2 - at.y : 0;
    for (const [id, spot] of spots.boxes) {
      const size = sizes.get(id)!;
      if (placed.has(id)) continue;
      const corner = { x: spot.x + dx - size.width / 2, y: spot.y + dy - size.height / 2 };
      placed.set(id, { node: nodes.get(id)!, ...corner, ...size, depth: 0 });
    }
    stretch.edges.forEach((edge, index) => {
      const moved = spots.edges[index]!.map(({ x, y }) => ({ x: x + dx, y: y + dy }));
      lines.push({ edge, points: ported(moved, placed.get(edge.from)!, placed.get(edge.to)!, GAP.down) });
    });
  }
  for (const edge of across) lines.push({ edge, points: straight(placed.get(edge.from)!, placed.get(edge.to)!) });
  return atOrigin(
    level.nodes.map(({ id }) => placed.get(id)!),
    lines,
  );
}

/** The middles of the boxes of a stretch, and the points of its edges. */
interface Spots {
  readonly boxes: ReadonlyMap<string, Point>;
  readonly edges: readonly (readonly Point[])[];
}

/** A chain, which needs no layout: one box below the other. */
function stacked(stretch: Stretch, sizes: Sizes): Spots {
  const boxes = new Map<string, Point>();
  let top = 0;
  for (const id of stretch.ids) {
    const { height } = sizes.get(id)!;
    boxes.set(id, { x: 0, y: top + height / 2 });
    top += height + GAP.down;
  }
  return { boxes, edges: stretch.edges.map((edge) => [boxes.get(edge.from)!, boxes.get(edge.to)!]) };
}

/** Rows of boxes one below the other, for what dagre cannot do: it calls itself for each box of a way, and stacks end. */
function rowed(stretch: Stretch, sizes: Sizes): Spots {
  const rows: string[][] = [];
  for (const [id, row] of rowsOf(stretch)) {
    rows[row] ??= [];
    rows[row].push(id);
  }
  const boxes = new Map<string, Point>();
  let top = 0;
  for (const row of rows) {
    const height = Math.max(...row.map((id) => sizes.get(id)!.height));
    let left = -row.reduce((sum, id) => sum + sizes.get(id)!.width + GAP.across, -GAP.across) / 2;
    for (const id of row) {
      const { width } = sizes.get(id)!;
      boxes.set(id, { x: left + width / 2, y: top + height / 2 });
      left += width + GAP.across;
    }
    top += height + GAP.down;
  }
  return { boxes, edges: stretch.edges.map((edge) => [boxes.get(edge.from)!, boxes.get(edge.to)!]) };
}

/**
 * What dagre makes of a stretch; boxes of one row are in the order of the calls, if that is one way round.
 *
 * @returns null where the browser's stack ends.
 */
function arranged(stretch: Stretch, sizes: Sizes): Spots | null {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'TB', nodesep: GAP.across, ranksep: GAP.down, edgesep: 18 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of stretch.ids) graph.setNode(id, { ...sizes.get(id)! });
  stretch.edges.forEach((edge, index) => {
    graph.setEdge(edge.from, edge.to, { weight: 1 }, String(index));
  });
  for (const [above, below] of stretch.bounds) graph.setEdge(above, below, { weight: 0 }, 'bound');
  try {
    dagre(graph);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  const spots = stretch.ids.map((id) => graph.node(id) as Point);
  const side = isMirrored(spots) ? -1 : 1;
  const turned = ({ x, y }: Point): Point => ({ x: side * x, y });
  return {
    boxes: new Map(stretch.ids.map((id, index) => [id, turned(spots[index]!)])),
    edges: stretch.edges.map((edge, index) => {
      const { points } = graph.edge(edge.from, edge.to, String(index)) as { points: Point[] };
      return points.map(turned);
    }),
  };
}

/** Whether boxes of one row are more often from right to left than from left to right in their order. */
function isMirrored(spots: readonly Point[]): boolean {
  const rows = new Map<number, number[]>();
  for (const { x, y } of spots) {
    const row = Math.round(y);
    const xs = rows.get(row);
    if (xs) xs.push(x);
    else rows.set(row, [x]);
  }
  let balance = 0;
  for (const xs of rows.values())
    for (let index = 1; index < xs.length; index += 1) balance += Math.sign(xs[index]! - xs[index - 1]!);
  return balance < 0;
}

function straight(from: Box, to: Box): Point[] {
  return [
    { x: from.x + from.width / 2, y: from.y + from.height },
    { x: to.x + to.width / 2, y: to.y },
  ];
}

/** The drawing with its left and top at zero, whatever way its stretches hang out. */
function atOrigin(boxes: Box[], lines: Line[]): Scene {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  const include = (x: number, y: number) => {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  };
  for (const { x, y, width, height } of boxes) {
    include(x, y);
    include(x + width, y + height);
  }
  for (const { points } of lines) for (const { x, y } of points) include(x, y);
  return {
    width: right - left,
    height: bottom - top,
    boxes: boxes.map((box) => ({ ...box, x: box.x - left, y: box.y - top })),
    lines: lines.map((line) => ({
      edge: line.edge,
      points: line.points.map(({ x, y }) => ({ x: x - left, y: y - top })),
    })),
  };
}
