// Saves a step of a series, and halts in the middle of it until a line comes in: the second time that the tensor is asked
// for is while the objects are written.

import { pathToFileURL } from 'node:url';

const [library, path, step] = process.argv.slice(2);
const { saveStep } = await import(pathToFileURL(library));

const size = 300_000;
let asked = 0;
const load = async () => {
  asked += 1;
  if (asked === 2) {
    process.stdout.write('saving\n');
    await new Promise((resolve) => process.stdin.once('data', resolve));
  }
  return { data: new Uint8Array(4 * size).fill(Number(step)), strings: null };
};
const variable = new Map([
  ['dtype', 'float32'],
  ['order', 0],
  ['role', 'kernel'],
  ['shape', [size]],
  ['trainable', true],
]);
const content = {
  weights: new Map([
    ['aliases', new Map()],
    ['format', 'etui-weights'],
    ['variables', new Map([['kernel', variable]])],
    ['version', '1.0'],
  ]),
  tensors: { weights: new Map([['kernel', { dtype: 'float32', shape: [size], load }]]) },
  parts: new Map(),
};
process.stdout.write(`${await saveStep(path, Number(step), content, { metrics: { loss: 0.5, $odd: 1 } })}\n`);
process.exit(0);
