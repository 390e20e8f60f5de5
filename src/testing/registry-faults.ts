/** What goes wrong with an answer. */
export type Fault =
  /** This status instead of the answer. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The answer, so many milliseconds later. */
  | { readonly kind: 'delay'; readonly milliseconds: number }
  /** The connection is closed before any answer. */
  | { readonly kind: 'reset' }
  /** Nothing is answered, the connection stays open. */
  | { readonly kind: 'hang' }
  /** The connection is closed after so many bytes of the body. */
  | { readonly kind: 'truncate'; readonly after: number }
  /** The body stops after so many bytes, the connection stays open. */
  | { readonly kind: 'stall'; readonly after: number }
  /** One byte of the body is another one. */
  | { readonly kind: 'corrupt'; readonly at?: number }
  /** These headers are left out. */
  | { readonly kind: 'without-headers'; readonly names: readonly string[] }
  /** These headers are added or replaced. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string>> }
  /** The body of the request is taken up to so many bytes, then the connection is closed. */
  | { readonly kind: 'reset-upload'; readonly after: number };

/** Which requests meet a fault: all of these must match. */
export interface FaultRule {
  readonly method?: string;
  /** On the path with its query. */
  readonly path?: RegExp | string;
  /** How many requests meet it; one when absent, `Infinity` for all. */
  readonly times?: number;
  /** How many matching requests pass before. */
  readonly skip?: number;
  readonly fault: Fault;
}

/** The faults that are still to come, in the order they were set. */
export class FaultPlan {
  readonly #rules: { readonly rule: FaultRule; times: number; skip: number }[] = [];

  add(rule: FaultRule): void {
    this.#rules.push({ rule, times: rule.times ?? 1, skip: rule.skip ?? 0 });
  }

  clear(): void {
    this.#rules.length = 0;
  }

  take(method: string, path: string): Fault | undefined {
    for (const planned of this.#rules) {
      const { rule } = planned;
      if (planned.times <= 0 || (rule.method !== undefined && rule.method !== method)) continue;
      const isMatch =
        rule.path === undefined ||
        (typeof rule.path === 'string' ? path.includes(rule.path) : rule.path.test(path));
      if (!isMatch) continue;
      if (planned.skip > 0) {
        planned.skip--;
        continue;
      }
      planned.times--;
      return rule.fault;
    }
    return undefined;
  }
}
