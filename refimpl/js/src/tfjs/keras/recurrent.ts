// Recurrent layers of Keras and their wrappers.

import * as activation from '../activation.js';
import type { CoreLayer, PlainMap } from '../layer.js';
import { entryOf, unsupported } from '../layer.js';
import { adderTo, type Classes, type KerasLayer, need, spatial, type Turn, turned } from './table.js';
import { turnKeras } from './turn.js';

/** Classes of this family. */
export const RECURRENT: Classes = {};
const add = adderTo(RECURRENT);

function recurrent(op: string, fallback: string, more: (a: PlainMap) => PlainMap = () => ({})): Turn {
  return (layer, a) => {
    need(a, { time_major: false });
    return {
      op,
      attrs: {
        units: a.units!,
        use_bias: a.use_bias ?? true,
        activation: turned(activation.ofKeras(a.activation === undefined ? 'tanh' : a.activation, layer.dialect)),
        ...(op === 'simple_rnn'
          ? {}
          : {
              recurrent_activation: turned(
                activation.ofKeras(
                  a.recurrent_activation === undefined ? fallback : a.recurrent_activation,
                  layer.dialect,
                ),
              ),
            }),
        dropout: a.dropout ?? 0,
        recurrent_dropout: a.recurrent_dropout ?? 0,
        return_sequences: a.return_sequences ?? false,
        return_state: a.return_state ?? false,
        go_backwards: a.go_backwards ?? false,
        stateful: a.stateful ?? false,
        zero_output_for_mask: a.zero_output_for_mask ?? false,
        ...more(a),
      },
      params: layer.modules.get('cell')?.params ?? layer.params,
    };
  };
}
add('SimpleRNN', recurrent('simple_rnn', ''));
add('LSTM', recurrent('lstm', 'sigmoid'));
add(
  'GRU',
  recurrent('gru', 'sigmoid', (a) => ({ reset_after: a.reset_after ?? false })),
);

const CELLS: Record<string, string> = { SimpleRNNCell: 'simple_rnn', LSTMCell: 'lstm', GRUCell: 'gru' };
for (const [name, op] of Object.entries(CELLS)) {
  add(name, (layer, a) => RECURRENT[{ simple_rnn: 'SimpleRNN', lstm: 'LSTM', gru: 'GRU' }[op] as string]!(layer, a));
}

/** How a recurrent layer of a cell goes over its sequence. */
function steps(a: PlainMap): PlainMap {
  const keys = ['return_sequences', 'return_state', 'go_backwards', 'stateful', 'zero_output_for_mask'];
  return Object.fromEntries(keys.map((key) => [key, a[key] ?? false]));
}

add('RNN', (layer, a) => {
  need(a, { time_major: false });
  const cell = layer.modules.get('cell') ?? unsupported('it holds no cell');
  const stacked = cell.kind === 'StackedRNNCells';
  if (stacked) need(cell.attrs, { reverse_state_order: false });
  const cells = stacked ? [...cell.modules.values()] : [cell];
  if (cells.some(({ kind }) => !Object.hasOwn(CELLS, kind)))
    return unsupported('a cell that TensorFlow.js does not have');
  if (stacked && a.return_state)
    return unsupported('the states of stacked cells, which TensorFlow.js has in another order');
  const children = new Map(cells.map((one, at) => [String(at), turnKeras(one)]));
  return { op: 'rnn', attrs: { ...steps(a), stacked }, params: new Map(), children };
});
add('ConvLSTM2D', (layer, a) => {
  const activations = {
    activation: turned(activation.ofKeras(a.activation === undefined ? 'tanh' : a.activation, layer.dialect)),
    recurrent_activation: turned(activation.ofKeras(a.recurrent_activation ?? 'hard_sigmoid', layer.dialect)),
  };
  return {
    op: 'conv_lstm',
    attrs: {
      ...steps(a),
      ...spatial(layer, a),
      ...activations,
      filters: a.filters!,
      dropout: a.dropout ?? 0,
      recurrent_dropout: a.recurrent_dropout ?? 0,
    },
    params: layer.modules.get('cell')?.params ?? layer.params,
  };
});

const MERGES: Record<string, string> = { concat: 'concat', sum: 'sum', mul: 'mul', ave: 'mean' };
add('Bidirectional', (layer, a) => {
  const forward = held(layer, 'forward_layer');
  const made = layer.modules.get('backward_layer') ?? unsupported('it holds no backward_layer');
  // One that Keras makes by itself has the forward layer's settings and variables of its own (K-15).
  const bare = Object.keys(made.attrs).length === 0;
  const backward = bare ? turnedRound(forward, made.modules.get('cell')?.params ?? made.params) : turnKeras(made);
  return {
    op: 'bidirectional',
    attrs: {
      merge:
        a.merge_mode === null
          ? 'none'
          : (entryOf(MERGES, String(a.merge_mode ?? 'concat')) ?? unsupported(`merge_mode is ${a.merge_mode}`)),
    },
    children: new Map([
      ['forward', sequences(forward)],
      ['backward', sequences(backward)],
    ]),
  };
});

function turnedRound(forward: CoreLayer, params: Map<string, string>): CoreLayer {
  return { ...forward, attrs: { ...forward.attrs, go_backwards: !forward.attrs.go_backwards }, params, notes: [] };
}

/** What Keras sets in both layers of a Bidirectional (CV-110). */
function sequences(layer: CoreLayer): CoreLayer {
  return { ...layer, attrs: { ...layer.attrs, zero_output_for_mask: layer.attrs.return_sequences ?? false } };
}

function held(layer: KerasLayer, name: string): CoreLayer {
  return turnKeras(layer.modules.get(name) ?? unsupported(`it holds no ${name}`));
}

add('TimeDistributed', (layer) => {
  const inner = layer.modules.get('layer');
  if (inner?.isModel) return { op: 'time_distributed' };
  return { op: 'time_distributed', children: new Map([['layer', held(layer, 'layer')]]) };
});
