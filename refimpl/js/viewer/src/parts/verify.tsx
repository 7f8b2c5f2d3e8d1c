/** Checks digests in the browser: of every byte where the data is at hand, and else of what the page holds. */

import { signal } from '@preact/signals';
import { verify } from '../../../src/index.js';
import type { Opened } from '../data/opened.js';
import { counted, share, size } from '../format.js';
import { said } from '../shell/problem.js';

type Outcome =
  | { readonly state: 'running'; readonly done: number; readonly total: number }
  | { readonly state: 'good'; readonly text: string }
  | { readonly state: 'partly'; readonly text: string }
  | { readonly state: 'bad'; readonly error: unknown };

const outcomes = signal<ReadonlyMap<Opened, Outcome>>(new Map());

export function outcomeOf(opened: Opened): Outcome | null {
  return outcomes.value.get(opened) ?? null;
}

function set(opened: Opened, outcome: Outcome): void {
  outcomes.value = new Map([...outcomes.value, [opened, outcome]]);
}

export async function verifyNow(opened: Opened): Promise<void> {
  if (outcomeOf(opened)?.state === 'running') return;
  const documents = opened.model.manifest.parts.size;
  if (opened.source === null) {
    // The library checked each document against the manifest when it opened the page's payload.
    const text = `This page holds the documents of the model; their digests are right, and so is the identity. The data is not in the page: open the artifact itself to check every byte.`;
    set(opened, { state: 'partly', text });
    return;
  }
  set(opened, { state: 'running', done: 0, total: 0 });
  try {
    const progress = (done: number, total: number) => set(opened, { state: 'running', done, total });
    const result = await verify(opened.source, { progress });
    if (result.identity !== opened.model.identity) throw new Error('The file was changed while this page was open.');
    set(opened, {
      state: 'good',
      text: `Every byte is as the manifest says: ${counted(documents + 1, 'part')}, ${counted(result.tensors, 'tensor')}, ${size(result.bytes)}.`,
    });
  } catch (error) {
    set(opened, { state: 'bad', error });
  }
}

export function VerifyPanel({ opened }: { opened: Opened }) {
  const outcome = outcomeOf(opened);
  return (
    <section class="panel">
      <h2>Integrity</h2>
      <div role="status">
        {outcome === null && (
          <p class="lead">
            Every document and every tensor has a SHA-256 digest. The digests say that the bytes are those of this
            identity; they do not say who made them.
          </p>
        )}
        {outcome?.state === 'running' && (
          <p class="lead">
            {outcome.total > 0
              ? `Checked ${share(outcome.done, outcome.total)} of ${size(outcome.total)} …`
              : 'Checking …'}
          </p>
        )}
        {outcome?.state === 'good' && (
          <p class="lead">
            <span class="tag good">verified</span> {outcome.text}
          </p>
        )}
        {outcome?.state === 'partly' && (
          <p class="lead">
            <span class="tag">documents verified</span> {outcome.text}
          </p>
        )}
        {outcome?.state === 'bad' && (
          <p class="lead break">
            <span class="tag bad">refused</span> {said(outcome.error)}
          </p>
        )}
      </div>
      <button
        type="button"
        class="button"
        disabled={outcome?.state === 'running'}
        onClick={() => void verifyNow(opened)}
      >
        Verify
      </button>
    </section>
  );
}
