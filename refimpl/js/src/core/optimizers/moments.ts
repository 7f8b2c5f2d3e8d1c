// Rules with averages of gradients and of their squares (SPEC.md K.5).

import { flag, number, text } from '../values.js';
import { average, like, norm, type Rule, type Target, type Update } from './rule.js';

/** The factors of the averages. */
interface Betas {
  readonly beta1: number;
  readonly beta2: number;
}

const betasOf = ({ parameters }: Target): Betas => ({
  beta1: number(parameters, 'beta_1'),
  beta2: number(parameters, 'beta_2'),
});

/** 1 − β^t. */
const bias = (beta: number, t: number): number => 1 - beta ** t;

/** The two averages of a step. */
function move({ slots, g }: Update, { beta1, beta2 }: Betas): { m: Float64Array; v: Float64Array } {
  const [m, v] = [slots.momentum!, slots.velocity!];
  average(m, beta1, (i) => g[i]!);
  average(v, beta2, (i) => g[i]! ** 2);
  return { m, v };
}

/** `adam` in the form whose epsilon is beside the uncorrected root, which `muon` has too. */
export function uncorrected(update: Update, betas: Betas, rate: number): void {
  const { m, v } = move(update, betas);
  const { p, t } = update;
  const scale = (rate * Math.sqrt(bias(betas.beta2, t))) / bias(betas.beta1, t);
  const epsilon = number(update.parameters, 'epsilon');
  for (let i = 0; i < p.length; i++) p[i]! -= (scale * m[i]!) / (Math.sqrt(v[i]!) + epsilon);
}

function updateAdam(update: Update): void {
  const { p, t, parameters, rate, slots } = update;
  const betas = betasOf(update);
  const { m, v } = move(update, betas);
  const [b1, b2] = [bias(betas.beta1, t), bias(betas.beta2, t)];
  const epsilon = number(parameters, 'epsilon');
  const root = number(parameters, 'epsilon_root');
  const corrected = text(parameters, 'epsilon_mode') === 'corrected';
  const maxOfCorrected = text(parameters, 'amsgrad_max_of') === 'corrected';
  const most = flag(parameters, 'amsgrad') ? slots.velocity_hat! : null;
  for (let i = 0; i < p.length; i++) {
    let second = v[i]!;
    if (most !== null) {
      most[i] = Math.max(most[i]!, maxOfCorrected ? second / b2 : second);
      second = maxOfCorrected ? most[i]! * b2 : most[i]!;
    }
    if (corrected) p[i]! -= (rate * (m[i]! / b1)) / (Math.sqrt(second / b2 + root) + epsilon);
    else p[i]! -= ((rate * Math.sqrt(b2)) / b1) * (m[i]! / (Math.sqrt(second) + epsilon));
  }
}

export const adam: Rule = {
  slots: (target) => [
    like(target, 'momentum'),
    like(target, 'velocity'),
    ...(flag(target.parameters, 'amsgrad') ? [like(target, 'velocity_hat')] : []),
  ],
  update: updateAdam,
};

export const adamax: Rule = {
  slots: (target) => [like(target, 'momentum'), like(target, 'norm')],
  update: ({ p, g, t, parameters, rate, slots }) => {
    const [m, n] = [slots.momentum!, slots.norm!];
    const [beta1, beta2] = [number(parameters, 'beta_1'), number(parameters, 'beta_2')];
    const epsilon = number(parameters, 'epsilon');
    const inside = text(parameters, 'epsilon_mode') === 'in_max';
    average(m, beta1, (i) => g[i]!);
    for (let i = 0; i < p.length; i++) {
      n[i] = Math.max(beta2 * n[i]!, Math.abs(g[i]!) + (inside ? epsilon : 0));
      p[i]! -= ((rate / bias(beta1, t)) * m[i]!) / (n[i]! + (inside ? 0 : epsilon));
    }
  },
};

/** u_t of `nadam`. */
export function nadamFactor({ parameters }: Pick<Target, 'parameters'>, t: number): number {
  const power = number(parameters, 'schedule_base') ** (t * number(parameters, 'schedule_decay'));
  return number(parameters, 'beta_1') * (1 - 0.5 * power);
}

export const nadam: Rule = {
  slots: (target) => [like(target, 'momentum'), like(target, 'velocity')],
  update: (update) => {
    const { p, g, t, parameters, rate, product } = update;
    const betas = betasOf(update);
    const { m, v } = move(update, betas);
    const [now, next] = [nadamFactor(update, t), nadamFactor(update, t + 1)];
    const epsilon = number(parameters, 'epsilon');
    const b2 = bias(betas.beta2, t);
    const corrected = text(parameters, 'epsilon_mode') === 'corrected';
    for (let i = 0; i < p.length; i++) {
      const ahead = (next * m[i]!) / (1 - product * next) + ((1 - now) * g[i]!) / (1 - product);
      if (corrected) p[i]! -= (rate * ahead) / (Math.sqrt(v[i]! / b2) + epsilon);
      else p[i]! -= (rate * Math.sqrt(b2) * ahead) / (Math.sqrt(v[i]!) + epsilon);
    }
  },
};

export const lamb: Rule = {
  slots: (target) => [like(target, 'momentum'), like(target, 'velocity')],
  update: (update) => {
    const { p, t, parameters, rate } = update;
    const betas = betasOf(update);
    const { m, v } = move(update, betas);
    const epsilon = number(parameters, 'epsilon');
    const [b1, b2] = [bias(betas.beta1, t), bias(betas.beta2, t)];
    const u = m.map((first, i) => first / b1 / (Math.sqrt(v[i]! / b2) + epsilon));
    const [ofP, ofU] = [norm(p), norm(u)];
    const quotient = ofP === 0 || ofU === 0 ? 1 : ofP / ofU;
    for (let i = 0; i < p.length; i++) p[i]! -= rate * quotient * u[i]!;
  },
};

export const lion: Rule = {
  slots: (target) => [like(target, 'momentum')],
  update: ({ p, g, parameters, rate, slots }) => {
    const m = slots.momentum!;
    const [beta1, beta2] = [number(parameters, 'beta_1'), number(parameters, 'beta_2')];
    for (let i = 0; i < p.length; i++) p[i]! -= rate * Math.sign(beta1 * m[i]! + (1 - beta1) * g[i]!);
    average(m, beta2, (i) => g[i]!);
  },
};

/** The variable is where the gradient is taken: between z, which takes the steps, and their average x. */
export const scheduleFree: Rule = {
  slots: (target) => [like(target, 'momentum', 'variable'), like(target, 'velocity')],
  update: ({ p, g, t, parameters, rate, slots }) => {
    const [z, v] = [slots.momentum!, slots.velocity!];
    const [beta1, beta2] = [number(parameters, 'beta_1'), number(parameters, 'beta_2')];
    const epsilon = number(parameters, 'epsilon');
    const warmup = number(parameters, 'warmup_steps');
    const own = warmup === 0 ? rate : rate * Math.min(t / warmup, 1);
    average(v, beta2, (i) => g[i]! ** 2);
    for (let i = 0; i < p.length; i++) {
      const before = (p[i]! - (1 - beta1) * z[i]!) / beta1;
      z[i]! -= (own * g[i]!) / (Math.sqrt(v[i]! / bias(beta2, t)) + epsilon);
      const x = (1 - 1 / t) * before + z[i]! / t;
      p[i] = (1 - beta1) * z[i]! + beta1 * x;
    }
  },
};
