// Locks of a series in a folder (SPEC.md CS-30).

import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { EtuiError } from '../errors.js';

/** Seconds to wait for others to be done. */
const PATIENCE = 60;

/**
 * Holds the lock of a series: shared as a writer does, or exclusive as a collection of garbage; gives what lets go of it.
 * Node.js has no locks of its own: the command `flock` holds it, and lets go when its input ends, which happens too if this
 * process dies.
 *
 * @throws EtuiError `no-locks` where there is no such command, or others do not let go of it.
 */
export async function locked(series: string, how: 'shared' | 'exclusive'): Promise<() => Promise<void>> {
  const path = join(series, 'lock');
  await (await open(path, 'a')).close();
  const words = [`--${how}`, '--timeout', String(PATIENCE), path, 'sh', '-c', 'echo locked; exec cat > /dev/null'];
  const child = spawn('flock', words, { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', () => reject(new EtuiError('no-locks', path, 'no command flock')));
    child.stdout.once('data', () => resolve());
    void ended.then(() => reject(new EtuiError('no-locks', path, 'a lock that cannot be had')));
  });
  return () => {
    child.stdin.end();
    return ended;
  };
}
