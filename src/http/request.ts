import type { Log } from '../log.ts';

/** What a handler may know about a request. No type of a server framework. */
export interface RequestFacts {
  /** Upper case. */
  readonly method: string;
  /** Percent-decoded, without the query. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** `Host` or `:authority`, as sent. */
  readonly host: string | undefined;
  readonly requestId: string;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** Lines carry the request id. */
  readonly log: Log;
  /** The value of a request header; repeated ones are joined by `, `. */
  header(name: string): string | undefined;
  /** The whole body; throws kind `too-large` beyond `limit` bytes, without reading further. */
  body(limit: number): Promise<Uint8Array>;
}
