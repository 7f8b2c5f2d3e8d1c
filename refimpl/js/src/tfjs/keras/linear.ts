// Linear layers, convolutions and normalization of Keras.

import * as activation from '../activation.js';
import type { Plain } from '../layer.js';
import { unsupported } from '../layer.js';
import { adderTo, axesOfClass, type Classes, linear, listOf, need, sizes, spatial, turned } from './table.js';

/** Classes of this family. */
export const LINEAR: Classes = {};
const add = adderTo(LINEAR);

add('Dense', ({ dialect }, a) => ({ op: 'dense', attrs: { units: a.units!, ...linear(a, dialect) } }));
add('EinsumDense', ({ dialect }, a) => ({
  op: 'einsum_dense',
  attrs: {
    equation: a.equation!,
    output_shape: a.output_shape!,
    bias_axes: a.bias_axes ?? null,
    activation: turned(activation.ofKeras(a.activation, dialect)),
  },
}));
add('Embedding', (_, a) => ({
  op: 'embedding',
  attrs: { input_dim: a.input_dim!, output_dim: a.output_dim!, mask_zero: a.mask_zero ?? false },
}));
add('Conv1D Conv2D Conv3D', (layer, a) => ({
  op: 'conv',
  attrs: { ...spatial(layer, a), filters: a.filters!, groups: a.groups ?? 1 },
}));
add('Conv1DTranspose Conv2DTranspose Conv3DTranspose', (layer, a) => ({
  op: 'conv_transpose',
  attrs: {
    ...spatial(layer, a),
    filters: a.filters!,
    output_padding: sizes(a.output_padding, axesOfClass(layer.kind)),
  },
}));
add('DepthwiseConv1D DepthwiseConv2D', (layer, a) => ({
  op: 'depthwise_conv',
  attrs: { ...spatial(layer, a), depth_multiplier: a.depth_multiplier ?? 1 },
}));
add('SeparableConv1D SeparableConv2D', (layer, a) => {
  need(a, { groups: 1 });
  return {
    op: 'separable_conv',
    attrs: { ...spatial(layer, a), filters: a.filters!, depth_multiplier: a.depth_multiplier ?? 1 },
  };
});

add('BatchNormalization SyncBatchNormalization', (_, a) => {
  need(a, { renorm: false, virtual_batch_size: null });
  const axes = listOf(a.axis) as Plain[];
  if (axes.length !== 1) unsupported('several axes');
  return {
    op: 'batch_norm',
    attrs: {
      axis: axes[0]!,
      momentum: a.momentum ?? 0.99,
      epsilon: a.epsilon ?? 1e-3,
      center: a.center ?? true,
      scale: a.scale ?? true,
    },
    notes: a.synchronized ? ['synchronized'] : [],
  };
});
add('LayerNormalization', (_, a) => {
  need(a, { rms_scaling: false });
  return {
    op: 'layer_norm',
    attrs: { axes: listOf(a.axis), epsilon: a.epsilon ?? 1e-3, center: a.center ?? true, scale: a.scale ?? true },
  };
});
add('RMSNormalization', (_, a) => ({
  op: 'rms_norm',
  attrs: { axes: listOf(a.axis), epsilon: a.epsilon ?? 1e-6, scale: a.scale ?? true },
}));
add('GroupNormalization', (_, a) => ({
  op: 'group_norm',
  attrs: {
    groups: a.groups ?? 32,
    axis: a.axis ?? -1,
    epsilon: a.epsilon ?? 1e-3,
    center: a.center ?? true,
    scale: a.scale ?? true,
  },
}));
add('UnitNormalization', (_, a) => ({ op: 'unit_norm', attrs: { axes: listOf(a.axis) } }));
add('Normalization', (_, a) => ({
  op: 'normalization',
  attrs: {
    axes: a.axis === null ? [] : listOf(a.axis),
    mean: a.mean ?? null,
    variance: a.variance ?? null,
    invert: a.invert ?? false,
  },
}));
