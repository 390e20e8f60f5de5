import type { Log, LogFields } from '../log.ts';
import { errorChain } from './error-response.ts';

export interface AccessRecord {
  readonly method: string;
  /** Decoded, without the query: tokens travel in queries. */
  readonly path: string;
  /** 499 when the client went away. */
  readonly status: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly remote: string | undefined;
  readonly userAgent: string | undefined;
  readonly error: unknown;
}

/** The line of a request (`spec/http-api.md` §7); `log` carries the request id. Never sampled. */
export function logAccess(log: Log, record: AccessRecord): void {
  const level = levelOf(record.status, record.error);
  const fields: LogFields = {
    frontend: 'http',
    method: record.method,
    path: record.path,
    status: record.status,
    duration: record.seconds,
    bytes: record.bytes,
    ...(record.remote === undefined ? {} : { remote: record.remote }),
    ...(record.userAgent === undefined ? {} : { user_agent: record.userAgent.slice(0, 256) }),
    ...(record.error === undefined ? {} : { error: errorChain(record.error) }),
    ...(level === 'error' && record.error instanceof Error ? { stacktrace: record.error.stack } : {}),
  };
  log[level]('request', fields);
}

/** §5: the caller's and the upstream's faults warn, ours are errors; who went away is nobody's fault. */
function levelOf(status: number, error: unknown): 'info' | 'warn' | 'error' {
  if (status === 499) return 'info';
  if (status === 500) return 'error';
  if (status >= 400) return 'warn';
  // An answer that broke off after its headers: the status looks well, the body was not.
  return error === undefined ? 'info' : 'error';
}
