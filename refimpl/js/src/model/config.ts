// The architecture as JavaScript has it.

import type { JsonMap } from '../canonical/json.js';
import type { ConfigDocument } from '../documents/config.js';
import type { Attrs, Value } from '../values/classes.js';
import { attrsOf, decodeValue } from '../values/decode.js';

/** What a module is: a graph of calls, a layer by its op, code that is not here, or another place of a module. */
export type ModuleKind = 'layer' | 'graph' | 'opaque' | 'shared';

/** A node of the architecture: a layer, an operation, a model, or another place of one. */
export class Module {
  readonly name: string;
  /** The names from below the root to it; empty for the root. */
  readonly path: string;
  readonly kind: ModuleKind;
  /** `namespace:name`; empty for a shared module. */
  readonly op: string;
  readonly attrs: Attrs;
  /** Role -> path of the variable. */
  readonly params: ReadonlyMap<string, string>;
  readonly modules: readonly Module[];
  readonly graph: Graph | null;
  /** What the layer was built with, such as its input shape; null where it is not said. */
  readonly build: Value;
  /** What a framework needs to write its own form back. */
  readonly residue: Attrs;
  /** Of a shared module: the path of the module that it is. */
  readonly target: string | null;
  readonly document: JsonMap;

  constructor(document: JsonMap, path: string) {
    this.document = document;
    this.path = path;
    this.name = document.get('name') as string;
    this.kind = document.get('kind') as ModuleKind;
    this.op = (document.get('op') as string | undefined) ?? '';
    this.attrs = attrsOf(document.get('attrs'));
    this.params = new Map((document.get('params') as Map<string, string> | undefined) ?? []);
    const modules = (document.get('modules') as JsonMap[] | undefined) ?? [];
    this.modules = modules.map((child) => {
      const name = child.get('name') as string;
      return new Module(child, path === '' ? name : `${path}/${name}`);
    });
    const graph = document.get('graph');
    this.graph = graph instanceof Map ? new Graph(graph) : null;
    this.build = decodeValue(document.get('build') ?? null);
    this.residue = attrsOf(document.get('residue'));
    this.target = (document.get('target') as string | undefined) ?? null;
  }
}

/** The calls of a module's own modules. */
export class Graph {
  /** Outputs in the nesting in which the model takes and gives its tensors. */
  readonly inputs: Value;
  readonly outputs: Value;
  readonly calls: readonly Call[];

  constructor(document: JsonMap) {
    this.inputs = decodeValue(document.get('inputs') ?? null);
    this.outputs = decodeValue(document.get('outputs') ?? null);
    this.calls = (document.get('calls') as JsonMap[]).map((call) => new Call(call));
  }
}

/** A call of one of the graph's modules. */
export class Call {
  readonly id: string;
  /** The name of the module. */
  readonly module: string;
  readonly args: readonly Value[];
  readonly kwargs: Attrs;

  constructor(document: JsonMap) {
    this.id = document.get('id') as string;
    this.module = document.get('module') as string;
    this.args = decodeValue(document.get('args') ?? []) as Value[];
    this.kwargs = attrsOf(document.get('kwargs'));
  }
}

/** The architecture: the root module, with all others below it. */
export class Config {
  readonly model: Module;
  /** Every module by its path, each before its children; the root is at the empty path. */
  readonly modules: ReadonlyMap<string, Module>;
  readonly document: JsonMap;

  constructor({ document }: ConfigDocument) {
    this.document = document;
    this.model = new Module(document.get('model') as JsonMap, '');
    const modules = new Map<string, Module>();
    const add = (module: Module): void => {
      modules.set(module.path, module);
      for (const child of module.modules) add(child);
    };
    add(this.model);
    this.modules = modules;
  }

  /** The module that stands behind one: a shared module's target, and else itself. */
  resolve(module: Module): Module {
    return module.target === null ? module : (this.modules.get(module.target) as Module);
  }
}
