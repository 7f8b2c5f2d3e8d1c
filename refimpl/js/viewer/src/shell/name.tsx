/** Text from a file: its direction is isolated, its invisible characters are shown, and its length is bounded. */

import { shortened, visible } from '../text.js';

export function Name({ text, limit = 200 }: { text: string; limit?: number }) {
  const short = shortened(text, limit);
  return <bdi title={short === text ? undefined : visible(text.slice(0, 1000))}>{short}</bdi>;
}

/** A path with its folders fainter than its last segment. */
export function Path({ path, limit = 120 }: { path: string; limit?: number }) {
  const text = shortened(path, limit);
  const cut = text.lastIndexOf('/') + 1;
  return (
    <bdi class="path-text" dir="ltr" title={text === path ? undefined : visible(path.slice(0, 1000))}>
      <bdi class="folder">{text.slice(0, cut)}</bdi>
      <bdi class="leaf">{text.slice(cut)}</bdi>
    </bdi>
  );
}
