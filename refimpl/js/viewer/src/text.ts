/**
 * Text of a file, made fit to be shown.
 *
 * A name from a stranger's file may hold what the eye cannot see: control characters, and marks that turn the direction of
 * what stands beside them. Such a character is shown as its code, and elements with a file's text isolate its direction.
 */

const INVISIBLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

/** The text with every invisible character written as its code: ⟨U+202E⟩. */
export function visible(text: string): string {
  return text.replace(
    INVISIBLE,
    (character) => `⟨U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}

/** At most `limit` characters of a text, with the middle left out: the ends of paths tell them apart. */
export function shortened(text: string, limit: number): string {
  if (text.length <= limit) return visible(text);
  const characters = Array.from(text.length > 8 * limit ? text.slice(0, 4 * limit) + text.slice(-4 * limit) : text);
  if (characters.length <= limit) return visible(text);
  const head = Math.ceil((limit - 1) / 2);
  const tail = limit - 1 - head;
  return `${visible(characters.slice(0, head).join(''))}…${visible(characters.slice(characters.length - tail).join(''))}`;
}

/** Whether a text has each of the words, in any order and case. */
export function matches(text: string, words: readonly string[]): boolean {
  const lower = text.toLowerCase();
  return words.every((word) => lower.includes(word));
}

/** The words of a query. */
export function words(query: string): string[] {
  return query.toLowerCase().split(/\s+/).filter(Boolean);
}
