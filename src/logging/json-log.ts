import { AsyncLocalStorage } from 'node:async_hooks';
import { pino } from 'pino';
import type { Clock } from '../clock.ts';
import type { Log, LogFields } from '../log.ts';
import type { LogLevel } from './levels.ts';
import { LEVEL_VALUES } from './levels.ts';
import { redactField, redactText } from './redact.ts';

export interface JsonLogOptions {
  readonly level: LogLevel;
  /** Takes whole lines, each ended. */
  readonly destination: { write(line: string): void };
  readonly clock: Clock;
}

/** Names that the line itself uses. */
const RESERVED = new Set(['level', 'ts', 'msg', 'stacktrace']);

/**
 * A log of JSON lines: `level`, `ts` (Unix seconds with fractions), `msg`, then the fields; from `error` on also
 * `stacktrace`. Nothing is sampled. Fields and texts are freed of secrets (`spec/configuration.md` §7).
 */
export function jsonLog(options: JsonLogOptions): Log {
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'msg',
      errorKey: 'error',
      customLevels: LEVEL_VALUES,
      useOnlyCustomLevels: true,
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"ts":${(options.clock.now() / 1000).toFixed(6)}`,
    },
    options.destination,
  );
  const course = new AsyncLocalStorage<LogFields>();
  const make = (bound: LogFields): Log => {
    const write = (level: 'debug' | 'info' | 'warn' | 'error', message: string, given?: LogFields): void => {
      if (!logger.isLevelEnabled(level)) return;
      const fields = { ...course.getStore(), ...bound, ...given };
      const line: Record<string, unknown> = { msg: redactText(message) };
      for (const [name, value] of Object.entries(fields)) {
        if (value !== undefined) line[RESERVED.has(name) ? `${name}_` : name] = redactField(name, value);
      }
      if (level === 'error') line.stacktrace = stackOf(fields.error);
      logger[level](line);
    };
    return {
      debug: (message, fields) => write('debug', message, fields),
      info: (message, fields) => write('info', message, fields),
      warn: (message, fields) => write('warn', message, fields),
      error: (message, fields) => write('error', message, fields),
      with: (fields) => make({ ...bound, ...fields }),
      within: (fields, work) => course.run({ ...course.getStore(), ...fields }, work),
    };
  };
  return make({});
}

/** Where the error came from, with its causes; where the line was written when no error was given. */
function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return frames(new Error().stack, 3);
  const stacks: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    stacks.push(current.stack ?? String(current));
    current = current.cause;
  }
  return redactText(stacks.join('\ncaused by: '));
}

/** A stack without its first line and without the frames of the log itself. */
function frames(stack: string | undefined, own: number): string {
  return (stack ?? '')
    .split('\n')
    .slice(1 + own)
    .map((line) => line.trim())
    .join('\n');
}
