// Documents that are checked alone (CF-29), as those of an artifact that has all that they refer to.

import { readConfig } from '../src/documents/config.js';
import { checkNamedOnce } from '../src/documents/entries.js';
import { readManifest } from '../src/documents/manifest.js';
import { readOptimizer } from '../src/documents/optimizer.js';
import { readState } from '../src/documents/state.js';
import { readTraining } from '../src/documents/training.js';
import { readWeights } from '../src/documents/weights.js';
import { LIMITS } from '../src/node.js';
import { readLayout, readMark, readRecord } from '../src/series/documents.js';
import { checkCoreObject } from '../src/vocabulary/check.js';
import { type Message, Unsupported } from './wire.js';

const anything = (): boolean => true;

export async function validateDocument(kind: string, bytes: Uint8Array): Promise<Message> {
  const tensors = { isData: anything, module: anything, variable: anything, asset: anything, own: null };
  switch (kind) {
    case 'manifest':
      readManifest(bytes, LIMITS);
      break;
    case 'config':
      readConfig(bytes, { variable: null, asset: anything, shape: () => null }, null, LIMITS);
      break;
    case 'weights':
      checkNamedOnce(readWeights(bytes, anything, null, LIMITS).entries);
      break;
    case 'training':
      readTraining(
        bytes,
        {
          limits: LIMITS,
          module: anything,
          variable: anything,
          asset: anything,
          stored: () => false,
          output: null,
          object: checkCoreObject,
        },
        null,
        LIMITS,
      );
      break;
    case 'optimizer':
      checkNamedOnce(readOptimizer(bytes, tensors, null, LIMITS).entries);
      break;
    case 'state':
      checkNamedOnce(readState(bytes, tensors, null, LIMITS).entries);
      break;
    case 'series':
      readMark(bytes, LIMITS);
      break;
    case 'step':
      await readRecord(bytes, null, LIMITS);
      break;
    case 'layout':
      readLayout(bytes, 'the layout', LIMITS);
      break;
    default:
      throw new Unsupported(kind);
  }
  return {};
}
