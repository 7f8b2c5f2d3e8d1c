/** The few numbers that tell one model from another. */

import type { Opened } from '../data/opened.js';
import { optimizersOf } from '../data/opened.js';
import { compact, integer, shortDigest, size } from '../format.js';
import { shortOp } from '../ops.js';
import { outcomeOf } from '../parts/verify.js';
import { shortened } from '../text.js';

export function Facts({ opened }: { opened: Opened }) {
  const { model } = opened;
  const { all, trainable } = opened.parameters;
  const weights = opened.items.filter((item) => item.kind === 'weight');
  const optimizers = optimizersOf(model);
  const facts: [string, string, string?][] = [];
  if (model.weights) {
    facts.push(['Parameters', compact(all), integer(all)]);
    if (trainable !== all) facts.push(['Trainable', compact(trainable), integer(trainable)]);
    facts.push(['Weights', size(opened.bytes('weight'))]);
    facts.push(['Tensors', integer(opened.items.length)]);
    facts.push(['Dtype', dtypes(weights)]);
  }
  if (opened.architecture) facts.push(['Modules', integer(opened.architecture.places.length - 1)]);
  for (const [, optimizer] of optimizers.filter(([, { inner }]) => inner === null).slice(0, 2))
    facts.push(['Optimizer', `${shortened(shortOp(optimizer.algorithm), 24)}, step ${integer(optimizer.step)}`]);
  facts.push(['Profile', model.profile]);
  const outcome = outcomeOf(opened);
  return (
    <dl class="facts" tabIndex={0} aria-label="Facts">
      {facts.map(([name, text, title]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd title={title}>{text}</dd>
        </div>
      ))}
      <div>
        <dt>Identity</dt>
        <dd>
          <span class="mono" title={model.identity}>
            {shortDigest(model.identity)}
          </span>{' '}
          {outcome?.state === 'good' && <span class="tag good">verified</span>}
          {outcome?.state === 'bad' && <span class="tag bad">refused</span>}
        </dd>
      </div>
    </dl>
  );
}

/** The dtype of the variables, and how many others there are. */
function dtypes(items: Opened['items']): string {
  const bytes = new Map<string, number>();
  for (const item of items) bytes.set(item.dtype, (bytes.get(item.dtype) ?? 0) + item.bytes);
  const names = [...bytes].sort(([, a], [, b]) => b - a).map(([name]) => name);
  return names.length > 2 ? `${names[0]} + ${names.length - 1} more` : names.join(', ') || 'none';
}
