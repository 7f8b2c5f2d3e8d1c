/** What the page shows now. Each signal has one meaning, and the parts of the page read them. */

import { computed, signal } from '@preact/signals';
import type { Opened } from './data/opened.js';

/** What a person sees when there is no model to show. */
export type Phase =
  | { readonly kind: 'welcome' }
  | { readonly kind: 'busy'; readonly name: string }
  | { readonly kind: 'broken'; readonly name: string; readonly error: unknown }
  | { readonly kind: 'open'; readonly opened: Opened; readonly other: Opened | null };

export type Tab = 'graph' | 'tensors' | 'training' | 'provenance' | 'report' | 'diff';

export type Selection =
  | { readonly kind: 'module'; readonly path: string; readonly node: string | null }
  | { readonly kind: 'tensor'; readonly id: string };

export const phase = signal<Phase>({ kind: 'welcome' });
export const tab = signal<Tab>('graph');
export const selection = signal<Selection | null>(null);
/** The boxes of the graph that are unfolded. */
export const unfolded = signal<ReadonlySet<string>>(new Set());
/** A sentence for people about what just happened, also read out. */
export const notice = signal<string | null>(null);
export const helpShown = signal(false);

/** The model that is shown: of two, the newer. */
export const opened = computed(() => (phase.value.kind === 'open' ? phase.value.opened : null));
/** The older model, with which the shown one is compared. */
export const other = computed(() => (phase.value.kind === 'open' ? phase.value.other : null));

export function show(model: Opened, before: Opened | null = null): void {
  selection.value = null;
  unfolded.value = new Set();
  notice.value = null;
  tab.value = before ? 'diff' : model.architecture ? 'graph' : model.items.length > 0 ? 'tensors' : 'provenance';
  phase.value = { kind: 'open', opened: model, other: before };
}

export function selectModule(path: string, node: string | null = null): void {
  selection.value = { kind: 'module', path, node };
}

export function selectTensor(id: string): void {
  selection.value = { kind: 'tensor', id };
}

/** Goes to the graph and shows a module there. */
export function locate(path: string): void {
  tab.value = 'graph';
  selectModule(path);
}

export function fold(node: string): void {
  unfolded.value = new Set([...unfolded.value].filter((id) => id !== node));
}

export function unfold(...nodes: string[]): void {
  unfolded.value = new Set([...unfolded.value, ...nodes]);
}

export type Theme = 'light' | 'dark';
const dark = typeof matchMedia === 'function' ? matchMedia('(prefers-color-scheme: dark)') : null;
const chosen = signal<Theme | null>(remembered());
const preferred = signal<Theme>(dark?.matches ? 'dark' : 'light');
dark?.addEventListener('change', (event) => {
  preferred.value = event.matches ? 'dark' : 'light';
});

/** The theme: the one chosen here, or else the system's. */
export const theme = computed<Theme>(() => chosen.value ?? preferred.value);

export function switchTheme(): void {
  chosen.value = theme.value === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem('etui-theme', chosen.value);
  } catch {
    // A page that may keep nothing forgets the choice when it is closed.
  }
}

function remembered(): Theme | null {
  try {
    const theme = localStorage.getItem('etui-theme');
    return theme === 'light' || theme === 'dark' ? theme : null;
  } catch {
    return null;
  }
}
