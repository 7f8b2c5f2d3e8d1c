/** A level cut into stretches at the boxes that every way through the graph passes. */

import type { Edge, Level } from './levels.js';

/** Some boxes and the edges among them; the first box is the last of the stretch above. */
export interface Stretch {
  readonly ids: string[];
  readonly edges: Edge[];
  /** Whether each box leads to the next one, and nothing else does. */
  readonly chain: boolean;
  /** Pairs that no edge joins, of which the first stays above the second: all boxes lie between the first and the last one. */
  readonly bounds: (readonly [string, string])[];
}

/** The boxes that a stretch may have before it is cut at the next place that allows it. */
const ENOUGH = 48;
/** The rows that the edges of a stretch may pass in all. */
const PASSED = 2000;
/** A chain of so many edges needs no layout. */
const LONG = 10;
/** The boxes that are laid out at once in a second or so; a longer stretch is cut anywhere. */
const MOST = 800;

/** The stretches of a level whose nodes are in an order in which edges go forward.
 *
 * @returns them, and the edges that no stretch has: from one to a later one, or past very many boxes.
 */
export function stretchesOf(level: Level): { stretches: Stretch[]; across: Edge[] } {
  const order = closeOrder(level);
  const position = new Map(order.map((id, index) => [id, index]));
  const edges = level.edges.filter((edge) => position.has(edge.from) && position.has(edge.to));
  const reach = new Array<number>(order.length).fill(-1);
  for (const edge of edges) {
    const from = position.get(edge.from)!;
    reach[from] = Math.max(reach[from]!, position.get(edge.to)!);
  }
  const joins = new Set(edges.map((edge) => `${edge.from} ${edge.to}`));
  const pieces = piecesOf(order, reach, (index) => joins.has(`${order[index]} ${order[index + 1]}`));
  const stretches = pieces.map(({ ids, chain }): Stretch => ({ ids, edges: [], chain, bounds: [] }));
  const owners = new Map<string, number>();
  stretches.forEach((stretch, index) => {
    for (const id of index ? stretch.ids.slice(1) : stretch.ids) owners.set(id, index);
  });
  const across: Edge[] = [];
  for (const edge of edges) {
    const to = owners.get(edge.to)!;
    const inside = owners.get(edge.from) === to || stretches[to]!.ids[0] === edge.from;
    if (inside) stretches[to]!.edges.push(edge);
    else across.push(edge);
  }
  stretches.forEach((stretch, index) => {
    if (stretch.chain) return;
    across.push(...relieve(stretch));
    stretch.bounds.push(...boundsOf(stretch, index > 0, index < stretches.length - 1));
  });
  return { stretches, across };
}

/** The row of each box, if it stands as high as its edges allow. */
export function rowsOf({ ids, edges }: Pick<Stretch, 'ids' | 'edges'>): Map<string, number> {
  const before = new Map<string, string[]>();
  for (const { from, to } of edges) {
    const list = before.get(to);
    if (list) list.push(from);
    else before.set(to, [from]);
  }
  const rows = new Map<string, number>();
  for (const id of ids) rows.set(id, Math.max(0, ...(before.get(id) ?? []).map((from) => (rows.get(from) ?? 0) + 1)));
  return rows;
}

/** Takes the longest edges out of a stretch in which edges pass more rows than can be laid out in a second or so. */
function relieve(stretch: Stretch): Edge[] {
  const rows = rowsOf(stretch);
  const spans = stretch.edges.map((edge) => ({ edge, span: rows.get(edge.to)! - rows.get(edge.from)! }));
  let total = spans.reduce((sum, { span }) => sum + span, 0);
  const taken = new Set<Edge>();
  for (const { edge, span } of spans.sort((a, b) => b.span - a.span)) {
    if (total <= PASSED || span <= 1) break;
    taken.add(edge);
    total -= span;
  }
  if (taken.size > 0)
    stretch.edges.splice(0, stretch.edges.length, ...stretch.edges.filter((edge) => !taken.has(edge)));
  return [...taken];
}

/** What keeps boxes that nothing enters below the first box, and boxes that nothing leaves above the last one. */
function boundsOf({ ids, edges }: Stretch, hasHead: boolean, hasTail: boolean): (readonly [string, string])[] {
  const [head, tail] = [ids[0]!, ids.at(-1)!];
  const entered = new Set(edges.map((edge) => edge.to));
  const left = new Set(edges.map((edge) => edge.from));
  const inner = ids.slice(1, -1);
  const below = hasHead ? [...inner, tail].filter((id) => !entered.has(id)) : [];
  const above = hasTail ? [head, ...inner].filter((id) => !left.has(id)) : [];
  return [...below.map((id) => [head, id] as const), ...above.map((id) => [id, tail] as const)];
}

interface Piece {
  readonly ids: string[];
  readonly chain: boolean;
}

/** The boxes cut at gates: long chains apart, and the rest in pieces of some size.
 *
 * @param linked whether an edge leads from a position to the next one.
 */
function piecesOf(order: readonly string[], reach: readonly number[], linked: (index: number) => boolean): Piece[] {
  // A box is a gate if no edge goes past it.
  const gates: boolean[] = [];
  let farthest = -1;
  order.forEach((_, index) => {
    gates.push(farthest <= index);
    farthest = Math.max(farthest, reach[index]!);
  });
  const chained = (index: number) => gates[index]! && gates[index + 1] === true && linked(index);
  const pieces: Piece[] = [];
  let ids: string[] = [];
  const close = (next: string) => {
    if (ids.length > 1) pieces.push({ ids, chain: false });
    ids = [next];
  };
  for (let index = 0; index < order.length; index += 1) {
    ids.push(order[index]!);
    let end = index;
    while (chained(end)) end += 1;
    if (end - index >= LONG) {
      close(order[end]!);
      pieces.push({ ids: order.slice(index, end + 1), chain: true });
      index = end;
    } else if (index < order.length - 1 && ((gates[index] && ids.length >= ENOUGH) || ids.length >= MOST))
      close(order[index]!);
  }
  if (ids.length > 1 || pieces.length === 0) pieces.push({ ids, chain: false });
  return pieces;
}

/** The order of the nodes with what nothing enters before its first reader, and what nothing reads behind its last source. */
function closeOrder(level: Level): string[] {
  const ids = level.nodes.map((node) => node.id);
  const position = new Map(ids.map((id, index) => [id, index]));
  const first = new Map<string, number>();
  const latest = new Map<string, number>();
  for (const { from, to } of level.edges) {
    if (!position.has(from) || !position.has(to)) continue;
    first.set(from, Math.min(first.get(from) ?? Number.POSITIVE_INFINITY, position.get(to)!));
    latest.set(to, Math.max(latest.get(to) ?? -1, position.get(from)!));
  }
  const rank = (id: string, index: number): number => {
    if (!latest.has(id)) return (first.get(id) ?? index) - 0.5;
    return first.has(id) ? index : latest.get(id)! + 0.25;
  };
  return ids
    .map((id, index) => ({ id, index, rank: rank(id, index) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .map(({ id }) => id);
}
