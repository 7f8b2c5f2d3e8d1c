// Writes src/vocabulary/data.ts, the core vocabulary as a module, from the schema folder; with --check, says whether it is so.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../../schemas/core/vocabulary.json', import.meta.url));
const target = fileURLToPath(new URL('../src/vocabulary/data.ts', import.meta.url));
const text = `// Written by scripts/vocabulary.mjs from schemas/core/vocabulary.json.

import type { Vocabulary } from './types.js';

/** The core vocabulary, of schemas/core/vocabulary.json. */
export const VOCABULARY: Vocabulary = JSON.parse(
  ${JSON.stringify(JSON.stringify(JSON.parse(readFileSync(source, 'utf8'))))},
);
`;
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    process.stderr.write(
      'src/vocabulary/data.ts is not what schemas/core/vocabulary.json says; run npm run vocabulary\n',
    );
    process.exitCode = 1;
  }
} else writeFileSync(target, text);
