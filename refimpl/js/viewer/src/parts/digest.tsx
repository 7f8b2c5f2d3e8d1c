/** A digest, to be copied in full. */

import { shortDigest } from '../format.js';
import { notice } from '../state.js';

export function Digest({ digest, short = false }: { digest: string; short?: boolean }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(digest);
      notice.value = 'The digest is copied.';
    } catch {
      notice.value = 'The browser does not let this page copy; select the digest instead.';
    }
  };
  return (
    <button type="button" class="link digest" title={short ? `${digest} (copy)` : 'Copy'} onClick={copy}>
      <span class="visually-hidden">Copy the digest </span>
      {short ? shortDigest(digest) : digest}
    </button>
  );
}
