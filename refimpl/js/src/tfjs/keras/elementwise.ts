// Layers of Keras without variables, and PReLU: activations, pooling, shapes, merges, noise, preprocessing.

import * as activation from '../activation.js';
import type { Plain } from '../layer.js';
import { unsupported } from '../layer.js';
import { adderTo, axesOfClass, type Classes, listOf, need, pairs, sizes, turned } from './table.js';

/** Classes of this family. */
export const ELEMENTWISE: Classes = {};
const add = adderTo(ELEMENTWISE);

add('Activation', ({ dialect }, a) => ({
  op: 'activation',
  attrs: { function: turned(activation.ofKeras(a.activation, dialect)) },
}));
add('ReLU', (_, a) => ({
  op: 'relu',
  attrs: { max_value: a.max_value ?? null, negative_slope: a.negative_slope ?? 0, threshold: a.threshold ?? 0 },
}));
add('LeakyReLU', (_, a) => ({ op: 'leaky_relu', attrs: { negative_slope: a.negative_slope ?? a.alpha ?? 0.3 } }));
add('ThresholdedReLU', (_, a) => ({
  op: 'relu',
  attrs: { max_value: null, negative_slope: 0, threshold: a.theta ?? 1 },
}));
add('PReLU', (_, a) => ({ op: 'prelu', attrs: { shared_axes: a.shared_axes ?? null } }));
add('ELU', (_, a) => ({ op: 'elu', attrs: { alpha: a.alpha ?? 1 } }));
add('Softmax', (_, a) => ({ op: 'softmax', attrs: { axes: listOf(a.axis) } }));

add('MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D', ({ kind }, a) => ({
  op: kind.startsWith('Max') ? 'max_pool' : 'avg_pool',
  attrs: {
    pool_size: sizes(a.pool_size ?? 2, axesOfClass(kind)),
    strides: sizes(a.strides, axesOfClass(kind)),
    padding: a.padding ?? 'valid',
    data_format: a.data_format ?? 'channels_last',
  },
}));
add(
  'GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D',
  ({ kind }, a) => ({
    op: kind.startsWith('GlobalMax') ? 'global_max_pool' : 'global_avg_pool',
    attrs: { data_format: a.data_format ?? 'channels_last', keepdims: a.keepdims ?? false, spatial: axesOfClass(kind) },
  }),
);
add(
  'AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D',
  ({ kind }, a) => ({
    op: kind.startsWith('AdaptiveMax') ? 'adaptive_max_pool' : 'adaptive_avg_pool',
    attrs: { output_size: sizes(a.output_size, axesOfClass(kind)), data_format: a.data_format ?? 'channels_last' },
  }),
);
add('UpSampling1D UpSampling2D UpSampling3D', ({ kind }, a) => ({
  op: 'resize',
  attrs: {
    scale: sizes(a.size ?? 2, axesOfClass(kind)),
    interpolation: a.interpolation ?? 'nearest',
    data_format: a.data_format ?? 'channels_last',
  },
}));
add('Resizing', ({ dialect }, a) => {
  need(a, { crop_to_aspect_ratio: false, pad_to_aspect_ratio: false });
  if (dialect === 'tf_keras' && !['nearest', 'bilinear'].includes(String(a.interpolation ?? 'bilinear')))
    unsupported(`interpolation is ${a.interpolation}`);
  return {
    op: 'resize',
    attrs: {
      size: [a.height!, a.width!],
      interpolation: a.interpolation ?? 'bilinear',
      antialias: a.antialias ?? false,
      data_format: a.data_format ?? 'channels_last',
    },
  };
});

add('Flatten', (_, a) => ({ op: 'flatten', attrs: { data_format: a.data_format ?? 'channels_last' } }));
add('Reshape', (_, a) => ({ op: 'reshape', attrs: { shape: (a.target_shape as Plain[]).map((size) => size ?? -1) } }));
add('Permute', (_, a) => ({ op: 'permute', attrs: { axes: [0, ...(a.dims as number[])] } }));
add('RepeatVector', (_, a) => ({ op: 'repeat', attrs: { count: a.n! } }));
add('Identity', () => ({ op: 'identity' }));
add('ZeroPadding1D ZeroPadding2D ZeroPadding3D', ({ kind }, a) => ({
  op: 'pad',
  attrs: { padding: pairs(a.padding, axesOfClass(kind), a.data_format) },
}));
add('Cropping1D Cropping2D Cropping3D', ({ kind }, a) => ({
  op: 'crop',
  attrs: { cropping: pairs(a.cropping, axesOfClass(kind), a.data_format) },
}));

for (const [name, op] of Object.entries({
  Add: 'add',
  Multiply: 'mul',
  Average: 'mean',
  Maximum: 'max',
  Minimum: 'min',
  Subtract: 'sub',
}))
  add(name, () => ({ op }));
add('Concatenate', (_, a) => ({ op: 'concat', attrs: { axis: a.axis ?? -1 } }));
add('Dot', (_, a) => ({
  op: 'dot',
  attrs: { axes: Array.isArray(a.axes) ? a.axes : [a.axes!, a.axes!], normalize: a.normalize ?? false },
}));

add('Dropout', (_, a) => ({
  op: 'dropout',
  attrs: { rate: a.rate!, noise_shape: a.noise_shape ?? null, seed: typeof a.seed === 'number' ? a.seed : null },
}));
add('SpatialDropout1D SpatialDropout2D SpatialDropout3D', ({ kind }, a) => ({
  op: 'spatial_dropout',
  attrs: { rate: a.rate!, data_format: a.data_format ?? 'channels_last', spatial: axesOfClass(kind) },
}));
add('GaussianNoise', (_, a) => ({ op: 'gaussian_noise', attrs: { stddev: a.stddev! } }));
add('GaussianDropout', (_, a) => ({ op: 'gaussian_dropout', attrs: { rate: a.rate! } }));
add('AlphaDropout', (_, a) => ({ op: 'alpha_dropout', attrs: { rate: a.rate!, noise_shape: a.noise_shape ?? null } }));
add('ActivityRegularization', () => ({ op: 'identity', notes: ['the penalty of activities'] }));
/** Changes of images that are made in training alone; RandomCrop is none of them, as it resizes too. */
add(
  'RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast RandomBrightness RandomShear RandomSaturation RandomHue RandomColorJitter RandomGrayscale RandomGaussianBlur RandomInvert RandomSharpness RandomPosterization RandomErasing RandomPerspective RandomColorDegeneration',
  () => ({ op: 'identity', notes: ['the random changes of images in training'] }),
);

add('Rescaling', (_, a) => ({ op: 'rescale', attrs: { scale: a.scale!, offset: a.offset ?? 0 } }));
add('Masking', (_, a) => ({ op: 'masking', attrs: { mask_value: a.mask_value ?? 0 } }));
add('CategoryEncoding', (_, a) => {
  need(a, { sparse: false });
  return { op: 'one_hot', attrs: { num_tokens: a.num_tokens!, output_mode: a.output_mode ?? 'multi_hot' } };
});
add('Discretization', (_, a) => {
  need(a, { output_mode: 'int', sparse: false });
  if (!Array.isArray(a.bin_boundaries)) return unsupported('its boundaries are not in the config');
  return { op: 'discretize', attrs: { boundaries: a.bin_boundaries } };
});
