// The architecture (SPEC.md chapter 13).

import type { Json, JsonMap } from '../canonical/json.js';
import { decodeJson } from '../canonical/json.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { checkMap, checkResidue, checkValue, type Scope } from '../values/check.js';
import { isTag } from '../values/decode.js';
import { type CoreChecks, checkCoreCall, checkCoreModule, checkCoreObject } from '../vocabulary/check.js';
import { checkCollisions, checkFields, checkOp, checkPath, checkVersion, type Rules } from './names.js';

const FORM = 'config-form';
const WHERE = 'config.json';
const KINDS = new Set(['layer', 'graph', 'opaque', 'shared']);
const OWN = ['attrs', 'build', 'modules', 'op', 'params', 'residue'];
const FIELDS = ['attrs', 'build', 'graph', 'kind', 'modules', 'name', 'op', 'params', 'residue', 'target'];

export interface ConfigDocument {
  readonly document: JsonMap;
  /** Path -> module; the root has the empty path. In the order of the walk of chapter 13.4. */
  readonly modules: ReadonlyMap<string, JsonMap>;
}

/** What the rest of the artifact says to a config. */
export interface ConfigScope {
  /** Whether a path is a variable or an alias; null where the artifact has no weights. */
  readonly variable: ((path: string) => boolean) | null;
  readonly asset: (name: string) => boolean;
  /** The shape of a variable; null where it is not known. */
  readonly shape: (path: string) => readonly number[] | null;
}

export function readConfig(
  bytes: Uint8Array,
  scope: ConfigScope,
  version: string | null,
  limits: Limits,
): ConfigDocument {
  const document = decodeJson(bytes, WHERE, limits);
  if (document.get('format') !== 'etui-config') refuse(FORM, `${WHERE} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${WHERE} /version`, version);
  const rules = { form: FORM, minor, limits };
  checkFields(document, ['format', 'model', 'version'], WHERE, rules);
  if (!document.has('model')) refuse(FORM, WHERE, 'no model');
  const modules = new Map<string, JsonMap>();
  collect(document.get('model') as Json, '', `${WHERE} /model`, rules, modules);
  const reader = new Reader(modules, scope, rules);
  reader.module('', `${WHERE} /model`);
  return { document, modules };
}

/** Adds the modules by their paths, each before its children; refuses what is no module. */
function collect(module: Json, path: string, at: string, rules: Rules, found: Map<string, JsonMap>): void {
  if (!(module instanceof Map)) refuse(FORM, at, show(module));
  if (found.size >= rules.limits.modules) refuse('limit-modules', at, `more than ${rules.limits.modules} modules`);
  found.set(path, module);
  checkKind(module, at, rules);
  const children = module.get('modules');
  if (children === undefined) return;
  if (!Array.isArray(children) || children.length === 0)
    refuse(FORM, `${at}/modules`, 'no list of modules, or an empty one');
  const names = new Set<string>();
  children.forEach((child, i) => {
    const place = `${at}/modules/${i}`;
    if (!(child instanceof Map)) refuse(FORM, place, show(child));
    const name = child.get('name');
    checkName(name, `${place}/name`, rules);
    if (names.has(name)) refuse('module-name', `${place}/name`, `${show(name)} twice`);
    names.add(name);
    const below = path === '' ? name : `${path}/${name}`;
    checkPath(below, place, rules.limits);
    collect(child, below, place, rules, found);
  });
  checkCollisions(names, `${at}/modules`);
}

function checkName(name: Json | undefined, at: string, rules: Rules): asserts name is string {
  if (typeof name !== 'string' || name === '' || name.includes('/')) refuse('module-name', at, show(name));
  checkPath(name, at, rules.limits);
}

