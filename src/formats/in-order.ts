export interface InOrderOptions<T> {
  /** What one item holds in memory (bytes). */
  readonly cost: (item: T) => number;
  /** The most of it at a time; one item alone may be larger. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/** The most items at a time, however little they cost. */
const ITEMS = 128;

/**
 * The results of `work` in the order of the items, while later items are worked on already. When the consumer
 * stops or an item fails, the signal given to `work` aborts, and the generator ends after all that was begun.
 */
export async function* inOrder<T, R>(
  items: Iterable<T>,
  work: (item: T, signal: AbortSignal) => Promise<R>,
  options: InOrderOptions<T>,
): AsyncGenerator<R, void, undefined> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const begun: { readonly cost: number; readonly result: Promise<R> }[] = [];
  let held = 0;
  try {
    for (const item of items) {
      const cost = options.cost(item);
      while (begun.length > 0 && (held + cost > options.limit || begun.length >= ITEMS)) yield await next();
      signal.throwIfAborted();
      const result = work(item, signal);
      // Its failure is thrown when its turn comes; until then it is not unhandled.
      result.catch(() => {});
      begun.push({ cost, result });
      held += cost;
    }
    while (begun.length > 0) yield await next();
  } finally {
    stop.abort();
    await Promise.allSettled(begun.map((entry) => entry.result));
  }

  async function next(): Promise<R> {
    const entry = begun.shift();
    if (entry === undefined) throw new RangeError('nothing was begun');
    signal.throwIfAborted();
    held -= entry.cost;
    return await entry.result;
  }
}
