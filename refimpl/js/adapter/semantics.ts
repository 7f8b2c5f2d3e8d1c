// What computes with a model: evaluate, step, compute (annexes J and K).

import {
  arrayOf,
  type CoreObject,
  computeArrays,
  Evaluator,
  elementsOf,
  type NDArray,
  stepElements,
} from '../src/core/index.js';
import { plainOf } from '../src/core/values.js';
import { type Json, LIMITS, type Model } from '../src/node.js';
import type { Elements } from '../src/tensors/reader.js';
import { checkValue } from '../src/values/check.js';
import { checkCoreObject } from '../src/vocabulary/check.js';
import { bytesOf, type Message, mapped, type Outbox, type TensorMessage } from './wire.js';

/** What a request of these is answered with. */
export interface Context {
  /** Opens the artifact of a request, and closes it behind the work. */
  withModel(artifact: unknown, work: (model: Model) => Promise<Message>): Promise<Message>;
  readonly outbox: Outbox;
}

type Answer = (request: Message, context: Context) => Promise<Message>;

const ANSWERS: Readonly<Record<string, Answer>> = { evaluate, step, compute };

/** The ops that are answered here. */
export const SEMANTICS: readonly string[] = Object.keys(ANSWERS);

export function semantics(request: Message, context: Context): Promise<Message> {
  return ANSWERS[request.op as string]!(request, context);
}

function evaluate({ artifact, inputs, training }: Message, { withModel, outbox }: Context): Promise<Message> {
  return withModel(artifact, async (model) => {
    const given = (inputs as (TensorMessage | null)[]).map((input) => (input === null ? null : received(input)));
    const found = (await Evaluator.of(model)).evaluateArrays(given, training === true);
    // A model that is not trained is not changed (CF-31), whatever single calls of it do.
    const changed = training === true ? [...found.variables] : [];
    return {
      outputs: found.outputs.map((value) => sent(elementsOf(value), outbox)),
      variables: named(
        changed.map(([path, value]) => [path, elementsOf(value)]),
        outbox,
      ),
    };
  });
}

function step({ artifact, gradients }: Message, { withModel, outbox }: Context): Promise<Message> {
  return withModel(artifact, async (model) => {
    const { weights, optimizer, tensors } = await stepElements(model, new Map(receivedAll(gradients)));
    return { weights: named(weights, outbox), optimizer, tensors: named(tensors, outbox) };
  });
}

async function compute({ object, inputs }: Message, { outbox }: Context): Promise<Message> {
  const value = mapped(object);
  checkObject(value);
  const outputs = computeArrays(plainOf(value) as CoreObject, Object.fromEntries(receivedAll(inputs)));
  return {
    outputs: named(
      Object.entries(outputs).map(([name, each]) => [name, elementsOf(each)]),
      outbox,
    ),
  };
}

/** Refuses what is no object of the core vocabulary; it stands in no artifact, so that it may refer to nothing. */
function checkObject(value: Json): void {
  const nothing = (): boolean => false;
  checkValue(value, 'object', {
    limits: LIMITS,
    module: nothing,
    variable: nothing,
    asset: nothing,
    stored: nothing,
    output: null,
    object: checkCoreObject,
  });
}

function received({ dtype, shape, strings, ...data }: TensorMessage): NDArray {
  const texts = strings?.map((text) => bytesOf({ data: text })) ?? null;
  return arrayOf({ dtype, shape, data: texts === null ? bytesOf(data) : null, strings: texts });
}

function receivedAll(tensors: unknown): [string, NDArray][] {
  return Object.entries(tensors as Record<string, TensorMessage>).map(([name, tensor]) => [name, received(tensor)]);
}

function sent({ dtype, shape, data, strings }: Elements, outbox: Outbox): Message {
  const head = { dtype, shape: [...shape] };
  if (strings !== null) return { ...head, strings: strings.map((text) => Buffer.from(text).toString('base64')) };
  return { ...head, ...outbox.data(data ?? new Uint8Array()) };
}

function named(tensors: Iterable<readonly [string, Elements]>, outbox: Outbox): Map<string, Message> {
  return new Map([...tensors].map(([name, elements]) => [name, sent(elements, outbox)]));
}
