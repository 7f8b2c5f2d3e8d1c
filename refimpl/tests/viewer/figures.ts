// What the viewer computes of artifacts, as JSON: `node figures.mjs FILE [OLDER]` prints statistics of every tensor, the shapes
// of what goes along the edges of the model's graph, and, of two, how the tensors differ.

import { openFile } from '../../js/src/node.js';
import { Opened } from '../../js/viewer/src/data/opened.js';
import { compare } from '../../js/viewer/src/diff.js';
import { numericOf } from '../../js/viewer/src/diff-numbers.js';
import { shapesOf } from '../../js/viewer/src/shapes.js';

async function opened(path: string): Promise<Opened> {
  const model = await openFile(path);
  // Any source but null says that the bytes can be read.
  return new Opened(path, model, { form: model.form, source: new Uint8Array() });
}

async function figures(path: string, older: string | undefined): Promise<unknown> {
  const model = await opened(path);
  const statistics: Record<string, unknown> = {};
  for (const item of model.items) {
    model.numbers.want(item);
    const known = model.numbers.of(item);
    while (known.value.state === 'pending') await new Promise((resolve) => setTimeout(resolve));
    const found = known.value;
    if (found.state !== 'known') throw new Error(`${item.id}: ${found.state} ${'error' in found ? String(found.error) : ''}`);
    statistics[item.id] = found.statistics;
  }
  const { architecture } = model;
  const shapes = architecture ? Object.fromEntries(shapesOf(architecture, architecture.root)) : {};
  const differences: Record<string, unknown> = {};
  if (older !== undefined) {
    for (const { id, before, after } of compare(await opened(older), model).tensors) {
      if (before && after && before.shape.join() === after.shape.join()) {
        differences[id] = await numericOf(before.tensor, after.tensor);
      }
    }
  }
  return { statistics, shapes, differences };
}

const [path, older] = process.argv.slice(2);
console.log(JSON.stringify(await figures(path as string, older)));
