/** Values that may stand in a log line. Never secrets: no kernel arguments, machine configuration, tokens. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The structured log: one JSON line a call. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines all carry `fields` (for example `request_id`). */
  with(fields: LogFields): Log;
}

const nothing = (): void => {};

/** Says nothing: for tests and for library use. */
export const silentLog: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  with: () => silentLog,
};
