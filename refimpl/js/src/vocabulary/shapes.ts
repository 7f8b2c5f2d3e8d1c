// The shapes that the core vocabulary gives to variables (CV-7).

type Sizes = ReadonlyMap<string, number | readonly number[] | boolean>;

/**
 * What the names in the shapes of a module mean: attributes, and what its variables fix.
 *
 * A name means the same in all variables of the module, so each variable is matched with what those before it fixed.
 */
export class Shapes {
  readonly #attrs: Sizes;
  readonly #fixed = new Map<string, number>();
  readonly #runs = new Map<string, readonly number[]>();

  constructor(attrs: Sizes) {
    this.#attrs = attrs;
  }

  /** Whether a variable has a shape of the vocabulary. */
  matches(terms: readonly (string | number)[] | string, shape: readonly number[]): boolean {
    if (typeof terms === 'string') return true;
    const tail = terms.slice(terms.findIndex((term) => this.#isOpen(term)) + 1);
    const open = terms.some((term) => this.#isOpen(term));
    let place = 0;
    for (const term of terms) {
      if (this.#isOpen(term)) {
        const run = shape.slice(place, shape.length - this.#widthOf(tail));
        if (term !== '...' && !this.#same(String(term), run)) return false;
        place += run.length;
      } else {
        const next = this.#step(term, shape, place);
        if (next === null) return false;
        place = next;
      }
    }
    return place === shape.length || (open && place <= shape.length && place === shape.length);
  }

  /** Whether nothing fixes how many axes a term stands for. */
  #isOpen(term: string | number): boolean {
    if (term === '...') return true;
    return typeof term === 'string' && term.startsWith('*') && term !== '*1' && this.#list(term.slice(1)) === undefined;
  }

  #list(name: string): readonly number[] | undefined {
    const value = this.#attrs.get(name);
    return Array.isArray(value) ? value : undefined;
  }

  #widthOf(terms: readonly (string | number)[]): number {
    let width = 0;
    for (const term of terms) {
      if (typeof term === 'string' && term.startsWith('*')) width += this.#runOf(term)?.length ?? 0;
      else if (typeof term === 'string' && term.includes('?')) width += this.#isThere(term) ? 1 : 0;
      else width += 1;
    }
    return width;
  }

  #isThere(term: string): boolean {
    return this.#attrs.get(term.split('?')[1] as string) === true;
  }

  /** The sizes that a term for several axes stands for; null stands for a size that a variable fixes. */
  #runOf(term: string): readonly (number | null)[] | undefined {
    if (term === '*1') return (this.#list('kernel_size') ?? []).map(() => 1);
    const list = this.#list(term.slice(1));
    return term === '*axes' ? list?.map(() => null) : list;
  }

  /** The place behind a term, or null where the shape has something else there. */
  #step(term: string | number, shape: readonly number[], place: number): number | null {
    if (typeof term === 'string' && term.startsWith('*')) {
      const run = this.#runOf(term) ?? [];
      const there = shape.slice(place, place + run.length);
      if (there.length !== run.length || run.some((size, i) => size !== null && size !== there[i])) return null;
      return term === '*axes' && !this.#same(term, there) ? null : place + run.length;
    }
    if (typeof term === 'string' && term.includes('?')) {
      if (!this.#isThere(term)) return place;
      return shape[place] === Number(term.split('?')[0]) ? place + 1 : null;
    }
    const size = shape[place];
    return size !== undefined && this.#fits(term, size) ? place + 1 : null;
  }

  /** Whether a run of sizes is the one that its name has stood for before. */
  #same(name: string, run: readonly number[]): boolean {
    const before = this.#runs.get(name);
    this.#runs.set(name, before ?? run);
    return before === undefined || before.join() === run.join();
  }

  /** Whether a size is that of a term: a number, a name, `4*name`, `name*other` or `name/other`. */
  #fits(term: string | number, size: number): boolean {
    if (typeof term === 'number') return term === size;
    const [left, right] = term.split(/[*/]/) as [string, string | undefined];
    if (right === undefined) return this.#bind(left, size);
    if (term.includes('/')) return this.#bind(left, size * (this.#size(right) ?? 1));
    const factor = /^[0-9]+$/.test(left) ? Number(left) : this.#size(right);
    const name = /^[0-9]+$/.test(left) ? right : left;
    if (factor === undefined || factor === 0) return size === 0;
    return size % factor === 0 && this.#bind(name, size / factor);
  }

  #size(name: string): number | undefined {
    const value = this.#attrs.get(name);
    return typeof value === 'number' ? value : this.#fixed.get(name);
  }

  /** Whether a name stands for a size, which it does from now on if nothing fixed it before. */
  #bind(name: string, size: number): boolean {
    const known = this.#size(name);
    if (known === undefined) this.#fixed.set(name, size);
    return known === undefined || known === size;
  }
}
