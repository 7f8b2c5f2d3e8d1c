// Schedules (SPEC.md K.3).

import { type Attrs, flag, number, numberOrNull, numbers } from '../values.js';

type Schedule = (clock: number, parameters: Attrs) => number;

const shareOf = (clock: number, parameters: Attrs): number => clock / number(parameters, 'decay_steps');

function steps(clock: number, parameters: Attrs): number {
  const share = shareOf(clock, parameters);
  return flag(parameters, 'staircase') ? Math.floor(share) : share;
}

function polynomial(clock: number, parameters: Attrs): number {
  const share = shareOf(clock, parameters);
  const u = flag(parameters, 'cycle') ? share / Math.max(Math.ceil(share), 1) : Math.min(share, 1);
  const end = number(parameters, 'end_learning_rate');
  return (number(parameters, 'initial_learning_rate') - end) * (1 - u) ** number(parameters, 'power') + end;
}

function piecewise(clock: number, parameters: Attrs): number {
  const values = numbers(parameters, 'values');
  const place = numbers(parameters, 'boundaries').findIndex((boundary) => clock <= boundary);
  return (place < 0 ? values.at(-1) : values[place]) ?? Number.NaN;
}

/** (1 + cos πu) / 2. */
const wave = (u: number): number => (1 + Math.cos(Math.PI * u)) / 2;

function cosine(clock: number, parameters: Attrs): number {
  const [first, alpha] = [number(parameters, 'initial_learning_rate'), number(parameters, 'alpha')];
  const fall = (u: number): number => (1 - alpha) * wave(Math.min(u, 1)) + alpha;
  const target = numberOrNull(parameters, 'warmup_target');
  if (target === null) return first * fall(shareOf(clock, parameters));
  const warmup = number(parameters, 'warmup_steps');
  if (clock < warmup) return first + ((target - first) * clock) / warmup;
  return target * fall(shareOf(clock - warmup, parameters));
}

/** Round i takes `first_decay_steps` · t_mul^i. */
function restarts(clock: number, parameters: Attrs): number {
  const [longer, lower] = [number(parameters, 't_mul'), number(parameters, 'm_mul')];
  const share = clock / number(parameters, 'first_decay_steps');
  let round = Math.floor(share);
  let u = share - round;
  if (longer !== 1) {
    round = Math.floor(Math.log1p(share * (longer - 1)) / Math.log(longer));
    const begin = (rounds: number): number => (longer ** rounds - 1) / (longer - 1);
    // The logarithm may be off by one at the ends of the rounds.
    if (begin(round + 1) <= share) round++;
    if (begin(round) > share) round--;
    u = (share - begin(round)) / longer ** round;
  }
  const alpha = number(parameters, 'alpha');
  return number(parameters, 'initial_learning_rate') * ((1 - alpha) * lower ** round * wave(u) + alpha);
}

const SCHEDULES: Readonly<Record<string, Schedule>> = {
  constant: (_, parameters) => number(parameters, 'value'),
  exponential_decay: (clock, parameters) =>
    number(parameters, 'initial_learning_rate') * number(parameters, 'decay_rate') ** steps(clock, parameters),
  inverse_time_decay: (clock, parameters) =>
    number(parameters, 'initial_learning_rate') / (1 + number(parameters, 'decay_rate') * steps(clock, parameters)),
  polynomial_decay: polynomial,
  piecewise_constant: piecewise,
  cosine_decay: cosine,
  cosine_decay_restarts: restarts,
};

/** The learning rate that a schedule gives for a clock. */
export function rateOf(name: string, parameters: Attrs, clock: number): number {
  return SCHEDULES[name]!(clock, parameters);
}
