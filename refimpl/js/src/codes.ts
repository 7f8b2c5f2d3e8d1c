// Every code that this library gives: its class, the clause that asks for it, and what its reader can do.

import type { ErrorClass } from './errors.js';

export interface Reason {
  readonly errorClass: ErrorClass;
  readonly clause: string | null;
  readonly hint: string;
}

const AGAIN = 'Get the artifact again from where it came from; it was damaged on its way, or changed.';
const WRITER = 'Write the artifact again with a library that passes the conformance suite.';
const NEWER = 'Use a newer version of this library.';
const LARGE = 'No artifact may be that large; if it is yours, split it.';
const STRANGER = 'Do not use the artifact unless you know why it is so: it would reach outside of itself.';

const table: Record<string, Reason> = {};

function add(errorClass: ErrorClass, hint: string, codes: Record<string, string | null>): void {
  for (const [code, clause] of Object.entries(codes)) table[code] = { errorClass, clause, hint };
}

add('malformed', AGAIN, {
  'json-encoding': 'J-1',
  'json-syntax': 'J-2',
  'json-surrogate': 'J-5',
  'json-depth': 'J-8',
  'msgpack-syntax': 'B-1',
  'msgpack-encoding': 'B-5',
  'msgpack-depth': 'B-11',
  'safetensors-header': 'S-2',
  'zip-truncated': 'Z-11',
  'zip-layout': 'Z-8',
});
add('invalid', WRITER, {
  'alias-target': 'W-15',
  'bool-value': 'D-8',
  'call-form': 'C-11',
  'call-order': 'C-12',
  'chunk-cover': 'W-7',
  'chunk-form': 'W-6',
  'chunk-mismatch': 'W-4',
  'config-form': 'C-1',
  'core-attrs': 'CV-3',
  'core-call': 'CV-31',
  'core-modules': 'CV-5',
  'core-object': 'CT-1',
  'core-optimizer': 'CO-1',
  'core-params': 'CV-6',
  'core-shape': 'CV-7',
  'core-slots': 'CO-3',
  'digest-form': 'H-1',
  'dtype-unknown': 'D-7',
  'encoding-components': 'W-17',
  'encoding-content': 'W-19',
  'encoding-unknown': 'W-16',
  'json-duplicate-key': 'J-3',
  'json-not-canonical': 'J-7',
  'json-number': 'J-6',
  'layout-form': 'CS-11',
  'manifest-form': 'M-1',
  'manifest-missing': 'F-2',
  'module-kind': 'C-3',
  'module-name': 'C-2',
  'msgpack-duplicate-key': 'B-7',
  'msgpack-extension': 'B-9',
  'msgpack-key': 'B-6',
  'msgpack-not-canonical': 'B-2',
  'op-form': 'C-8',
  'optimizer-form': 'O-1',
  'optimizer-groups': 'O-7',
  'part-role': 'P-4',
  'part-unlisted': 'F-5',
  'path-collision': 'D-4',
  'path-form': 'D-2',
  'profile-parts': 'Q-1',
  'reference-missing': 'V-10',
  'requires-list': 'M-4',
  'safetensors-dtype': 'S-7',
  'safetensors-layout': 'S-5',
  'series-form': 'CS-1',
  'series-layout': 'CS-15',
  'shape-form': 'D-10',
  'shared-order': 'C-15',
  'state-form': 'R-1',
  'step-form': 'CS-19',
  'tensor-name': 'O-16',
  'tensor-unreferenced': 'S-9',
  'training-form': 'T-1',
  'value-not-canonical': 'V-3',
  'value-tag': 'V-1',
  'version-form': 'Q-4',
  'weights-form': 'W-1',
  'weights-order': 'W-3',
  'zip-alignment': 'Z-4',
  'zip-field': 'Z-3',
  'zip-members': 'Z-1',
  'zip-order': 'Z-2',
  'zip-zip64': 'Z-5',
});
add('unsupported', NEWER, {
  'digest-algorithm': 'H-3',
  'feature-unknown': 'M-5',
  'op-unknown': 'C-9',
  'version-unsupported': 'Q-5',
});
add('limit', LARGE, {
  'limit-chunks': 'L-2',
  'limit-document': 'L-2',
  'limit-modules': 'L-2',
  'limit-parts': 'L-2',
  'limit-path': 'L-2',
  'limit-pieces': 'CS-18',
  'limit-rank': 'L-2',
  'limit-tensor': 'L-2',
  'limit-variables': 'L-2',
  'value-limit': 'L-2',
});
add('integrity', AGAIN, {
  'digest-mismatch': 'H-5',
  'part-missing': 'F-3',
  'part-size': 'F-4',
  'series-object': 'CS-8',
  'series-seal': 'CS-21',
  'zip-crc': 'E-4',
});
add('unsafe', STRANGER, {
  'part-collision': 'P-3',
  'part-name': 'P-1',
  'part-not-a-file': 'F-1',
  'series-link': 'CS-4',
});

// What no artifact is to blame for.
add('usage', 'Give what this function takes; its documentation says what that is.', { argument: null });
add('usage', 'Open the page over https or from localhost: browsers give digests (crypto.subtle) to nothing else.', {
  'no-digests': null,
});
add('usage', 'Open the whole artifact; of this one only the documents were given.', { 'no-data': null });
add(
  'usage',
  'Let the server answer with the ranges it is asked for (Accept-Ranges, status 206), or download the file.',
  {
    'no-ranges': 'RM-8',
  },
);
add('usage', 'Look at the address and at the network, and let the server allow this page to read it (CORS).', {
  'not-reached': null,
});
add('usage', 'Store the tensor in chunks, of which a box reads those that it meets, or give the process more memory.', {
  'out-of-memory': null,
});
add('usage', 'Open the artifact again: it was closed, or the file behind the address was replaced.', {
  closed: null,
  'file-changed': 'RM-9',
});
add('usage', 'Give inputs and arguments that fit the model: their names, shapes and dtypes.', {
  'core-evaluate': null,
});
add('usage', 'Evaluate without training: this evaluator draws no random numbers.', { 'core-random': 'CV-160' });
add('usage', 'Ask for one of the steps that the series has.', { 'step-missing': null });
add('usage', 'Install flock (util-linux), or say that nobody removes steps meanwhile.', { 'no-locks': 'CS-30' });
add('usage', 'Save under another number, or say that the step is to be replaced.', { 'step-exists': 'CS-25' });
add(
  'usage',
  'Run it by another program of the artifact, or change the layers that are listed; `refused` has them one by one.',
  {
    'tfjs-layers': null,
  },
);
add('usage', 'Open an artifact that has both a config and its weights.', { 'tfjs-model': null, 'tfjs-weights': null });
add('usage', 'See what TensorFlow.js says, and check that it is of the version 4.', { 'tfjs-build': null });

/** Code -> what stands behind it. */
export const REASONS: Readonly<Record<string, Reason>> = table;
