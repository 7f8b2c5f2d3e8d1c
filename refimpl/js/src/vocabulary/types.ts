// What schemas/core/vocabulary.json holds.

/** What is said of a value: a JSON schema of a few words, or a name of `defs`. */
export interface Kind {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly default?: unknown;
}

/** A variable or slot: its shape, and when it is there. */
export interface Place {
  readonly shape: readonly (string | number)[] | string;
  readonly when?: string | null;
  readonly trainable?: boolean;
  readonly initial?: string;
}

export interface OpEntry {
  readonly family: string;
  readonly inputs: readonly string[];
  readonly mask: string;
  readonly attrs?: Readonly<Record<string, Kind>>;
  readonly params?: Readonly<Record<string, Place>>;
  readonly modules?: readonly string[];
  /** Arguments of a call besides the inputs. */
  readonly call?: Readonly<Record<string, Kind>>;
  readonly outputs?: string;
  readonly random?: string;
}

export interface ObjectEntry {
  readonly attrs?: Readonly<Record<string, Kind>>;
  /** Of a metric: the names of its state with their shapes. */
  readonly state?: Readonly<Record<string, readonly (string | number)[]>>;
}

export interface OptimizerEntry {
  readonly hyperparameters?: Readonly<Record<string, Kind>>;
  readonly slots?: Readonly<Record<string, Place>>;
  readonly shared_slots?: Readonly<Record<string, Place>>;
  readonly wraps?: boolean;
}

type Objects = Readonly<Record<string, ObjectEntry>>;

export interface Vocabulary {
  readonly version: string;
  readonly defs: Readonly<Record<string, { readonly description: string }>>;
  readonly common_attrs: Readonly<Record<string, Kind>>;
  readonly ops: Readonly<Record<string, OpEntry>>;
  readonly activations: Objects;
  readonly common_hyperparameters: Readonly<Record<string, Kind>>;
  readonly common_slots: Readonly<Record<string, Place>>;
  readonly optimizers: Readonly<Record<string, OptimizerEntry>>;
  readonly initializers: Objects;
  readonly regularizers: Objects;
  readonly constraints: Objects;
  readonly losses: Objects;
  readonly metrics: Objects;
  readonly schedules: Objects;
}
