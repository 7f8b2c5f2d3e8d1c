// Has TensorFlow.js predict what etuis hold, on its plain JavaScript backend.
//
// node predict.mjs library packages < tasks.json > results.json
//
// `library` is the folder of the bundled JavaScript package, `packages` the node_modules with TensorFlow.js. A task is
// {"path", "inputs"}, and may ask for the model to be saved and loaded `again`; a result is {"value"} or {"error"}.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [library, packages] = process.argv.slice(2);
const tf = createRequire(`${packages}/`)('@tensorflow/tfjs');
const { openPath } = await import(`${library}/node.js`);
const { toLayersModel, registerLayers } = await import(`${library}/tfjs/index.js`);

// What stands on the output belongs to the results.
console.warn = console.log = console.info = () => {};

function plain(tensor) {
  return { shape: tensor.shape, data: Array.from(tensor.dataSync(), Number) };
}

/** The model as TensorFlow.js saves it, as a file would hold it, and loads it again. */
async function again(model) {
  let saved = null;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) };
    }),
  );
  const { weightData, weightSpecs, ...rest } = saved;
  const topology = JSON.parse(JSON.stringify(rest));
  registerLayers(tf);
  return tf.loadLayersModel({ load: async () => ({ ...topology, weightData, weightSpecs }) });
}

async function run(task) {
  const source = await openPath(task.path);
  const seen = [];
  const made = await toLayersModel(tf, source, { onProgress: (fraction) => seen.push(fraction) });
  const model = task.again ? await again(made.model) : made.model;
  const inputs = task.inputs.map(({ data, shape, dtype }) => tf.tensor(data, shape, dtype));
  const before = tf.memory().numTensors;
  const found = model.predict(inputs.length === 1 ? inputs[0] : inputs);
  const outputs = Array.isArray(found) ? found : [found];
  const left = tf.memory().numTensors - before - outputs.length;
  const layers = Object.fromEntries(model.layers.map((layer) => [layer.name, layer.getClassName()]));
  await source.close();
  return { outputs: outputs.map(plain), report: made.report, layers, left, last: seen.at(-1) ?? null };
}

await tf.setBackend('cpu');
const results = [];
for (const task of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    results.push({ value: await run(task) });
  } catch (refusal) {
    const { code = null, refused = [], message } = refusal;
    results.push({
      error: { code, refused, message: message ?? String(refusal), stack: String(refusal?.stack).slice(0, 2000) },
    });
  }
  tf.disposeVariables();
}
process.stdout.write(JSON.stringify(results));
