// Metrics (SPEC.md K.2): a state, to which a batch adds, and a result.

import { VOCABULARY } from '../../vocabulary/data.js';
import { full, NDArray, zip } from '../array.js';
import { castTo } from '../numbers.js';
import { refuseCall } from '../refusals.js';
import { type Attrs, text } from '../values.js';
import { addedAverage, averageOf } from './averages.js';
import { addedHits, aucOf, byThreshold, COUNTS, type Count, type Counts, rateOf } from './hits.js';
import type { Batch } from './samples.js';
import { addedMatrix, addedScores, addedSquares, r2Of, scoreOf, unionsOf } from './scores.js';

export type State = Readonly<Record<string, NDArray>>;

/** What a metric makes of a batch. */
interface Metric {
  readonly add: (batch: Batch) => State;
  readonly result: (state: State) => NDArray;
}

const isCount = (name: string): name is Count => (COUNTS as readonly string[]).includes(name);

function metricOf(name: string, parameters: Attrs): Metric {
  const names = Object.keys(VOCABULARY.metrics[name]!.state ?? {});
  if (names[0] === 'total') {
    return {
      add: (batch) => {
        const { total, count } = addedAverage(name, parameters, batch);
        return { total: scalar(total), count: scalar(count) };
      },
      result: ({ total, count }) => scalar(averageOf(name, total!.data[0]!, count?.data[0] ?? 0)),
    };
  }
  if (isCount(name)) {
    return {
      add: (batch) => ({ accumulator: addedHits(name, parameters, batch)[name] }),
      result: ({ accumulator }) => byThreshold(accumulator!.data),
    };
  }
  if (names.includes('intermediate_weights')) {
    return { add: (batch) => addedScores(parameters, batch), result: (state) => scoreOf(parameters, state) };
  }
  if (names.includes('residual')) return { add: addedSquares, result: (state) => r2Of(parameters, state) };
  if (names.includes('total_confusion_matrix')) {
    return {
      add: (batch) => addedMatrix(name, parameters, batch),
      result: (state) => unionsOf(name, parameters, state),
    };
  }
  const add = (batch: Batch): State => addedHits(name, parameters, batch);
  if (name === 'auc') return { add, result: (state) => aucOf(parameters, state as Counts) };
  return { add, result: (state) => rateOf(name, parameters, state as Partial<Counts>) };
}

/** What is counted by classes is [b, classes], as in Keras. */
function checkClasses(name: string, { p }: Batch): void {
  if (p.rank !== 2) refuseCall(name, `predictions [${p.shape}]`);
}

const scalar = (x: number): NDArray => new NDArray([], Float64Array.of(x));

/** The state after a batch, in the dtype of the metric whatever the one before has, and the result. */
export function measured(
  name: string,
  parameters: Attrs,
  batch: Batch,
  before: State | null,
): { result: NDArray; state: State } {
  const metric = metricOf(name, parameters);
  const names = Object.keys(VOCABULARY.metrics[name]!.state ?? {});
  const given = Object.keys(before ?? {});
  if (given.length > 0 && (given.length !== names.length || !names.every((each) => given.includes(each)))) {
    refuseCall(name, `the state ${given.join(', ')}, not ${names.join(', ')}`);
  }
  if (names.includes('intermediate_weights') || names.includes('residual')) checkClasses(name, batch);
  const added = metric.add(batch);
  const dtype = text(parameters, 'dtype');
  const state: Record<string, NDArray> = {};
  for (const each of names) {
    const more = added[each]!;
    const old = before?.[each] ?? full(more.shape, 0);
    if (old.shape.join() !== more.shape.join()) refuseCall(`state/${each}`, `shape [${old.shape}] for [${more.shape}]`);
    state[each] = castTo(
      zip(old, more, (a, b) => a + b),
      dtype,
    );
  }
  return { result: metric.result(state), state };
}
