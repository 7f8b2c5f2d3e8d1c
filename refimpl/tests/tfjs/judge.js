// Runs tasks in TensorFlow.js itself, on its plain JavaScript backend.
//
// node judge.js < tasks.json > results.json
//
// A task is {"do": ..., ...}; a result is {"value": ...} or {"error": "..."}. NODE_PATH names the folder of the packages.
'use strict';

const fs = require('fs');
const path = require('path');
const tf = require('@tensorflow/tfjs');
const models = require('./models.js');

// What stands on the output belongs to the results.
console.warn = console.log = console.info = () => {};

/** Files of a folder, as tfjs-node reads and writes them. */
function folderHandler(folder) {
  return {
    async load() {
      const tree = JSON.parse(fs.readFileSync(path.join(folder, 'model.json'), 'utf8'));
      return tf.io.getModelArtifactsForJSON(tree, async (manifest) => {
        const specs = manifest.flatMap((group) => group.weights);
        const buffers = manifest.flatMap((group) => group.paths).map((name) => {
          const data = fs.readFileSync(path.join(folder, name));
          return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
        });
        return [specs, buffers];
      });
    },
    async save(artifacts) {
      fs.mkdirSync(folder, {recursive: true});
      const {weightData, weightSpecs, ...fields} = artifacts;
      const manifest = [{paths: ['weights.bin'], weights: weightSpecs}];
      const tree = {...fields, weightsManifest: manifest};
      fs.writeFileSync(path.join(folder, 'model.json'), JSON.stringify(tree));
      fs.writeFileSync(path.join(folder, 'weights.bin'), Buffer.from(tf.io.CompositeArrayBuffer.join(weightData)));
      return {modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts)};
    },
  };
}

function tensorOf(given) {
  return tf.tensor(given.data, given.shape, given.dtype);
}

function plain(tensor) {
  return {shape: tensor.shape, dtype: tensor.dtype, data: Array.from(tensor.dataSync(), Number)};
}

function list(found) {
  return Array.isArray(found) ? found : Object.values(found instanceof tf.Tensor ? [found] : found);
}

const tasks = {
  /** The names under which TensorFlow.js finds classes. */
  async registry() {
    return Object.keys(tf.serialization.SerializationMap.getMap().classNameMap);
  },
  /** The functions that an activation, a loss or a metric may name. */
  async understood({names, kind}) {
    return names.filter((name) => {
      try {
        if (kind === 'activation') {
          tf.layers.activation({activation: name});
        } else {
          const model = tf.sequential({layers: [tf.layers.dense({units: 2, inputShape: [2]})]});
          model.compile({optimizer: 'sgd', loss: kind === 'loss' ? name : 'meanSquaredError',
            metrics: kind === 'metric' ? [name] : []});
        }
        return true;
      } catch (refusal) {
        return false;
      }
    });
  },
  /** The outputs of a model for inputs. */
  async predict({folder, kind, inputs}) {
    const load = kind === 'graph' ? tf.loadGraphModel : tf.loadLayersModel;
    const model = await load(folderHandler(folder));
    const given = inputs.map(tensorOf);
    return list(model.predict(given.length === 1 ? given[0] : given)).map(plain);
  },
  /** The weights that a manifest alone lists, by their names. */
  async alone({folder}) {
    const read = async (names) => names.map((name) => {
      const data = fs.readFileSync(name);
      return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
    });
    const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'weights_manifest.json'), 'utf8'));
    const found = await tf.io.weightsLoaderFactory(read)(manifest, folder);
    return Object.entries(found).map(([name, tensor]) => ({name, ...plain(tensor)}));
  },
  /** The losses of steps of training, from what a file says of it. */
  async train({folder, inputs, targets, steps}) {
    const model = await tf.loadLayersModel(folderHandler(folder));
    const losses = [];
    for (let step = 0; step < steps; step++) {
      const found = await model.trainOnBatch(inputs.map(tensorOf)[0], targets.map(tensorOf)[0]);
      losses.push(Array.isArray(found) ? found[0] : found);
    }
    return losses;
  },
  /** What the weights of a model are, by the names that TensorFlow.js expects in a file. */
  async weights({folder}) {
    const model = await tf.loadLayersModel(folderHandler(folder));
    return Object.fromEntries(model.getNamedWeights().map(({name, tensor}) => [name, plain(tensor)]));
  },
  /** Make a model in JavaScript, save it, and say what it predicts. */
  async make({name, folder}) {
    const {model, inputs, trained} = models[name](tf);
    if (trained) {
      await model.trainOnBatch(trained.x, trained.y);
    }
    await model.save(folderHandler(folder), {includeOptimizer: Boolean(trained)});
    const outputs = list(model.predict(inputs.length === 1 ? inputs[0] : inputs));
    return {inputs: inputs.map(plain), outputs: outputs.map(plain)};
  },
  /** Load a model and save it again. */
  async resave({folder, target}) {
    const model = await tf.loadLayersModel(folderHandler(folder));
    await model.save(folderHandler(target));
    return true;
  },
};

async function main() {
  await tf.setBackend('cpu');
  const results = [];
  for (const task of JSON.parse(fs.readFileSync(0, 'utf8'))) {
    try {
      results.push({value: await tasks[task.do](task)});
    } catch (refusal) {
      results.push({error: String(refusal && refusal.stack || refusal).slice(0, 2000)});
    }
    tf.disposeVariables();
  }
  process.stdout.write(JSON.stringify(results));
}

main();
