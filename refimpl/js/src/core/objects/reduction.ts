// A loss of a batch: its values, weighted and reduced (CT-3, CT-4).

import { broadcastTo, map, mul, type NDArray, scalar, sum, total } from '../array.js';
import { type Attrs, text } from '../values.js';
import { LOSSES } from './losses.js';
import { type Batch, joined, paired, spread } from './samples.js';

const over = (x: number, divisor: number): number => (divisor === 0 ? 0 : x / divisor);

/** The value of a loss. */
export function lossOf(name: string, parameters: Attrs, batch: Batch): NDArray {
  const [y, p] = paired(name, batch);
  const found = LOSSES[name]!(y, p, parameters);
  const { values: each, mask: own } = 'values' in found ? found : { values: found, mask: null };
  const mask = joined(batch.mask, own);
  const reduction = text(parameters, 'reduction');
  const counting = mask === null ? null : total(mask.data);
  const factor = reduction === 'mean' && mask !== null ? over(mask.size, counting!) : 1;
  const weight = joined(batch.weight, mask === null ? null : map(mask, (m) => m * factor));
  // One value of all samples together is that of each of them.
  const values = weight !== null && each.rank === 0 ? broadcastTo(each, weight.shape) : each;
  const weights = weight === null ? null : spread(weight, values);
  const weighted = weights === null ? values : mul(values, weights);
  if (reduction === 'none') return weighted;
  const whole = sum(weighted);
  if (reduction === 'sum') return whole;
  const divisor = reduction === 'mean' || weight === null ? values.size : total(weight.data);
  return scalar(over(whole.data[0]!, divisor));
}
