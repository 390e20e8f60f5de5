/** The thresholds of `--log-level`, in the order of their weight, with the numbers that order them. */
export const LEVEL_VALUES = {
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  dpanic: 60,
  panic: 70,
  fatal: 80,
} as const;

export type LogLevel = keyof typeof LEVEL_VALUES;

export const LOG_LEVELS: readonly string[] = Object.keys(LEVEL_VALUES);

/** A level in any case, also `warning`; an empty text is `info`; `undefined` when it is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const folded = text.toLowerCase();
  if (folded === '') return 'info';
  if (folded === 'warning') return 'warn';
  return isLevel(folded) ? folded : undefined;
}

function isLevel(text: string): text is LogLevel {
  return Object.hasOwn(LEVEL_VALUES, text);
}