function checkKind(module: JsonMap, at: string, rules: Rules): void {
  if (module.has('kind') && !KINDS.has(module.get('kind') as string)) {
    refuse('module-kind', `${at}/kind`, show(module.get('kind')));
  }
  checkFields(module, FIELDS, at, rules);
  const kind = module.get('kind');
  if (kind === undefined) refuse('module-kind', at, 'no kind');
  checkName(module.get('name'), `${at}/name`, rules);
  if (kind === 'shared') {
    const root = at === `${WHERE} /model`;
    if (root) refuse('module-kind', at, 'a root that is shared');
    if (!module.has('target')) refuse('module-kind', at, 'no target');
    for (const field of [...OWN, 'graph'])
      if (module.has(field)) refuse('module-kind', at, `${field} of a shared module`);
    checkPath(module.get('target'), `${at}/target`, rules.limits);
    return;
  }
  if (module.has('target')) refuse('module-kind', at, `a target of a module of the kind ${kind}`);
  if (module.has('graph') !== (kind === 'graph')) refuse('module-kind', at, `${kind === 'graph' ? 'no' : 'a'} graph`);
  if (!module.has('op')) refuse('module-kind', at, 'no op');
  checkOp(module.get('op'), `${at}/op`);
}

class Reader {
  readonly modules: ReadonlyMap<string, JsonMap>;
  readonly rules: Rules;
  readonly scope: Scope;
  readonly variable: ((path: string) => boolean) | null;
  readonly core: CoreChecks;
  /** Paths that the walk has met. */
  readonly met = new Set<string>();

  constructor(modules: ReadonlyMap<string, JsonMap>, scope: ConfigScope, rules: Rules) {
    this.modules = modules;
    this.rules = rules;
    this.variable = scope.variable;
    this.core = { modules, shape: scope.shape };
    this.scope = {
      limits: rules.limits,
      module: (path) => path !== '' && modules.has(path),
      variable: (path) => scope.variable === null || scope.variable(path),
      asset: scope.asset,
      stored: () => false,
      output: null,
      object: checkCoreObject,
    };
  }

  module(path: string, at: string): void {
    const module = this.modules.get(path) as JsonMap;
    this.met.add(path);
    if (module.get('kind') === 'shared') {
      this.target(module.get('target') as string, path, at);
      return;
    }
    this.values(module, at);
    const params = module.get('params');
    if (params !== undefined) this.params(params, `${at}/params`);
    if (module.get('kind') === 'graph') this.graph(module, path, at);
    if ((module.get('op') as string).startsWith('core:')) checkCoreModule(module, path, at, this.core);
    const children = (module.get('modules') ?? []) as JsonMap[];
    children.forEach((child, i) => {
      const name = child.get('name') as string;
      this.module(path === '' ? name : `${path}/${name}`, `${at}/modules/${i}`);
    });
  }

  target(target: string, path: string, at: string): void {
    const module = this.modules.get(target);
    if (module === undefined || module.get('kind') === 'shared') {
      refuse('reference-missing', `${at}/target`, `${show(target)} is no module that is defined`);
    }
    if (!this.met.has(target)) refuse('shared-order', at, `before its target ${show(target)}`);
    if (path.startsWith(`${target}/`)) refuse('shared-order', at, `inside of its target ${show(target)}`);
  }

  values(module: JsonMap, at: string): void {
    if (module.has('attrs')) {
      const attrs = module.get('attrs');
      checkMap(attrs, `${at}/attrs`, this.scope, FORM);
      if (attrs.size === 0) refuse(FORM, `${at}/attrs`, 'an empty map');
    }
    if (module.has('build')) {
      const build = module.get('build') as Json;
      if (build === null) refuse(FORM, `${at}/build`, 'null');
      checkValue(build, `${at}/build`, this.scope);
    }
    if (module.has('residue')) checkResidue(module.get('residue'), `${at}/residue`, this.scope, FORM);
  }

  params(params: Json, at: string): void {
    if (!(params instanceof Map) || params.size === 0) refuse(FORM, at, 'no map of paths, or an empty one');
    for (const [role, path] of params) {
      if (role === '') refuse(FORM, at, 'an empty role');
      if (typeof path !== 'string') refuse(FORM, `${at}/${role}`, show(path));
      checkPath(path, `${at}/${role}`, this.rules.limits);
      if (this.variable !== null && !this.variable(path)) {
        refuse('reference-missing', `${at}/${role}`, `${show(path)} is no variable`);
      }
    }
  }

