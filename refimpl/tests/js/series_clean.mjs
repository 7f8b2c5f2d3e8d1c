// Removes steps of a series, given as JSON, and what no other step needs; prints what was removed.

import { pathToFileURL } from 'node:url';

const [library, path, steps, options] = process.argv.slice(2);
const { removeSteps } = await import(pathToFileURL(library));
process.stdout.write(JSON.stringify(await removeSteps(path, JSON.parse(steps), JSON.parse(options))));
