import { FactoryError, isAbort } from '../errors.ts';
import { negotiate } from './accept.ts';
import { HTML, JSON_TYPE, TEXT } from './content-type.ts';
import { html } from './html.ts';
import { jsonLine } from './json-line.ts';
import type { Message } from './result.ts';

/** An error as a caller may see it (`spec/http-api.md` §5). */
export interface PublicError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** The part of the work that failed. */
  readonly stage: Stage;
  /** True when the same request may succeed later. */
  readonly retryable: boolean;
  /** Seconds. */
  readonly retryAfter: number | undefined;
}

export type Stage = 'request' | 'schematic' | 'release' | 'fetch' | 'verify' | 'build' | 'internal';

const STATUS = {
  invalid: 400,
  unauthorized: 401,
  'not-enabled': 402,
  forbidden: 403,
  'not-found': 404,
  'too-large': 413,
  internal: 500,
  'not-implemented': 501,
  upstream: 502,
  unavailable: 503,
} as const;

/** First words of the codes of each folder. */
const STAGES: Readonly<Record<string, Stage>> = {
  HTTP: 'request',
  PATH: 'request',
  PROFILE: 'request',
  ARCH: 'request',
  PLATFORM: 'request',
  KERNEL: 'request',
  META: 'request',
  PXE: 'request',
  VERSION: 'release',
  VERSIONS: 'release',
  RELEASE: 'release',
  TALOSCTL: 'release',
  ARTIFACT: 'release',
  CATALOG: 'release',
  EXTENSION: 'release',
  OVERLAY: 'release',
  SCHEMATIC: 'schematic',
  OCI: 'fetch',
  REGISTRY: 'fetch',
  SIGNATURE: 'verify',
  SIGNING: 'verify',
  BUILD: 'build',
  BUILDS: 'build',
  TASK: 'build',
  WORKERS: 'build',
  STORE: 'build',
  PROGRAM: 'build',
};

const DEFAULT_RETRY_AFTER = 10;

/** Unknown errors and ours say nothing of their cause: that is for the log. */
export function publicError(error: unknown): PublicError {
  if (error instanceof FactoryError && error.kind !== 'internal') {
    const retryable = error.kind === 'upstream' || error.kind === 'unavailable';
    const fallback = retryable ? 'fetch' : 'request';
    return {
      status: STATUS[error.kind],
      code: error.code,
      message: error.message,
      stage: STAGES[error.code.split('_', 1)[0] ?? ''] ?? fallback,
      retryable,
      retryAfter: retryable ? Math.max(1, Math.ceil(error.retryAfter ?? DEFAULT_RETRY_AFTER)) : undefined,
    };
  }
  if (isAbort(error)) {
    return {
      status: 503,
      code: 'HTTP_TIMEOUT',
      message: 'service temporarily unavailable',
      stage: 'build',
      retryable: true,
      retryAfter: DEFAULT_RETRY_AFTER,
    };
  }
  return {
    status: 500,
    code: error instanceof FactoryError ? error.code : 'INTERNAL',
    message: 'internal server error',
    stage: 'internal',
    retryable: false,
    retryAfter: undefined,
  };
}

/** Names for the titles of RFC 9457 problems and of error pages. */
const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Feature Not Enabled',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  416: 'Range Not Satisfiable',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
};

/** Plain text is first: it is what clients without a preference get, and what old ones parse. */
const OFFERS = ['text/plain', 'application/problem+json', 'application/json', 'text/html'] as const;

export function errorMessage(error: PublicError, requestId: string, accept: string | undefined): Message {
  const headers: Record<string, string> = { 'Cache-Control': 'no-store' };
  if (error.retryAfter !== undefined) headers['Retry-After'] = String(error.retryAfter);
  if (error.status === 401) headers['WWW-Authenticate'] = 'Basic realm="Image Factory", charset="UTF-8"';
  const { status, code, message } = error;
  const title = TITLES[status] ?? 'Error';
  switch (negotiate(accept, OFFERS)) {
    case 'text/plain':
      return { kind: 'message', status, headers: { ...headers, 'Content-Type': TEXT }, body: `${message}\n` };
    case 'application/json': {
      const body = jsonLine({ error: { code, message, requestId } });
      return { kind: 'message', status, headers: { ...headers, 'Content-Type': JSON_TYPE }, body };
    }
    case 'application/problem+json': {
      const { stage, retryable } = error;
      const body = jsonLine({
        type: 'about:blank',
        title,
        status,
        detail: message,
        code,
        stage,
        requestId,
        retryable,
      });
      const type = 'application/problem+json';
      return { kind: 'message', status, headers: { ...headers, 'Content-Type': type }, body };
    }
    case 'text/html': {
      const body = html`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${status} ${title}</title>
<h1>${title}</h1>
<p>${message}</p>
<p><small>${code}, request ${requestId}</small></p>
<p><a href="/">Image Factory</a></p>
</html>
`;
      return { kind: 'message', status, headers: { ...headers, 'Content-Type': HTML }, body };
    }
  }
}

/** `outer: inner: …`, for the log; parts that a message repeats already are left out. */
export function errorChain(error: unknown): string {
  const parts: string[] = [];
  let current = error;
  for (let depth = 0; current !== undefined && current !== null && depth < 16; depth++) {
    const message = current instanceof Error ? current.message || current.name : String(current);
    if (!parts.some((part) => part.endsWith(message))) parts.push(message);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(': ');
}
