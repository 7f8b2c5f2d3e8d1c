// A config as a topology of TensorFlow.js: a Functional model whose nodes are layers of its own or of this package.
// Masks are tensors of the graph, because TensorFlow.js hands a mask on to every layer that follows.

import type { Module } from '../model/config.js';
import { OutputRef } from '../values/classes.js';
import { references } from './arguments.js';
import { Calls, type MadeModel } from './graph/calls.js';
import { Building, type Given, Level, type Topology } from './graph/level.js';
import type { Plain, PlainMap } from './layer.js';
import { isMap, plain, unsupported } from './layer.js';
import { builtFor, isInput, isModel, type Modules } from './modules.js';

export type { Topology } from './graph/level.js';

/** One model, with its inputs and outputs in the order of the nesting that the config gives them. */
function modelOf(building: Building, module: Module): MadeModel {
  const level = new Level(building);
  const calls = new Calls(level, modelOf);
  const outputs = module.graph ? graphOf(calls, module) : chainOf(calls, module);
  return {
    document: level.document(
      module.name,
      outputs.map(({ place }) => place),
    ),
    outputs: outputs.length,
    masked: outputs.some(({ mask }) => mask !== null),
  };
}

function graphOf(calls: Calls, module: Module): Given[] {
  const { level, building } = calls;
  const graph = module.graph!;
  const children = new Map(module.modules.map((child) => [child.name, child]));
  for (const { id, module: name, args, kwargs } of graph.calls) {
    calls.run(id, children.get(name)!, args.map(plain), plain(kwargs) as PlainMap);
  }
  const tensors = (value: Plain) =>
    references(value).flatMap((reference) => {
      const found = level.given.get(reference.call)?.[reference.index];
      return found ? [found] : [];
    });
  level.inputs.push(...tensors(plain(graph.inputs)).map(({ place }) => place));
  const outputs = tensors(plain(graph.outputs));
  const named = (value: Plain) =>
    isMap(value) || (Array.isArray(value) && value.some((item) => isMap(item) || Array.isArray(item)));
  for (const [word, value] of [
    ['inputs', graph.inputs],
    ['outputs', graph.outputs],
  ] as const) {
    if (named(plain(value)))
      building.note(module.path, `the nesting of its ${word}: they are a list in the order of the config`);
  }
  return outputs;
}

/** A Sequential model without a graph: each layer takes what the one before it gave. */
function chainOf(calls: Calls, module: Module): Given[] {
  const { level, building } = calls;
  let last: Given[] = [];
  for (const [at, child] of module.modules.entries()) {
    const real = building.modules.config.resolve(child);
    if (at === 0 && !isInput(real)) {
      const shape = builtFor(module) ?? builtFor(real);
      if (!shape) {
        building.refused.push({
          path: module.path || module.name,
          op: module.op,
          reason: 'a model whose input has no shape in the config',
        });
        return [];
      }
      const dtype = real.op.endsWith('Embedding') || real.op === 'core:embedding' ? 'int32' : 'float32';
      last = [level.inputLayer(`${module.name}_input`, '', shape, dtype)];
      level.inputs.push(last[0]!.place);
    }
    level.given.set('before', last);
    calls.run(String(at), child, at === 0 && isInput(real) ? [] : [new OutputRef('before', 0)], {});
    last = level.given.get(String(at)) ?? [];
    if (!last.length) return [];
    if (at === 0 && isInput(real)) level.inputs.push(last[0]!.place);
  }
  return last;
}

/**
 * The topology of a config, with what it takes: weights by their names, activations to be registered, and what is left behind.
 *
 * @param shapeOf the shape of a variable by its path.
 */
export function topologyOf(modules: Modules, shapeOf: (path: string) => readonly number[]): Topology {
  const building = new Building(modules, shapeOf);
  const root = modules.config.model;
  const made = building.attempt(root, () =>
    isModel(root)
      ? modelOf(building, root)
      : unsupported(root.kind === 'opaque' ? 'its code is not in the artifact' : 'it is a layer and no model'),
  );
  const { weights, activations, renamed, notes, refused } = building;
  return { model: made?.document ?? {}, weights, activations, renamed, notes, refused };
}
