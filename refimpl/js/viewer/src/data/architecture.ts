/** The tree of modules, looked up by path. */

import type { Attrs, Config, Module, Weights } from '../../../src/index.js';

/** A place in the tree of modules. */
export interface Place {
  readonly path: string;
  readonly name: string;
  readonly depth: number;
  readonly parent: Place | null;
  readonly module: Module;
  /** Paths of the variables that the module itself owns, aliases resolved. */
  readonly variables: readonly string[];
}

export class Architecture {
  readonly root: Module;
  /** Every place, the model itself first, each before those inside of it. */
  readonly places: readonly Place[];
  readonly #byPath: ReadonlyMap<string, Place>;
  readonly #owners: ReadonlyMap<string, Place>;
  readonly #parameters: ReadonlyMap<string, number>;

  constructor(config: Config, weights: Weights | null) {
    this.root = config.model;
    const places: Place[] = [];
    const owners = new Map<string, Place>();
    const resolve = (path: string) => weights?.aliases.get(path) ?? path;
    const stack: { module: Module; parent: Place | null }[] = [{ module: config.model, parent: null }];
    while (stack.length > 0) {
      const { module, parent } = stack.pop()!;
      const path = parent === null ? '' : parent.path ? `${parent.path}/${module.name}` : module.name;
      const variables = [...new Set([...module.params.values()].map(resolve))];
      const place = { path, name: module.name, depth: parent ? parent.depth + 1 : 0, parent, module, variables };
      places.push(place);
      for (const variable of variables) if (!owners.has(variable)) owners.set(variable, place);
      for (const child of [...module.modules].reverse()) stack.push({ module: child, parent: place });
    }
    this.places = places;
    this.#byPath = new Map(places.map((place) => [place.path, place]));
    this.#owners = owners;
    this.#parameters = this.#count(weights);
  }

  place(path: string): Place | undefined {
    return this.#byPath.get(path);
  }

  module(path: string): Module | undefined {
    return this.#byPath.get(path)?.module;
  }

  /** The path at which a module is defined: that of its target if it is shared, and else its own. */
  definition(path: string): string {
    const module = this.module(path);
    return module?.kind === 'shared' && module.target ? module.target : path;
  }

  /** The place whose module owns a variable. */
  owner(variable: string): Place | undefined {
    return this.#owners.get(variable);
  }

  /** Number of elements of the variables of a module and of what it holds, each variable once. */
  parameters(path: string): number {
    return this.#parameters.get(path) ?? 0;
  }

  attrs(module: Module): Attrs {
    return module.attrs;
  }

  #count(weights: Weights | null): Map<string, number> {
    const held = new Map<string, Set<string>>();
    for (let index = this.places.length - 1; index >= 0; index -= 1) {
      const place = this.places[index]!;
      const own = held.get(place.path) ?? new Set<string>();
      for (const variable of place.variables) own.add(variable);
      held.set(place.path, own);
      if (place.module.kind === 'shared' && place.module.target) {
        for (const variable of held.get(place.module.target) ?? []) own.add(variable);
      }
      if (!place.parent) continue;
      const above = held.get(place.parent.path) ?? new Set<string>();
      for (const variable of own) above.add(variable);
      held.set(place.parent.path, above);
    }
    const count = (variable: string) => weights?.get(variable)?.shape.reduce((product, size) => product * size, 1) ?? 0;
    return new Map(
      [...held].map(([path, variables]) => [path, [...variables].reduce((sum, name) => sum + count(name), 0)]),
    );
  }
}
