// The viewer's graph: boxes do not overlap, edges reach their boxes, and arrow keys lead along them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Box, layoutOf, type Scene } from '../viewer/src/graph/layout.js';
import type { Edge, Level, Node } from '../viewer/src/graph/levels.js';
import { stretchesOf } from '../viewer/src/graph/stretches.js';
import { beginning, held, revealed, whole, zoomed } from '../viewer/src/graph/viewport.js';
import { Walk } from '../viewer/src/graph/walk.js';

function node(id: string, inside: Level | null = null): Node {
  const plain = {
    path: id,
    name: id,
    op: 'keras:Dense',
    title: 'Dense',
    family: 'linear',
    summary: '',
    parameters: 0,
  } as const;
  return { ...plain, id, turn: [1, 1], pill: false, shared: false, foldable: inside !== null, inside, output: null };
}

function edge(from: string, to: string): Edge {
  return { from, to, shape: null, labelled: false };
}

function level(names: readonly string[], pairs: readonly (readonly [string, string])[]): Level {
  return { nodes: names.map((name) => node(name)), edges: pairs.map(([from, to]) => edge(from, to)) };
}

/** Numbers from 0 to below 1 that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** A graph whose edges go forward, in which most boxes read the one before them. */
function random(seed: number, size: number): Level {
  const next = numbers(seed);
  const names = Array.from({ length: size }, (_, index) => `n${index}`);
  const pairs: [string, string][] = [];
  for (let to = 1; to < size; to += 1) {
    if (next() < 0.92) pairs.push([`n${to - 1}`, `n${to}`]);
    while (next() < 0.3) pairs.push([`n${Math.floor(next() * to)}`, `n${to}`]);
  }
  return level(names, pairs);
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Checks what must hold of every drawing of a flat level. */
function check(of: Level, scene: Scene): void {
  assert.deepEqual(scene.boxes.map((box) => box.node.id).sort(), of.nodes.map(({ id }) => id).sort());
  assert.equal(scene.lines.length, of.edges.length);
  const boxes = new Map(scene.boxes.map((box) => [box.node.id, box]));
  const byTop = [...scene.boxes].sort((a, b) => a.y - b.y);
  byTop.forEach((box, index) => {
    for (const other of byTop.slice(index + 1)) {
      if (other.y >= box.y + box.height) break;
      assert.ok(!overlap(box, other), `${box.node.id} and ${other.node.id} overlap`);
    }
  });
  for (const { edge: drawn, points } of scene.lines) {
    const [from, to] = [boxes.get(drawn.from) as Box, boxes.get(drawn.to) as Box];
    const [first, last] = [points[0]!, points.at(-1)!];
    assert.ok(Math.abs(first.y - (from.y + from.height)) < 0.01 && first.x > from.x && first.x < from.x + from.width);
    assert.ok(Math.abs(last.y - to.y) < 0.01 && last.x > to.x && last.x < to.x + to.width);
  }
  for (const { x, y, width, height } of scene.boxes) {
    assert.ok(x >= -0.01 && y >= -0.01 && x + width <= scene.width + 0.01 && y + height <= scene.height + 0.01);
  }
}

describe('layout', () => {
  test('random graphs of many sizes have boxes apart and edges that reach them', () => {
    let drawn = 0;
    for (const size of [1, 2, 3, 9, 40, 100]) {
      for (let seed = 1; seed <= 4; seed += 1) {
        const graph = random(seed * 977 + size, size);
        check(graph, layoutOf(graph));
        drawn += 1;
      }
    }
    assert.equal(drawn, 24);
  });

  test('a chain of thousands of boxes is one column, without exhausting the stack', () => {
    const names = Array.from({ length: 6000 }, (_, index) => `n${index}`);
    const chain = level(
      names,
      names.slice(1).map((name, index) => [names[index]!, name] as const),
    );
    const scene = layoutOf(chain);
    assert.equal(new Set(scene.boxes.map((box) => box.x)).size, 1);
    check(chain, scene);
  });

  test('blocks with a way around them follow each other below', () => {
    const names = ['in'];
    const pairs: [string, string][] = [];
    for (let block = 0; block < 120; block += 1) {
      const before = names.at(-1)!;
      names.push(`a${block}`, `b${block}`, `add${block}`);
      pairs.push(
        [before, `a${block}`],
        [`a${block}`, `b${block}`],
        [`b${block}`, `add${block}`],
        [before, `add${block}`],
      );
    }
    const blocks = level(names, pairs);
    assert.ok(stretchesOf(blocks).stretches.length > 4);
    check(blocks, layoutOf(blocks));
  });

  test('a graph that nothing lets cut is drawn all the same', () => {
    const names = Array.from({ length: 900 }, (_, index) => `n${index}`);
    const pairs = names.slice(1).map((name, index) => [names[index]!, name] as [string, string]);
    // A tensor that is read by everything goes past every box.
    for (const name of names.slice(2)) pairs.push(['n0', name]);
    const graph = level(names, pairs);
    const { stretches, across } = stretchesOf(graph);
    assert.equal(stretches.reduce((sum, { edges }) => sum + edges.length, 0) + across.length, pairs.length);
    const scene = layoutOf(graph);
    assert.equal(scene.boxes.length, names.length);
    assert.equal(scene.lines.length, pairs.length);
  });

  test('a graph that is too deep for dagre stands in rows', () => {
    // Two ways beside each other, so that nothing lets it be cut, each as long as a stretch can be.
    const names = ['in'];
    const pairs: [string, string][] = [
      ['in', 'a0'],
      ['in', 'b0'],
    ];
    for (let index = 0; index < 2500; index += 1) {
      names.push(`a${index}`, `b${index}`);
      if (index > 0) pairs.push([`a${index - 1}`, `a${index}`], [`b${index - 1}`, `b${index}`]);
    }
    const graph = level(names, pairs);
    const scene = layoutOf(graph);
    assert.equal(scene.boxes.length, names.length);
    assert.equal(scene.lines.length, pairs.length);
    for (const { x, y } of scene.boxes) assert.ok(Number.isFinite(x) && Number.isFinite(y));
  });

  test('what nothing reads and what nothing gives stays near what it belongs to', () => {
    const names = ['x', ...Array.from({ length: 200 }, (_, index) => `n${index}`), 'late', 'join', 'side'];
    const chain = names.slice(0, 201);
    const pairs = chain.slice(1).map((name, index) => [chain[index]!, name] as [string, string]);
    pairs.push(['n199', 'join'], ['late', 'join'], ['n5', 'side']);
    const graph = level(names, pairs);
    const scene = layoutOf(graph);
    check(graph, scene);
    const at = new Map(scene.boxes.map((box) => [box.node.id, box.y]));
    assert.ok(at.get('join')! - at.get('late')! < 200);
    assert.ok(at.get('side')! - at.get('n5')! < 200);
  });

  test('inputs that are side by side are in the order of the calls', () => {
    const graph = level(
      ['left', 'right', 'a', 'b', 'sum'],
      [
        ['left', 'a'],
        ['right', 'b'],
        ['a', 'sum'],
        ['b', 'sum'],
      ],
    );
    const at = new Map(layoutOf(graph).boxes.map((box) => [box.node.id, box.x]));
    assert.ok(at.get('left')! < at.get('right')!);
    assert.ok(at.get('a')! < at.get('b')!);
  });

  test('what is inside of an unfolded box lies within it', () => {
    const inner: Level = { nodes: [node('m/a'), node('m/b')], edges: [edge('m/a', 'm/b')] };
    const graph: Level = {
      nodes: [node('in'), node('m', inner), node('out')],
      edges: [edge('in', 'm'), edge('m', 'out')],
    };
    const scene = layoutOf(graph);
    const boxes = new Map(scene.boxes.map((box) => [box.node.id, box]));
    const around = boxes.get('m') as Box;
    for (const name of ['m/a', 'm/b']) {
      const box = boxes.get(name) as Box;
      assert.ok(box.x > around.x && box.x + box.width < around.x + around.width);
      assert.ok(box.y > around.y + 30 && box.y + box.height < around.y + around.height);
      assert.equal(box.depth, 1);
    }
    assert.ok((boxes.get('out') as Box).y >= around.y + around.height);
  });

  test('boxes without edges fill columns', () => {
    const names = Array.from({ length: 50 }, (_, index) => `n${index}`);
    const scene = layoutOf(level(names, []));
    check(level(names, []), scene);
    assert.ok(scene.width > 500 && scene.height < 50 * 46);
  });
});

describe('arrow keys', () => {
  const inner: Level = { nodes: [node('m/a'), node('m/b')], edges: [edge('m/a', 'm/b')] };
  const graph: Level = {
    nodes: [node('left'), node('right'), node('m', inner), node('out')],
    edges: [edge('left', 'm'), edge('right', 'm'), edge('m', 'out')],
  };
  const walk = new Walk(layoutOf(graph));

  test('lead along the edges, into an unfolded box, and out of it', () => {
    assert.equal(walk.step('left', 'down'), 'm');
    assert.equal(walk.step('m', 'down'), 'm/a');
    assert.equal(walk.step('m/a', 'down'), 'm/b');
    assert.equal(walk.step('m/b', 'down'), 'out');
    assert.equal(walk.step('out', 'down'), null);
    assert.equal(walk.step('out', 'up'), 'm');
    assert.equal(walk.step('m/b', 'up'), 'm/a');
    assert.equal(walk.step('m/a', 'up'), 'm');
  });

  test('lead sideways, and to both ends', () => {
    assert.equal(walk.step('left', 'right'), 'right');
    assert.equal(walk.step('right', 'left'), 'left');
    assert.equal(walk.step('right', 'right'), null);
    assert.equal(walk.step('m', 'first'), 'left');
    assert.equal(walk.step('m', 'last'), 'out');
  });
});

describe('the view', () => {
  const screen = { width: 1000, height: 600 };

  test('begins with all of a small drawing, and with the top of a tall one', () => {
    const small = beginning({ width: 300, height: 200 }, screen);
    assert.deepEqual(small, { zoom: 1, x: 350, y: 200 });
    const tall = beginning({ width: 300, height: 9000 }, screen);
    assert.equal(tall.zoom, 1);
    assert.ok(tall.y > 0 && tall.y < 100);
  });

  test('shows all of a drawing below the legend', () => {
    const { zoom, x, y } = whole({ width: 500, height: 3000 }, screen);
    assert.ok(y >= 50 && y + 3000 * zoom <= 600 && x > 0);
  });

  test('keeps the point below the pointer when it is enlarged', () => {
    const before = { x: 10, y: 20, zoom: 0.5 };
    const after = zoomed(before, 1.7, 300, 200);
    assert.ok(Math.abs((300 - before.x) / before.zoom - (300 - after.x) / after.zoom) < 1e-9);
    assert.ok(Math.abs((200 - before.y) / before.zoom - (200 - after.y) / after.zoom) < 1e-9);
  });

  test('moves no farther than it needs, and never out of sight', () => {
    const seen = { x: 100, y: 100, zoom: 1 };
    const box = { x: 200, y: 100, width: 200, height: 40 };
    assert.deepEqual(revealed(seen, box, screen), seen);
    const moved = revealed(seen, { ...box, y: 5000 }, screen);
    assert.ok(5000 + moved.y > 0 && 5040 + moved.y < 600);
    const lost = held({ x: 9e9, y: -9e9, zoom: 1 }, { width: 300, height: 300 }, screen);
    assert.ok(lost.x < 1000 && lost.y > -300);
  });
});
