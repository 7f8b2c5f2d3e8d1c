// Models made by TensorFlow.js, each with an input.
'use strict';

/** Numbers that look random and are the same in every run. */
function numbers(tf, shape, seed = 1, scale = 1) {
  const count = shape.reduce((product, size) => product * size, 1);
  const data = [];
  let state = seed;
  for (let at = 0; at < count; at++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    data.push((state / 2147483648 - 0.5) * 2 * scale);
  }
  return tf.tensor(data, shape);
}

/** Give every weight a value of its own, so that a confusion shows. */
function filled(tf, model) {
  model.setWeights(model.getWeights().map((weight, at) => {
    const values = numbers(tf, weight.shape, at + 1, 0.5);
    return model.weights[at].originalName.endsWith('variance') ? values.abs().add(0.5) : values;
  }));
  return model;
}

module.exports = {
  dense(tf) {
    const model = tf.sequential({layers: [
      tf.layers.dense({units: 5, inputShape: [4], activation: 'relu', kernelInitializer: 'heNormal'}),
      tf.layers.dropout({rate: 0.25}),
      tf.layers.dense({units: 3, activation: 'softmax', kernelRegularizer: 'l1l2', biasConstraint: 'maxNorm'}),
    ]});
    return {model: filled(tf, model), inputs: [numbers(tf, [2, 4], 7)]};
  },
  trained(tf) {
    const model = tf.sequential({layers: [
      tf.layers.dense({units: 5, inputShape: [4], activation: 'tanh'}),
      tf.layers.dense({units: 2}),
    ]});
    filled(tf, model);
    model.compile({optimizer: tf.train.adam(0.01), loss: 'meanSquaredError', metrics: ['accuracy']});
    const trained = {x: numbers(tf, [3, 4], 5), y: numbers(tf, [3, 2], 6)};
    return {model, inputs: [numbers(tf, [2, 4], 7)], trained};
  },
  image(tf) {
    const model = tf.sequential({layers: [
      tf.layers.conv2d({filters: 3, kernelSize: 3, inputShape: [8, 8, 2], padding: 'same', activation: 'relu'}),
      tf.layers.batchNormalization(),
      tf.layers.maxPooling2d({poolSize: 2}),
      tf.layers.depthwiseConv2d({kernelSize: 2, depthMultiplier: 2}),
      tf.layers.leakyReLU({alpha: 0.1}),
      tf.layers.separableConv2d({filters: 2, kernelSize: 2}),
      tf.layers.prelu(),
      tf.layers.flatten(),
      tf.layers.dense({units: 2, activation: 'hardSigmoid'}),
    ]});
    return {model: filled(tf, model), inputs: [numbers(tf, [2, 8, 8, 2], 3)]};
  },
  recurrent(tf) {
    const model = tf.sequential({layers: [
      tf.layers.embedding({inputDim: 7, outputDim: 3, inputLength: 5}),
      tf.layers.bidirectional({layer: tf.layers.lstm({units: 2, returnSequences: true}), mergeMode: 'concat'}),
      tf.layers.gru({units: 3, returnSequences: true}),
      tf.layers.timeDistributed({layer: tf.layers.dense({units: 2})}),
      tf.layers.simpleRNN({units: 2, recurrentInitializer: 'orthogonal'}),
    ]});
    return {model: filled(tf, model), inputs: [tf.tensor2d([[0, 1, 2, 3, 4], [6, 5, 4, 3, 2]])]};
  },
  graph(tf) {
    const one = tf.input({shape: [4], name: 'first_input'});
    const two = tf.input({shape: [4], name: 'second_input'});
    const shared = tf.layers.dense({units: 3, name: 'my_sharedLayer', activation: 'selu'});
    const left = shared.apply(one);
    const right = shared.apply(two);
    const joined = tf.layers.concatenate({axis: -1}).apply([left, right]);
    const inner = tf.sequential({name: 'inner', layers: [
      tf.layers.dense({units: 4, inputShape: [6], activation: 'elu'}), tf.layers.layerNormalization(),
    ]});
    const deep = inner.apply(joined);
    const sum = tf.layers.add().apply([deep, tf.layers.dense({units: 4}).apply(one)]);
    const out = tf.layers.dense({units: 1, activation: 'sigmoid', name: 'probability'}).apply(sum);
    const model = tf.model({inputs: [one, two], outputs: [out, deep], name: 'two_towers'});
    return {model: filled(tf, model), inputs: [numbers(tf, [2, 4], 3), numbers(tf, [2, 4], 4)]};
  },
  cells(tf) {
    const model = tf.sequential({layers: [
      tf.layers.rnn({cell: [
        tf.layers.lstmCell({units: 3, recurrentActivation: 'sigmoid'}),
        tf.layers.gruCell({units: 2, recurrentActivation: 'sigmoid'}),
      ], returnSequences: true, inputShape: [4, 3]}),
      tf.layers.rnn({cell: tf.layers.simpleRNNCell({units: 4}), goBackwards: true}),
    ]});
    return {model: filled(tf, model), inputs: [numbers(tf, [2, 4, 3], 3)]};
  },
  sizes(tf) {
    const model = tf.sequential({layers: [
      tf.layers.separableConv2d({filters: 4, kernelSize: 3, depthMultiplier: 3, inputShape: [6, 6, 2]}),
      tf.layers.reshape({targetShape: [-1, 8]}),
      tf.layers.globalMaxPooling1d(),
    ]});
    return {model: filled(tf, model), inputs: [numbers(tf, [2, 6, 6, 2], 3)]};
  },
  stepped(tf) {
    const model = tf.sequential({layers: [tf.layers.dense({units: 2, inputShape: [4]})]});
    filled(tf, model);
    model.compile({optimizer: tf.train.sgd(0.01), loss: 'meanSquaredError'});
    return {model, inputs: [numbers(tf, [2, 4], 7)], trained: {x: numbers(tf, [3, 4], 5), y: numbers(tf, [3, 2], 6)}};
  },
  volume(tf) {
    const model = tf.sequential({layers: [
      tf.layers.conv1d({filters: 3, kernelSize: 2, inputShape: [6, 2], dilationRate: 2}),
      tf.layers.averagePooling1d({poolSize: 2}),
      tf.layers.reshape({targetShape: [2, 1, 1, 3]}),
      tf.layers.conv3d({filters: 2, kernelSize: 1}),
      tf.layers.permute({dims: [2, 1, 3, 4]}),
      tf.layers.flatten(),
      tf.layers.repeatVector({n: 2}),
      tf.layers.globalMaxPooling1d(),
    ]});
    return {model: filled(tf, model), inputs: [numbers(tf, [2, 6, 2], 3)]};
  },
};
