/** A component that is drawn anew only when one of its properties is another. */

import { Component, type ComponentChild, type FunctionComponent, h } from 'preact';

/** Like the function, but equal properties draw nothing; properties that are plain records are compared by their fields. */
export function memo<Props extends object>(draw: (props: Props) => ComponentChild): FunctionComponent<Props> {
  class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
      return !same(this.props as Props, next, 1);
    }

    override render(): ComponentChild {
      return h(draw as FunctionComponent<Props>, this.props as Props);
    }
  }
  return Memo as unknown as FunctionComponent<Props>;
}

function same(a: object, b: object, depth: number): boolean {
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => {
    const [x, y] = [(a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]];
    if (Object.is(x, y)) return true;
    return depth > 0 && plain(x) && plain(y) && same(x, y, depth - 1);
  });
}

function plain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
