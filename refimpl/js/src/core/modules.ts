// The modules of a config, as the evaluator calls them.

import type { Json, JsonMap } from '../canonical/json.js';
import { isTag } from '../values/decode.js';
import type { NDArray } from './array.js';
import { refuseCall } from './refusals.js';
import { type Attrs, attrsOf } from './values.js';
import { opAttrs } from './vocabulary.js';

/** A place where an output of a call is wanted. */
export interface OutputPlace {
  readonly call: string;
  readonly index: number;
}

export interface GraphCall {
  readonly id: string;
  readonly module: string;
  readonly args: readonly Json[];
  readonly kwargs: JsonMap;
}

export interface Graph {
  /** In the order of the flattened structure. */
  readonly inputs: readonly OutputPlace[];
  readonly outputs: readonly OutputPlace[];
  readonly calls: readonly GraphCall[];
}

export interface Module {
  /** From the root, whose own is empty. */
  readonly path: string;
  /** Of the core vocabulary, without the namespace. */
  readonly op: string;
  readonly attrs: Attrs;
  /** Role -> path of the variable, or of its alias. */
  readonly params: ReadonlyMap<string, string>;
  readonly children: ReadonlyMap<string, Module>;
  readonly graph: Graph | null;
  /** What a stateful op kept of the call before. */
  readonly memory: { states: readonly NDArray[] | null };
}

/** The modules of a config whose ops are all of the core vocabulary. */
export function modulesOf(root: JsonMap): Module {
  const known = new Map<string, Module>();
  return moduleOf(root, '', known);
}

function moduleOf(json: JsonMap, path: string, known: Map<string, Module>): Module {
  if (json.get('kind') === 'shared') {
    return known.get(json.get('target') as string) ?? refuseCall(path, `no module ${json.get('target')} before it`);
  }
  const name = json.get('op') as string;
  if (!name.startsWith('core:')) {
    refuseCall(path === '' ? 'the model' : path, `the op ${name}, which is none of the core vocabulary`);
  }
  const children = new Map<string, Module>();
  for (const child of (json.get('modules') as JsonMap[] | undefined) ?? []) {
    const own = child.get('name') as string;
    children.set(own, moduleOf(child, path === '' ? own : `${path}/${own}`, known));
  }
  const graph = json.get('graph') as JsonMap | undefined;
  const module: Module = {
    path,
    op: name.slice(5),
    attrs: opAttrs(name.slice(5), attrsOf(json.get('attrs'))),
    params: (json.get('params') as ReadonlyMap<string, string> | undefined) ?? new Map(),
    children,
    graph: graph === undefined ? null : graphOf(graph),
    memory: { states: null },
  };
  known.set(path, module);
  return module;
}

function graphOf(json: JsonMap): Graph {
  return {
    inputs: placesOf(json.get('inputs') as Json),
    outputs: placesOf(json.get('outputs') as Json),
    calls: (json.get('calls') as JsonMap[]).map((call) => ({
      id: call.get('id') as string,
      module: call.get('module') as string,
      args: call.get('args') as Json[],
      kwargs: call.get('kwargs') as JsonMap,
    })),
  };
}

/** The outputs in a structure of lists and maps, in the order of a document. */
function placesOf(json: Json): OutputPlace[] {
  if (Array.isArray(json)) return json.flatMap(placesOf);
  if (!(json instanceof Map)) return [];
  const [first] = json.keys();
  if (json.size !== 1 || first === undefined || !isTag(first)) return [...json.values()].flatMap(placesOf);
  const content = json.get(first) as Json;
  if (first === '$output') {
    const [call, index] = content as [string, number];
    return [{ call, index }];
  }
  if (first === '$map') return (content as Json[][]).flatMap((pair) => placesOf(pair[1] as Json));
  return placesOf(content);
}
