// The constraints and regularizers that the modules of a config put on their variables (CV-8).

import type { JsonMap } from '../canonical/json.js';
import { attrsOf, CoreObject } from './values.js';

/** Path of a variable, or alias -> the constraint of its module. */
export function constraintsOf(root: JsonMap): Map<string, CoreObject> {
  const found = new Map<string, CoreObject>();
  collect(root, found);
  return found;
}

function collect(module: JsonMap, found: Map<string, CoreObject>): void {
  const op = module.get('op');
  const params = (module.get('params') as ReadonlyMap<string, string> | undefined) ?? new Map<string, string>();
  if (typeof op === 'string' && op.startsWith('core:')) {
    const constraints = attrsOf(module.get('attrs')).constraints ?? {};
    for (const [role, constraint] of Object.entries(constraints as object)) {
      const path = params.get(role);
      if (path !== undefined && constraint instanceof CoreObject) found.set(path, constraint);
    }
  }
  for (const child of (module.get('modules') as JsonMap[] | undefined) ?? []) collect(child, found);
}
