// What this bridge uses of TensorFlow.js, so that neither the package nor its types are needed to build this one.

/** A tensor of TensorFlow.js. */
export interface T {
  readonly shape: number[];
  readonly dtype: string;
  readonly rank: number;
  dispose(): void;
}

export type Shape = (number | null)[];
type Unary = (x: T) => T;
type Binary = (x: T | number, y: T | number) => T;
type Reduction = (x: T, axes?: number | number[], keepDims?: boolean) => T;
type Padding = 'valid' | 'same';

/** A variable of a layer. */
export interface LayerVariable {
  readonly originalName: string;
  read(): T;
}

/** A layer of TensorFlow.js; what begins with `_` is not used. */
export interface Layer {
  name: string;
  built: boolean;
  supportsMasking: boolean;
  readonly weights: LayerVariable[];
  addWeight(
    name: string,
    shape: number[],
    dtype: string,
    initializer: unknown,
    regularizer: unknown,
    trainable: boolean,
  ): LayerVariable;
  build(shape: Shape | Shape[]): void;
  call(inputs: T | T[], kwargs: Record<string, unknown>): T | T[];
  computeOutputShape(shape: Shape | Shape[]): Shape | Shape[];
  getConfig(): Record<string, unknown>;
}

export type LayerClass = (new (config: Record<string, unknown>) => Layer) & { className: string };

/** A model of TensorFlow.js, as far as this bridge looks into it. */
export interface LayersModel {
  readonly layers: Layer[];
  predict(inputs: T | T[], options?: { batchSize?: number }): T | T[];
}

/** The module `@tensorflow/tfjs`, or one with the same names. */
export interface TensorFlow {
  abs: Unary;
  acos: Unary;
  acosh: Unary;
  asin: Unary;
  asinh: Unary;
  atan: Unary;
  atanh: Unary;
  ceil: Unary;
  cos: Unary;
  cosh: Unary;
  erf: Unary;
  exp: Unary;
  expm1: Unary;
  floor: Unary;
  isFinite: Unary;
  isInf: Unary;
  isNaN: Unary;
  log: Unary;
  log1p: Unary;
  neg: Unary;
  onesLike: Unary;
  reciprocal: Unary;
  relu: Unary;
  round: Unary;
  rsqrt: Unary;
  selu: Unary;
  sigmoid: Unary;
  sign: Unary;
  sin: Unary;
  sinh: Unary;
  softplus: Unary;
  sqrt: Unary;
  square: Unary;
  tan: Unary;
  tanh: Unary;
  zerosLike: Unary;
  logicalNot: Unary;
  add: Binary;
  atan2: Binary;
  div: Binary;
  equal: Binary;
  floorDiv: Binary;
  greater: Binary;
  greaterEqual: Binary;
  less: Binary;
  lessEqual: Binary;
  maximum: Binary;
  minimum: Binary;
  mod: Binary;
  mul: Binary;
  notEqual: Binary;
  pow: Binary;
  sub: Binary;
  logicalAnd: Binary;
  logicalOr: Binary;
  logicalXor: Binary;
  all: Reduction;
  any: Reduction;
  logSumExp: Reduction;
  max: Reduction;
  mean: Reduction;
  min: Reduction;
  prod: Reduction;
  sum: Reduction;
  argMax(x: T, axis?: number): T;
  argMin(x: T, axis?: number): T;
  avgPool3d(x: T, size: number[], strides: number[], pad: Padding | number): T;
  broadcastTo(x: T, shape: number[]): T;
  cast(x: T, dtype: string): T;
  clipByValue(x: T, low: number, high: number): T;
  concat(xs: T[], axis?: number): T;
  conv1d(x: T, kernel: T, stride: number, pad: Padding, format: 'NWC', dilation: number): T;
  conv2d(x: T, kernel: T, strides: number[], pad: Padding, format: 'NHWC', dilations: number[]): T;
  conv2dTranspose(x: T, kernel: T, shape: number[], strides: number[], pad: Padding): T;
  conv3d(x: T, kernel: T, strides: number[], pad: Padding, format: 'NDHWC', dilations: number[]): T;
  depthwiseConv2d(x: T, kernel: T, strides: number[], pad: Padding, format: 'NHWC', dilations: number[]): T;
  einsum(equation: string, ...xs: T[]): T;
  elu(x: T): T;
  expandDims(x: T, axis?: number): T;
  fill(shape: number[], value: number, dtype?: string): T;
  gather(x: T, indices: T, axis?: number): T;
  image: { resizeBilinear(x: T, size: number[], align?: boolean, half?: boolean): T };
  leakyRelu(x: T, alpha: number): T;
  logSoftmax(x: T, axis?: number): T;
  matMul(x: T, y: T, transposeX?: boolean, transposeY?: boolean): T;
  maxPool3d(x: T, size: number[], strides: number[], pad: Padding | number): T;
  mirrorPad(x: T, pads: number[][], mode: 'reflect' | 'symmetric'): T;
  oneHot(x: T, depth: number): T;
  ones(shape: number[], dtype?: string): T;
  pad(x: T, pads: number[][], value?: number): T;
  randomNormal(shape: number[], mean?: number, deviation?: number): T;
  randomUniform(shape: number[], low?: number, high?: number): T;
  reshape(x: T, shape: number[]): T;
  scalar(value: number | boolean, dtype?: string): T;
  slice(x: T, begin: number[], size: number[]): T;
  softmax(x: T, axis?: number): T;
  split(x: T, sections: number | number[], axis: number): T[];
  squeeze(x: T, axes?: number[]): T;
  stack(xs: T[], axis?: number): T;
  stridedSlice(x: T, begin: number[], end: number[], strides: number[]): T;
  tensor(values: unknown, shape?: number[], dtype?: string): T;
  tidy<R>(work: () => R): R;
  tile(x: T, times: number[]): T;
  topk(x: T, k: number, sorted?: boolean): { values: T; indices: T };
  cumsum(x: T, axis: number): T;
  transpose(x: T, axes?: number[]): T;
  unstack(x: T, axis?: number): T[];
  where(condition: T, x: T, y: T): T;
  zeros(shape: number[], dtype?: string): T;
  initializers: { zeros(): unknown };
  io: { fromMemory(artifacts: ModelArtifacts): unknown };
  layers: {
    Layer: LayerClass;
    timeDistributed(config: unknown): Layer;
    dense(config: unknown): Layer;
    lstm(config: unknown): Layer;
  };
  loadLayersModel(
    handler: unknown,
    options?: { strict?: boolean; onProgress?: (fraction: number) => void },
  ): Promise<LayersModel>;
  serialization: {
    Serializable: new () => { getClassName(): string };
    registerClass(cls: unknown): void;
    SerializationMap: { getMap(): { classNameMap: Record<string, unknown> } };
  };
  version?: Record<string, string>;
}

/** What `tf.loadLayersModel` and the handlers of `tf.io` take. */
export interface ModelArtifacts {
  format: 'layers-model';
  generatedBy: string;
  convertedBy: string | null;
  modelTopology: Record<string, unknown>;
  weightSpecs: WeightSpec[];
  weightData: ArrayBuffer | ArrayBuffer[];
  userDefinedMetadata?: Record<string, unknown>;
}

export interface WeightSpec {
  name: string;
  shape: number[];
  dtype: 'float32';
}
