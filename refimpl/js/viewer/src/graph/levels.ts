/** The nodes and edges to draw: one level per module that is unfolded. */

import type { Call, Graph, Module } from '../../../src/index.js';
import type { Architecture } from '../data/architecture.js';
import { isAttrs, outputsIn } from '../data/values.js';
import { type Family, family, shortOp, summary } from '../ops.js';
import { type Shape, shapesOf } from '../shapes.js';

/** One box of the graph: a call of a module, a module that no graph calls, or an output of the model. */
export interface Node {
  /** Names the box within the drawing: the boxes around it and its call, joined by `/`. */
  readonly id: string;
  /** The path of the module where it is defined; empty for the model itself. */
  readonly path: string;
  readonly name: string;
  readonly op: string;
  readonly title: string;
  readonly family: Family;
  readonly summary: string;
  /** Number of elements of the variables of the module and of what it holds. */
  readonly parameters: number;
  /** Which call of the module this is, from 1, and of how many. */
  readonly turn: readonly [number, number];
  readonly pill: boolean;
  readonly shared: boolean;
  readonly foldable: boolean;
  /** What is drawn inside, if the box is unfolded. */
  readonly inside: Level | null;
  readonly output: Shape | null;
}

/** A tensor that goes from one box to another. */
export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly shape: Shape | null;
  /** Whether this edge carries the text of the shape: the first of those that leave an output. */
  readonly labelled: boolean;
}

export interface Level {
  readonly nodes: readonly Node[];
  readonly edges: readonly Edge[];
}

/** The deepest unfolding; config limits allow deeper ones than a screen does. */
const DEEPEST = 40;

/** What to draw of a model.
 *
 * @param open the ids of the boxes that are unfolded.
 */
export function levelsOf(architecture: Architecture, open: ReadonlySet<string>): Level {
  return levelOf(architecture, architecture.root, '', '', open, 0);
}

function levelOf(
  architecture: Architecture,
  owner: Module,
  path: string,
  place: string,
  open: ReadonlySet<string>,
  depth: number,
): Level {
  const graph = owner.graph ?? null;
  if (graph) return graphLevel(architecture, owner, graph, path, place, open, depth);
  const nodes = owner.modules.map((module) =>
    nodeOf(architecture, module, path, place, module.name, [1, 1], null, open, depth),
  );
  const edges = isChain(owner) ? nodes.slice(1).map((node, index) => edge(nodes[index]!.id, node.id, null, false)) : [];
  return { nodes, edges };
}

/** Whether a module without a graph means the chain of its children (K-17, CV-5). */
function isChain(module: Module): boolean {
  return module.kind === 'layer' && shortOp(module.op).toLowerCase() === 'sequential';
}

function graphLevel(
  architecture: Architecture,
  owner: Module,
  graph: Graph,
  path: string,
  place: string,
  open: ReadonlySet<string>,
  depth: number,
): Level {
  const modules = new Map(owner.modules.map((module) => [module.name, module]));
  const shapes = shapesOf(architecture, owner);
  const total = new Map<string, number>();
  for (const call of graph.calls) total.set(call.module, (total.get(call.module) ?? 0) + 1);
  const turns = new Map<string, number>();
  const nodes: Node[] = [];
  const edges: Edge[] = [];
  const labelled = new Set<string>();
  const connect = (value: unknown, target: string) => {
    const seen = new Set<string>();
    for (const { call: id, index } of outputsIn(value)) {
      const output = `${index} ${id}`;
      if (seen.has(output)) continue;
      seen.add(output);
      edges.push(edge(`${place}${id}`, target, shapes.get(id)?.[index] ?? null, !labelled.has(output)));
      labelled.add(output);
    }
  };
  for (const call of graph.calls) {
    const module = modules.get(call.module);
    if (!module) continue;
    const turn = (turns.get(call.module) ?? 0) + 1;
    turns.set(call.module, turn);
    const output = shapes.get(call.id)?.[0] ?? null;
    const node = nodeOf(
      architecture,
      module,
      path,
      place,
      call.id,
      [turn, total.get(call.module)!],
      output,
      open,
      depth,
    );
    nodes.push(node);
    connect(argumentsOf(call), node.id);
  }
  if (depth === 0) {
    for (const [name, value] of namedOutputs(graph.outputs)) {
      const id = `${place}/outputs/${name}`;
      nodes.push(outputPill(id, name));
      connect(value, id);
    }
  }
  return { nodes, edges };
}

function argumentsOf(call: Call): unknown {
  return [call.args, call.kwargs];
}

function edge(from: string, to: string, shape: Shape | null, labelled: boolean): Edge {
  return { from, to, shape, labelled };
}

/** The outputs of a graph under the names that the model gives them, or numbered where it gives none. */
function namedOutputs(outputs: unknown): [string, unknown][] {
  if (isAttrs(outputs)) return Object.entries(outputs);
  const leaves = outputsIn(outputs);
  return leaves.map((leaf, index) => [leaves.length > 1 ? `output ${index + 1}` : 'output', leaf]);
}

function outputPill(id: string, name: string): Node {
  return {
    id,
    path: '',
    name,
    op: '',
    title: name,
    family: 'io',
    summary: '',
    parameters: 0,
    turn: [1, 1],
    pill: true,
    shared: false,
    foldable: false,
    inside: null,
    output: null,
  };
}

function nodeOf(
  architecture: Architecture,
  place: Module,
  parent: string,
  prefix: string,
  call: string,
  turn: readonly [number, number],
  output: Shape | null,
  open: ReadonlySet<string>,
  depth: number,
): Node {
  const id = prefix + call;
  const path = architecture.definition(parent ? `${parent}/${place.name}` : place.name);
  const module = architecture.module(path) ?? place;
  const foldable = module.modules.length > 0 && depth < DEEPEST;
  const inside = foldable && open.has(id) ? levelOf(architecture, module, path, `${id}/`, open, depth + 1) : null;
  const kind = family(module.op);
  return {
    id,
    path,
    name: place.name,
    op: module.op,
    title: shortOp(module.op),
    family: kind,
    summary: summary(module.op, architecture.attrs(module)),
    parameters: architecture.parameters(path),
    turn,
    pill: kind === 'io',
    shared: place.kind === 'shared' || turn[1] > 1,
    foldable,
    inside,
    output,
  };
}
