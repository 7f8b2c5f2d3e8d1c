// Prints what a series holds: of each step its identity, its metrics, and the first number of each tensor; or saves a step of
// another series anew.

import { pathToFileURL } from 'node:url';

const [library, path, target] = process.argv.slice(2);
const { saveStep, Series } = await import(pathToFileURL(library));

const series = await Series.open(path);
const verified = await series.verify();
const found = {};
for (const step of await series.steps()) {
  const model = await series.openStep(step);
  const { identity } = verified.get(step);
  const first = {};
  for (const [name, { tensor }] of model.weights)
    first[name] = (
      await tensor.values(
        [
          [0, 1],
          [0, 1],
        ].slice(0, tensor.shape.length),
      )
    )[0];
  const { metrics, time } = await series.record(step);
  found[step] = { identity, first, metrics: { ...metrics }, time };
  if (target !== undefined) await saveStep(target, step, model, { metrics, time });
  await model.close();
}
process.stdout.write(JSON.stringify(found));
