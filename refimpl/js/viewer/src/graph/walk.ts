/** Where the arrow keys lead from a box: along the edges, and sideways among boxes beside each other. */

import type { Box, Scene } from './layout.js';

export type Direction = 'up' | 'down' | 'left' | 'right' | 'first' | 'last';

export class Walk {
  readonly #boxes: ReadonlyMap<string, Box>;
  readonly #after = new Map<string, string[]>();
  readonly #before = new Map<string, string[]>();
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#boxes = new Map(scene.boxes.map((box) => [box.node.id, box]));
    for (const { edge } of scene.lines) {
      append(this.#after, edge.from, edge.to);
      append(this.#before, edge.to, edge.from);
    }
  }

  box(id: string): Box | undefined {
    return this.#boxes.get(id);
  }

  /** The boxes that an edge joins with a box. */
  neighbours(id: string): ReadonlySet<string> {
    return new Set([...(this.#after.get(id) ?? []), ...(this.#before.get(id) ?? [])]);
  }

  /** The box that a key leads to; null if there is none. */
  step(from: string, direction: Direction): string | null {
    const box = this.#boxes.get(from);
    if (!box) return this.#scene.boxes[0]?.node.id ?? null;
    if (direction === 'first') return this.#scene.boxes[0]?.node.id ?? null;
    if (direction === 'last') return this.#scene.boxes.at(-1)?.node.id ?? null;
    if (direction === 'left' || direction === 'right') return this.#beside(box, direction);
    if (direction === 'down') return this.#down(box);
    return this.#nearest(this.#before.get(from), box) ?? this.#around(box)?.node.id ?? this.#stacked(box, -1);
  }

  #down(box: Box): string | null {
    const inner = box.node.inside?.nodes[0];
    if (inner) return inner.id;
    for (let at: Box | undefined = box; at; at = this.#around(at)) {
      const next = this.#nearest(this.#after.get(at.node.id), box) ?? this.#stacked(at, 1);
      if (next) return next;
    }
    return null;
  }

  /** The unfolded box around a box. */
  #around(box: Box): Box | undefined {
    const { id } = box.node;
    for (let end = id.lastIndexOf('/'); end > 0; end = id.lastIndexOf('/', end - 1)) {
      const outer = this.#boxes.get(id.slice(0, end));
      if (outer?.node.inside) return outer;
    }
    return undefined;
  }

  #nearest(ids: readonly string[] | undefined, to: Box): string | null {
    const middle = (box: Box) => box.x + box.width / 2;
    const found = (ids ?? []).map((id) => this.#boxes.get(id)).filter((box) => box !== undefined);
    found.sort((a, b) => Math.abs(middle(a) - middle(to)) - Math.abs(middle(b) - middle(to)));
    return found[0]?.node.id ?? null;
  }

  #level(box: Box): Box[] {
    const around = this.#around(box);
    return this.#scene.boxes.filter(
      (other) => other !== box && other.depth === box.depth && this.#around(other) === around,
    );
  }

  #beside(box: Box, direction: 'left' | 'right'): string | null {
    const sign = direction === 'right' ? 1 : -1;
    const candidates = this.#level(box).filter((other) => {
      const level = other.y < box.y + box.height && other.y + other.height > box.y;
      return level && sign * (other.x - box.x) > 0;
    });
    candidates.sort((a, b) => sign * (a.x - b.x));
    return candidates[0]?.node.id ?? null;
  }

  /** The box above or below where no edge leads. */
  #stacked(box: Box, sign: 1 | -1): string | null {
    const joined = this.#after.has(box.node.id) || this.#before.has(box.node.id);
    if (joined) return null;
    const candidates = this.#level(box).filter((other) => {
      const column = other.x < box.x + box.width && other.x + other.width > box.x;
      return column && sign * (other.y - box.y) > 0;
    });
    candidates.sort((a, b) => sign * (a.y - b.y));
    return candidates[0]?.node.id ?? null;
  }
}

function append(lists: Map<string, string[]>, key: string, item: string): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}
