// Every vector of meaning (conformance/vectors/core), asked of the library itself rather than of its adapter.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { arrayOf, type CoreObject, computeArrays, Evaluator, type NDArray, stepElements } from '../src/core/index.js';
import { plainOf } from '../src/core/values.js';
import { type Model, open, write } from '../src/node.js';
import type { Elements } from '../src/tensors/reader.js';
import { mapped, vectorPath } from './fixtures.js';

interface WireTensor {
  readonly dtype: string;
  readonly shape: number[];
  readonly data?: string;
  readonly strings?: string[];
}

type Tensors = Record<string, WireTensor>;

interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

interface Case {
  readonly name: string;
  readonly op: string;
  readonly sibling?: string;
  readonly tolerance?: Tolerance;
  readonly request: {
    readonly artifact?: { readonly packed: { readonly data: string } };
    readonly inputs?: (WireTensor | null)[] | Tensors;
    readonly training?: boolean;
    readonly object?: unknown;
    readonly gradients?: Tensors[];
  };
  readonly expected: {
    readonly outputs?: WireTensor[] | Tensors;
    readonly variables?: Tensors;
    readonly steps?: { readonly weights: Tensors; readonly tensors: Tensors }[];
  };
}

interface VectorFile {
  readonly cases: readonly Case[];
  readonly tolerance: Tolerance;
}

const MANIFEST = JSON.parse(readFileSync(vectorPath('core/manifest.json'), 'utf8')) as {
  files: { file: string; cases: { op: string }[] }[];
};

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function array({ dtype, shape, data, strings }: WireTensor): NDArray {
  return arrayOf({ dtype, shape, data: data === undefined ? null : bytes(data), strings: strings?.map(bytes) ?? null });
}

/** Asserts that an array is the expected one: integers of any width, floats within the tolerance. */
function assertClose(where: string, expected: WireTensor, found: NDArray, { rtol, atol }: Tolerance): void {
  const wanted = array(expected);
  assert.equal(wanted.kind, found.kind, `${where}: the kind of the dtype`);
  assert.deepEqual([...wanted.shape], [...found.shape], `${where}: the shape`);
  for (let i = 0; i < wanted.size; i += 1) {
    const [one, two] = [wanted.data[i] as number, found.data[i] as number];
    if (wanted.terms !== null) assert.equal(wanted.terms[one], found.terms?.[two], where);
    else if (!Number.isFinite(one)) assert.ok(Object.is(one, two) || one === two, `${where}[${i}]: ${one}, not ${two}`);
    else assert.ok(Math.abs(one - two) <= atol + rtol * Math.abs(one), `${where}[${i}]: ${one}, not ${two}`);
  }
}

const opened = (each: Case): Promise<Model> => open(bytes(each.request.artifact?.packed.data ?? ''));

async function evaluated(each: Case, tolerance: Tolerance): Promise<void> {
  const { inputs, training } = each.request;
  const evaluator = await Evaluator.of(await opened(each));
  const given = (inputs as (WireTensor | null)[]).map((input) => (input === null ? null : array(input)));
  const { outputs, variables } = evaluator.evaluateArrays(given, training === true);
  const expected = each.expected.outputs as WireTensor[];
  assert.equal(expected.length, outputs.length);
  expected.forEach((one, i) => {
    assertClose(`output ${i}`, one, outputs[i] as NDArray, tolerance);
  });
  for (const [path, one] of Object.entries(each.expected.variables ?? {})) {
    assertClose(path, one, variables.get(path) as NDArray, tolerance);
  }
}

async function computed(each: Case, tolerance: Tolerance): Promise<void> {
  const inputs = Object.entries(each.request.inputs as Tensors).map(([name, tensor]) => [name, array(tensor)]);
  const outputs = computeArrays(plainOf(mapped(each.request.object)) as CoreObject, Object.fromEntries(inputs));
  assert.deepEqual(Object.keys(each.expected.outputs as Tensors).sort(), Object.keys(outputs).sort());
  for (const [name, one] of Object.entries(each.expected.outputs as Tensors)) {
    assertClose(name, one, outputs[name] as NDArray, tolerance);
  }
}

/** A chain of steps, each from an artifact that the one before it gave, which is written and opened between them. */
async function stepped(each: Case, tolerance: Tolerance): Promise<void> {
  let model = await opened(each);
  for (const [i, gradients] of (each.request.gradients ?? []).entries()) {
    const given = Object.entries(gradients).map(([path, tensor]): [string, NDArray] => [path, array(tensor)]);
    const { weights, tensors, content } = await stepElements(model, new Map(given));
    const expected = each.expected.steps?.[i];
    assert.ok(expected);
    for (const [path, one] of Object.entries(expected.weights)) {
      assertClose(path, one, arrayOf(weights.get(path) as Elements), tolerance);
    }
    assert.deepEqual(Object.keys(expected.tensors).sort(), [...tensors.keys()].sort());
    for (const [name, one] of Object.entries(expected.tensors)) {
      assertClose(name, one, arrayOf(tensors.get(name) as Elements), tolerance);
    }
    model = await open(await write(content));
  }
}

const WORK: Readonly<Record<string, (each: Case, tolerance: Tolerance) => Promise<void>>> = {
  evaluate: evaluated,
  compute: computed,
  step: stepped,
};

test('every vector of meaning is computed as it says', async (t) => {
  let ran = 0;
  const listed = MANIFEST.files.filter(({ file }) => !file.startsWith('invalid/'));
  for (const { file, cases } of listed) {
    const vectors = JSON.parse(readFileSync(vectorPath(`core/${file}`), 'utf8')) as VectorFile;
    assert.equal(cases.length, vectors.cases.length);
    await t.test(file, async () => {
      for (const each of vectors.cases) {
        try {
          await WORK[each.op]?.(each, each.tolerance ?? vectors.tolerance);
        } catch (error) {
          throw new Error(`${each.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
        }
        ran += 1;
      }
    });
  }
  assert.equal(
    ran,
    listed.reduce((sum, { cases }) => sum + cases.length, 0),
  );
  assert.ok(ran > 800);
});
