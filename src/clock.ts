/** Where code that needs the time gets it, so that tests decide it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/**
 * The time written into everything that is built (seconds): 2019-06-01T21:34:52Z.
 * One constant, so that the same recipe gives the same bytes on every day.
 */
export const SOURCE_DATE_EPOCH = 1559424892;
