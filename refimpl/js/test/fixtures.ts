// What the tests share: the vectors, and a model of every dtype.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Content, DTYPES, type Json, type JsonMap, type TensorContent } from '../src/node.js';

/** The path of a vector of the conformance suite. */
export function vectorPath(name: string): string {
  return fileURLToPath(new URL(`../../../../conformance/vectors/${name}`, import.meta.url));
}

export function vector(name: string): Uint8Array {
  return new Uint8Array(readFileSync(vectorPath(name)));
}

/** A list of vectors with what must come of each. */
export interface Vectors {
  readonly vectors: readonly {
    readonly id: string;
    readonly kind: string;
    readonly result: string;
    readonly code?: string;
    readonly codes?: readonly string[];
    readonly shard_size?: number;
    readonly encode?: string;
    readonly transcode?: string;
    readonly files: Readonly<Record<string, string>>;
  }[];
}

export function vectors(): Vectors {
  return JSON.parse(readFileSync(vectorPath('manifest.json'), 'utf8')) as Vectors;
}

/** JSON with Maps for objects. */
export function mapped(value: unknown): Json {
  if (Array.isArray(value)) return value.map(mapped);
  if (value === null || typeof value !== 'object') return value as Json;
  return new Map(Object.entries(value).map(([key, item]) => [key, mapped(item)]));
}

export function map(value: object): JsonMap {
  return mapped(value) as JsonMap;
}

/** A content of weights: bytes of each tensor by its path. */
export function weightsOf(
  tensors: Readonly<Record<string, readonly [string, readonly number[], Uint8Array]>>,
): Content {
  const variables: Record<string, unknown> = {};
  const contents = new Map<string, TensorContent>();
  Object.entries(tensors).forEach(([path, [dtype, shape, data]], order) => {
    variables[path] = { dtype, order, role: 'kernel', shape, trainable: true };
    contents.set(path, { dtype, shape, load: () => Promise.resolve({ data, strings: null }) });
  });
  return {
    weights: map({ aliases: {}, format: 'etui-weights', variables, version: '1.0' }),
    tensors: { weights: contents },
    parts: new Map(),
  };
}

/** Every dtype that safetensors holds, with four elements of bytes that are all different. */
export function everyPlainDtype(): Content {
  const tensors: Record<string, readonly [string, readonly number[], Uint8Array]> = {};
  for (const [dtype, { bits, safetensors }] of DTYPES) {
    if (safetensors === null) continue;
    const data = Uint8Array.from({ length: bits / 2 }, (_, i) => (dtype === 'bool' ? i % 2 : (i * 37 + 5) % 256));
    tensors[`of/${dtype}`] = [dtype, [2, 2], data];
  }
  return weightsOf(tensors);
}
