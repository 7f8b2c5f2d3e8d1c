// Values of SPEC.md chapter 5 as JavaScript has them.

/** A list that is a tuple in the framework that wrote it. */
export class Tuple extends Array<Value> {}

/** A complex number (`$complex`). */
export class Complex {
  readonly re: number;
  readonly im: number;

  constructor(re: number, im: number) {
    this.re = re;
    this.im = im;
  }
}

/** A slice of Python (`$slice`). */
export class Slice {
  readonly start: Value;
  readonly stop: Value;
  readonly step: Value;

  constructor(start: Value, stop: Value, step: Value) {
    this.start = start;
    this.stop = stop;
    this.step = step;
  }
}

/** `...` of Python (`$ellipsis`). */
export class Ellipsis {}

/** A dtype as a value (`$dtype`). */
export class DtypeRef {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A small tensor that stands in the document itself. */
export class TensorValue {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Its elements, row-major, little-endian. */
  readonly data: Uint8Array;

  constructor(dtype: string, shape: readonly number[], data: Uint8Array) {
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }
}

/** A map with other keys than texts. */
export class Pairs {
  readonly pairs: readonly (readonly [Value, Value])[];

  constructor(pairs: readonly (readonly [Value, Value])[]) {
    this.pairs = pairs;
  }
}

/** An object of a class, as data: nothing is looked up or called for it (V-9). */
export class ObjectValue {
  /** `namespace:name`. */
  readonly className: string;
  readonly config: Value;
  /** Objects of one document with the same number are one object; null where it is its own. */
  readonly shared: number | null;
  readonly residue: Attrs;

  constructor(className: string, config: Value, shared: number | null = null, residue: Attrs = emptyAttrs()) {
    this.className = className;
    this.config = config;
    this.shared = shared;
    this.residue = residue;
  }
}

/** The path of a variable (`$variable`). */
export class VariableRef {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }
}

/** The path of a module (`$module`). */
export class ModuleRef {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }
}

/** The output number `index` of a call of the same graph. */
export class OutputRef {
  readonly call: string;
  readonly index: number;

  constructor(call: string, index: number) {
    this.call = call;
    this.index = index;
  }
}

/** The name of an asset (`$asset`). */
export class AssetRef {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A tensor of the document's own index. */
export class StoredRef {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A map with texts as keys; it has no prototype, so that no key is special. */
export interface Attrs {
  [key: string]: Value;
}

/** A value. Integers beyond those of a number are bigint; integers and floats are both number (`document` tells them apart). */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Value[]
  | Complex
  | Slice
  | Ellipsis
  | DtypeRef
  | TensorValue
  | Pairs
  | ObjectValue
  | VariableRef
  | ModuleRef
  | OutputRef
  | AssetRef
  | StoredRef
  | Attrs;

export function emptyAttrs(): Attrs {
  return Object.create(null) as Attrs;
}
