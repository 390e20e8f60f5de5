import type { Header } from './conditions.ts';
import type { HeaderFields } from './result.ts';

/** `spec/http-api.md` §3.2, to the letter: read-only access for browsers of any allowed origin. */
const METHODS: ReadonlySet<string> = new Set(['HEAD', 'GET', 'OPTIONS']);
const REQUEST_HEADERS: ReadonlySet<string> = new Set(['cache-control']);
const EXPOSED = 'Content-Disposition, Content-Length, Content-Type';

/** An empty list, and `*` anywhere in it, allow every origin. */
export interface Cors {
  /** `Access-Control-Allow-Origin` for an `Origin`; `undefined` when it is not allowed. */
  allowOrigin(origin: string | undefined): string | undefined;
}

export function cors(allowedOrigins: readonly string[]): Cors {
  const entries = allowedOrigins.map((entry) => entry.toLowerCase());
  const all = entries.length === 0 || entries.includes('*');
  return {
    allowOrigin(origin) {
      if (origin === undefined || origin === '') return undefined;
      if (all) return '*';
      return entries.some((entry) => originMatches(entry, origin.toLowerCase())) ? origin : undefined;
    },
  };
}

/** An entry with one `*` inside is a prefix and a suffix; the `*` may stand for nothing. */
function originMatches(entry: string, origin: string): boolean {
  const star = entry.indexOf('*');
  if (star < 0) return entry === origin;
  const prefix = entry.slice(0, star);
  const suffix = entry.slice(star + 1);
  return (
    origin.length >= prefix.length + suffix.length && origin.startsWith(prefix) && origin.endsWith(suffix)
  );
}

export function isPreflight(method: string, header: Header): boolean {
  return method === 'OPTIONS' && (header('access-control-request-method') ?? '') !== '';
}

/** Headers of the 204 that answers a preflight, whatever its path. */
export function preflightHeaders(policy: Cors, header: Header): HeaderFields {
  const vary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
  const origin = policy.allowOrigin(header('origin'));
  const method = header('access-control-request-method') ?? '';
  const requested = header('access-control-request-headers') ?? '';
  if (origin === undefined || !METHODS.has(method) || !headersAllowed(requested)) return { Vary: vary };
  return {
    Vary: vary,
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Allow-Methods': method,
    ...(requested === '' ? {} : { 'Access-Control-Allow-Headers': requested }),
  };
}

function headersAllowed(requested: string): boolean {
  return requested === '' || requested.split(',').every((name) => REQUEST_HEADERS.has(name.trim()));
}

/** Headers that every other answer carries; a `Vary` of the answer itself is added to ours by the caller. */
export function corsHeaders(policy: Cors, method: string, header: Header): HeaderFields {
  const origin = METHODS.has(method) ? policy.allowOrigin(header('origin')) : undefined;
  return origin === undefined
    ? {}
    : { 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': EXPOSED };
}
