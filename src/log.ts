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
  /**
   * Runs `work`; all lines of this log and those made from the same one that are written in its course, also after it
   * has returned or by what it has started, carry `fields`.
   */
  within<T>(fields: LogFields, work: () => T): T;
}

const nothing = (): void => {};

/** Says nothing: for tests and for library use. */
export const silentLog: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  with: () => silentLog,
  within: (_, work) => work(),
};
