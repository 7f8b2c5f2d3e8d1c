// Whether variables have the shapes that a layer's settings say, so that nothing is built, and made room for, that does not fit.

import { VOCABULARY } from '../../vocabulary/data.js';
import type { CoreLayer, Plain } from '../layer.js';
import { entryOf, unsupported } from '../layer.js';

/** The sizes that a word of a shape stands for; null for one that the settings do not fix. */
function sizesOf(word: string | number, attrs: Readonly<Record<string, Plain>>): (number | null)[] | null {
  if (typeof word === 'number') return [word];
  if (word === '...') return null;
  if (word.startsWith('*')) {
    const listed = attrs[word.slice(1)];
    return Array.isArray(listed) && listed.every((size) => typeof size === 'number') && word !== '*axes'
      ? (listed as number[])
      : null;
  }
  const [, factor, name] = /^(?:([0-9]+)\*)?([a-z_]+)$/.exec(word) ?? [];
  const size = name === undefined ? undefined : attrs[name];
  return [typeof size === 'number' ? size * Number(factor ?? 1) : null];
}

/** Refuses a layer of whose variables one has another shape. */
export function checkShapes(layer: CoreLayer, shapeOf: (path: string) => readonly number[]): void {
  const params = entryOf(VOCABULARY.ops, layer.op)?.params ?? {};
  for (const [role, path] of layer.params) {
    const words = entryOf(params, role)?.shape;
    if (!Array.isArray(words)) continue;
    const sizes = (words as (string | number)[]).map((word) => sizesOf(word, layer.attrs));
    const shape = shapeOf(path);
    if (sizes.includes(null)) continue;
    const wanted = sizes.flat() as (number | null)[];
    const fits = wanted.length === shape.length && wanted.every((size, at) => size === null || size === shape[at]);
    if (!fits && !words.some((word) => String(word).includes('?')))
      unsupported(`the shape of ${path} is ${JSON.stringify(shape)}`);
  }
  for (const child of layer.children.values()) checkShapes(child, shapeOf);
}
