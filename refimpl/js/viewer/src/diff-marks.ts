/** What became of each module between two artifacts, for the graph to show. */

import { signal } from '@preact/signals';

export type Change = 'added' | 'removed' | 'changed';

/** Path of a module -> what became of it; empty unless two artifacts are compared. */
export const changes = signal<ReadonlyMap<string, Change>>(new Map());

/** Path of a module -> the largest change of a tensor in it, relative to the tensor's length. */
export const sizes = signal<ReadonlyMap<string, number>>(new Map());

export function sizeOf(path: string): number | null {
  return sizes.value.get(path) ?? null;
}

export function changeOf(path: string): Change | null {
  return changes.value.get(path) ?? null;
}
