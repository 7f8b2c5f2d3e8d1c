// Rules with one average, a sum of squares, or none (SPEC.md K.5).

import { flag, number, text } from '../values.js';
import { average, like, type Rule } from './rule.js';

export const sgd: Rule = {
  slots: (target) => (number(target.parameters, 'momentum') === 0 ? [] : [like(target, 'momentum')]),
  update: ({ p, g, t, parameters, rate, slots }) => {
    const mu = number(parameters, 'momentum');
    const nesterov = flag(parameters, 'nesterov');
    const buffer = text(parameters, 'momentum_form') === 'buffer';
    // Without dampening for the first step.
    const share = t === 1 ? 1 : 1 - number(parameters, 'dampening');
    const m = slots.momentum;
    for (let i = 0; i < p.length; i++) {
      if (mu === 0 || m === undefined) p[i]! -= rate * g[i]!;
      else if (buffer) {
        m[i] = mu * m[i]! + share * g[i]!;
        p[i]! -= rate * (nesterov ? g[i]! + mu * m[i]! : m[i]!);
      } else {
        m[i] = mu * m[i]! - rate * g[i]!;
        p[i]! += nesterov ? mu * m[i]! - rate * g[i]! : m[i]!;
      }
    }
  },
};

export const rmsprop: Rule = {
  slots: (target) => [
    like(target, 'velocity'),
    ...(number(target.parameters, 'momentum') === 0 ? [] : [like(target, 'momentum')]),
    ...(flag(target.parameters, 'centered') ? [like(target, 'average_gradient')] : []),
  ],
  update: ({ p, g, parameters, rate, slots }) => {
    const v = slots.velocity!;
    const [rho, mu, epsilon] = ['rho', 'momentum', 'epsilon'].map((name) => number(parameters, name)) as [
      number,
      number,
      number,
    ];
    const centered = flag(parameters, 'centered') ? slots.average_gradient! : null;
    const inside = text(parameters, 'epsilon_mode') === 'inside';
    const buffer = text(parameters, 'momentum_form') === 'buffer';
    const m = slots.momentum;
    average(v, rho, (i) => g[i]! ** 2);
    if (centered !== null) average(centered, rho, (i) => g[i]!);
    for (let i = 0; i < p.length; i++) {
      const square = v[i]! - (centered === null ? 0 : centered[i]! ** 2);
      const u = g[i]! / (inside ? Math.sqrt(square + epsilon) : Math.sqrt(square) + epsilon);
      if (mu === 0 || m === undefined) p[i]! -= rate * u;
      else {
        m[i] = mu * m[i]! + (buffer ? u : rate * u);
        p[i]! -= buffer ? rate * m[i]! : m[i]!;
      }
    }
  },
};

export const adagrad: Rule = {
  slots: (target) => [like(target, 'accumulator', number(target.parameters, 'initial_accumulator'))],
  update: ({ p, g, t, parameters, rate, slots }) => {
    const s = slots.accumulator!;
    const epsilon = number(parameters, 'epsilon');
    const inside = text(parameters, 'epsilon_mode') === 'inside';
    const own = rate / (1 + (t - 1) * number(parameters, 'rate_decay'));
    for (let i = 0; i < p.length; i++) {
      s[i]! += g[i]! ** 2;
      p[i]! -= (own * g[i]!) / (inside ? Math.sqrt(s[i]! + epsilon) : Math.sqrt(s[i]!) + epsilon);
    }
  },
};

export const adadelta: Rule = {
  slots: (target) => [like(target, 'accumulated_grad'), like(target, 'accumulated_delta_var')],
  update: ({ p, g, parameters, rate, slots }) => {
    const [s, d] = [slots.accumulated_grad!, slots.accumulated_delta_var!];
    const [rho, epsilon] = [number(parameters, 'rho'), number(parameters, 'epsilon')];
    average(s, rho, (i) => g[i]! ** 2);
    for (let i = 0; i < p.length; i++) {
      const u = (Math.sqrt(d[i]! + epsilon) / Math.sqrt(s[i]! + epsilon)) * g[i]!;
      d[i] = rho * d[i]! + (1 - rho) * u * u;
      p[i]! -= rate * u;
    }
  },
};

export const ftrl: Rule = {
  slots: (target) => [
    like(target, 'accumulator', number(target.parameters, 'initial_accumulator')),
    like(target, 'linear'),
  ],
  update: ({ p, g, parameters, rate, slots }) => {
    const [s, z] = [slots.accumulator!, slots.linear!];
    const [l1, l2, shrinkage, beta] = ['l1', 'l2', 'l2_shrinkage', 'beta'].map((name) => number(parameters, name)) as [
      number,
      number,
      number,
      number,
    ];
    const power = -number(parameters, 'learning_rate_power');
    for (let i = 0; i < p.length; i++) {
      const sum = s[i]! + g[i]! ** 2;
      z[i]! += g[i]! + 2 * shrinkage * p[i]! - ((sum ** power - s[i]! ** power) * p[i]!) / rate;
      s[i] = sum;
      const clipped = Math.min(Math.max(z[i]!, -l1), l1);
      p[i] = (clipped - z[i]!) / (sum ** power / rate + 2 * l2 + beta / rate);
    }
  },
};
