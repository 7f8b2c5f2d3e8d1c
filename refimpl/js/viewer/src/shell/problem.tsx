/** What is told of a model that cannot be shown. */

import { EtuiError } from '../../../src/index.js';
import { PayloadError } from '../payload.js';
import { shortened, visible } from '../text.js';
import { OpenButtons } from './open.js';

/** What each class of refusals means to a person. */
const TITLES: Readonly<Record<string, string>> = {
  malformed: 'This file is broken',
  invalid: 'This file breaks a rule of the format',
  unsupported: 'This file needs a newer reader',
  limit: 'This file is beyond the limits of the format',
  integrity: 'Bytes of this file are missing or changed',
  unsafe: 'This file would reach outside of itself',
  usage: 'This cannot be opened',
};

/** An error in a sentence. */
export function said(error: unknown): string {
  if (error instanceof EtuiError) return visible(`${error.where}: ${error.found} [${error.code}]`.slice(0, 600));
  if (error instanceof Error) return visible(error.message.slice(0, 600));
  return visible(String(error).slice(0, 600));
}

export function Problem({ name, error }: { name: string; error: unknown }) {
  const refusal = error instanceof EtuiError ? error : null;
  const title = refusal
    ? (TITLES[refusal.errorClass] ?? TITLES.invalid!)
    : error instanceof PayloadError
      ? 'This page is broken'
      : 'This cannot be opened';
  return (
    <section class="problem" role="alert">
      <h1>{title}</h1>
      <p class="said">
        <bdi>{shortened(name, 120)}</bdi>
        {refusal ? '' : `: ${said(error)}`}
      </p>
      {refusal && (
        <dl class="pairs">
          <dt>Where</dt>
          <dd>
            <bdi class="mono">{shortened(refusal.where, 300)}</bdi>
          </dd>
          <dt>Found</dt>
          <dd>
            <bdi>{shortened(refusal.found, 400)}</bdi>
          </dd>
          <dt>Code</dt>
          <dd class="mono">{refusal.code}</dd>
          {refusal.clause && (
            <>
              <dt>Clause</dt>
              <dd>{`SPEC.md ${refusal.clause.replace(/^SPEC\.md /, '')}`}</dd>
            </>
          )}
          {refusal.hint && (
            <>
              <dt>What to do</dt>
              <dd>{refusal.hint}</dd>
            </>
          )}
        </dl>
      )}
      <OpenButtons />
    </section>
  );
}
