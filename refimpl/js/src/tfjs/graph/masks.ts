// Which mask the output of a layer has: a tensor of the graph, made where a layer asks for it.

import { VOCABULARY } from '../../vocabulary/data.js';
import type { CoreLayer } from '../layer.js';
import { entryOf, unsupported } from '../layer.js';
import type { Given, Level, Place } from './level.js';

/** The mask of the first input that the op's rule hands on. */
export function handedOn(
  level: Level,
  name: string,
  layer: CoreLayer,
  inputs: Given[],
): (output: number) => (() => Place) | null {
  const rule = entryOf(VOCABULARY.ops, layer.op)?.mask ?? 'drop';
  const first = inputs[0];
  const once = (make: () => Place) => {
    let made: Place | null = null;
    return () => (made ??= make());
  };
  const masked = inputs.map(({ mask }) => mask !== null);
  const masks = () => inputs.flatMap(({ mask }) => (mask ? [mask()] : []));
  if (rule === 'keep' || rule === 'query') return (output) => (output === 0 ? (first?.mask ?? null) : null);
  if (rule === 'merge') {
    if (!inputs.length || masked.includes(false)) return () => null;
    const made = once(() => level.op(`${name}_mask`, 'or_mask', {}, masks()));
    return () => made;
  }
  if (rule === 'concat') {
    if (!masked.includes(true)) return () => null;
    const made = once(() =>
      level.op(`${name}_mask`, 'concat_mask', { axis: layer.attrs.axis ?? -1, masked }, [
        ...inputs.map(({ place }) => place),
        ...masks(),
      ]),
    );
    return () => made;
  }
  if (layer.op === 'embedding' && layer.attrs.mask_zero) {
    const made = once(() => level.op(`${name}_mask`, 'index_mask', {}, [first!.place]));
    return () => made;
  }
  if (layer.op === 'masking') {
    const made = once(() =>
      level.op(`${name}_mask`, 'step_mask', { mask_value: layer.attrs.mask_value ?? 0 }, [first!.place]),
    );
    return () => made;
  }
  return () => null;
}

/** The masks that inputs of an attention carry, where the call gives none (CV-121, CV-126). */
export function carried(layer: CoreLayer, named: Map<string, Place>, [query, value, key]: (Given | null)[]): void {
  const heads = layer.op === 'mha' || layer.op === 'gqa';
  const alone = layer.attrs.attention_axes === null || layer.attrs.attention_axes === undefined;
  const { use_causal_mask: causal, return_attention_scores: scores, rank } = layer.attrs;
  const wanted = named.size > 0 || causal || scores || query?.mask || value?.mask;
  if (layer.op === 'mha' && wanted && (!alone || (typeof rank === 'number' && rank !== 3))) {
    unsupported('masks or scores of an attention along other axes than one');
  }
  const take = (name: string, given: Given | null | undefined) => {
    if (given?.mask && !named.has(name)) named.set(name, given.mask());
  };
  take('query_mask', query);
  take('value_mask', value);
  if (heads) take('key_mask', key);
}