  graph(module: JsonMap, path: string, at: string): void {
    const place = `${at}/graph`;
    const graph = module.get('graph');
    if (!(graph instanceof Map)) refuse('call-form', place, show(graph));
    checkFields(graph, ['calls', 'inputs', 'outputs'], place, this.rules);
    for (const field of ['calls', 'inputs', 'outputs']) {
      if (!graph.has(field)) refuse('call-form', place, `no ${field}`);
    }
    const calls = graph.get('calls');
    if (!Array.isArray(calls)) refuse('call-form', `${place}/calls`, show(calls));
    const children = new Set(((module.get('modules') ?? []) as JsonMap[]).map((child) => child.get('name') as string));
    const ids = new Set<string>();
    calls.forEach((call, i) => void this.checkCall(call, `${place}/calls/${i}`, children, ids));
    const before = new Set<string>();
    const scope: Scope = {
      ...this.scope,
      output: (id, _, where) => {
        if (!ids.has(id)) refuse('reference-missing', where, `no call ${show(id)}`);
        if (!before.has(id)) refuse('call-order', where, `the call ${show(id)} comes later`);
      },
    };
    (calls as JsonMap[]).forEach((call, i) => {
      const where = `${place}/calls/${i}`;
      checkValue(call.get('args') as Json, `${where}/args`, scope);
      const kwargs = call.get('kwargs');
      checkMap(kwargs, `${where}/kwargs`, scope, 'call-form');
      const op = this.opOf(path === '' ? (call.get('module') as string) : `${path}/${call.get('module')}`);
      if (op?.startsWith('core:')) checkCoreCall(op, kwargs, `${where}/kwargs`);
      before.add(call.get('id') as string);
    });
    for (const field of ['inputs', 'outputs']) {
      const structure = graph.get(field) as Json;
      checkStructure(structure, `${place}/${field}`);
      checkValue(structure, `${place}/${field}`, scope);
    }
  }

  /** The op of a module, or of the one that it stands for; null of none, which is refused where it is met. */
  opOf(path: string): string | null {
    const module = this.modules.get(path) as JsonMap;
    const own = module.get('kind') === 'shared' ? this.modules.get(module.get('target') as string) : module;
    return (own?.get('op') as string | undefined) ?? null;
  }

  checkCall(call: Json, at: string, children: ReadonlySet<string>, ids: Set<string>): void {
    if (!(call instanceof Map)) refuse('call-form', at, show(call));
    checkFields(call, ['args', 'id', 'kwargs', 'module'], at, this.rules);
    const [id, module] = [call.get('id'), call.get('module')];
    if (typeof id !== 'string' || id === '') refuse('call-form', `${at}/id`, show(id));
    if (ids.has(id)) refuse('call-form', `${at}/id`, `${show(id)} twice`);
    ids.add(id);
    if (typeof module !== 'string' || !children.has(module)) refuse('call-form', `${at}/module`, show(module));
    if (!Array.isArray(call.get('args'))) refuse('call-form', `${at}/args`, show(call.get('args')));
    if (!(call.get('kwargs') instanceof Map)) refuse('call-form', `${at}/kwargs`, show(call.get('kwargs')));
  }
}

/** Refuses a nesting of lists, tuples and maps in which something else than an output is a leaf (C-14). */
function checkStructure(value: Json, at: string): void {
  if (Array.isArray(value)) {
    value.forEach((item, i) => void checkStructure(item, `${at}/${i}`));
    return;
  }
  if (!(value instanceof Map)) refuse('call-form', at, show(value));
  const tag = [...value.keys()].find(isTag);
  if (tag === undefined) {
    for (const [key, item] of value) checkStructure(item, `${at}/${key}`);
  } else if (tag === '$tuple' && Array.isArray(value.get(tag))) checkStructure(value.get(tag) as Json, `${at}/${tag}`);
  else if (tag === '$map' && Array.isArray(value.get(tag))) {
    for (const pair of value.get(tag) as Json[])
      if (Array.isArray(pair)) checkStructure(pair[1] ?? null, `${at}/${tag}`);
  } else if (tag !== '$output') refuse('call-form', at, `${show(tag)} where an output belongs`);
}
