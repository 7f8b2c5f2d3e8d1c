/** How numbers, sizes, shapes and digests are written: the one place that decides. */

const whole = new Intl.NumberFormat('en-GB');
const PREFIXES = ['k', 'M', 'G', 'T', 'P'];

/** An integer with its thousands parted: 4,253,864. */
export function integer(value: number | bigint): string {
  return whole.format(value);
}

/** Three digits and a decimal prefix: 612, 4.25 M. */
function prefixed(value: number): [string, string] {
  let scaled = value;
  let power = -1;
  while (scaled >= 999.5 && power < PREFIXES.length - 1) {
    scaled /= 1000;
    power += 1;
  }
  return power < 0 ? [String(value), ''] : [String(Number(scaled.toPrecision(3))), PREFIXES[power]!];
}

/** A count in short: each digit up to 99,999, and then 4.25 M. */
export function compact(value: number): string {
  if (value < 1e5) return integer(value);
  const [digits, prefix] = prefixed(value);
  return prefix ? `${digits} ${prefix}` : digits;
}

/** A size in bytes in short: 612 B, 16.9 MB. */
export function size(bytes: number): string {
  const [digits, prefix] = prefixed(bytes);
  return `${digits} ${prefix}B`;
}

/** A measured real number with four digits: 0.01234, -1.5e-7, ∞. */
export function real(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  if (Number.isInteger(value) && magnitude < 1e6) return integer(value).replace('-', '−');
  const digits = Number(value.toPrecision(4));
  const short = magnitude >= 1e-3 && magnitude < 1e6 ? String(digits) : digits.toExponential();
  return short.replace('e+', 'e').replace(/-/g, '−');
}

/** A measured real number with three digits, for narrow columns. */
export function brief(value: number | null | undefined): string {
  const round =
    typeof value === 'number' && Number.isFinite(value) && !(Number.isInteger(value) && Math.abs(value) < 1e6);
  return real(round ? Number(value.toPrecision(3)) : value);
}

/** A number with its every digit, as a file states it. */
export function exact(value: number): string {
  if (Object.is(value, -0)) return '-0';
  return String(value);
}

/** A share of a whole: 12 %, < 0.1 %. */
export function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %';
  const percent = (100 * part) / whole;
  if (percent < 0.1) return '< 0.1 %';
  if (percent > 99.9 && part < whole) return '> 99.9 %';
  return `${Number(percent.toPrecision(3))} %`;
}

/** A shape: 3 × 3 × 32; a scalar's is "scalar"; a dimension that is not fixed is "?". */
export function shape(dimensions: readonly (number | null)[]): string {
  return dimensions.length === 0
    ? 'scalar'
    : dimensions.map((size) => (size === null ? '?' : String(size))).join(' × ');
}

/** A shape in as little room as can be, for edges and columns: 3×3×32. */
export function tightShape(dimensions: readonly (number | null)[]): string {
  return shape(dimensions).replaceAll(' × ', '×');
}

/** The beginning of a digest: sha256:32433a77…; enough to compare by eye. */
export function shortDigest(digest: string): string {
  const [algorithm, hex = ''] = digest.split(':');
  return hex.length > 12 ? `${algorithm}:${hex.slice(0, 12)}…` : digest;
}

/** A number of things: 1 part, 1,024 parts. */
export function counted(number: number, noun: string, plural = `${noun}s`): string {
  return `${integer(number)} ${number === 1 ? noun : plural}`;
}
