import { Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { FactoryError } from '../errors.ts';
import { hostnameOf, isInternalAddress, isLinkLocalAddress } from './endpoint.ts';
import { badAnswer, unreachable } from './errors.ts';

export interface TransportOptions {
  /** Certificate authorities (PEM) that are trusted beside the system's. */
  readonly authorities?: readonly string[];
  /** Proxy URLs as in `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`; the environment itself is not read here. */
  readonly proxies?: { readonly http?: string; readonly https?: string; readonly none?: string };
  /** Milliseconds. */
  readonly timeouts?: { readonly connect?: number; readonly headers?: number; readonly idleBody?: number };
}

export interface TransportRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent to the origin of the first URL only, never to where a redirect leads. */
  readonly authorization?: string | undefined;
  /** Called for each try: a body is read once. */
  readonly body?: (() => AsyncIterable<Uint8Array> | Uint8Array) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Certificates are not verified. */
  readonly unverified?: boolean;
  /** Redirects to plain HTTP and to internal addresses are followed too. */
  readonly trustRedirects?: boolean;
  readonly maxRedirects?: number;
}

/** An answer whose body has not been read: it must be read, or `discard`ed. */
export interface TransportAnswer {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  header(name: string): string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Breaks the body off. */
  destroy(): void;
  /** Reads the rest away when it is small, so that the connection can be used again. */
  discard(): Promise<void>;
  /** The whole body; an error when it is larger than `limit` bytes. */
  bytes(limit: number): Promise<Uint8Array>;
}

const DEFAULT_TIMEOUTS = { connect: 30_000, headers: 60_000, idleBody: 60_000 };
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const USER_AGENT = 'image-factory';

/** HTTP with pooled connections, proxies, time-outs and redirects that do not leak credentials. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #dispatchers = new Map<string, Dispatcher>();
  #isClosed = false;

  constructor(options: TransportOptions = {}) {
    this.#options = options;
  }

  /**
   * Sends a request and follows redirects. Errors: `FactoryError` (`OCI_UNREACHABLE`, `OCI_TLS_UNTRUSTED`,
   * `OCI_REDIRECT_REFUSED`), or the signal's reason.
   */
  async request(start: URL, request: TransportRequest): Promise<TransportAnswer> {
    let url = start;
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#once(url, request, url.origin === start.origin);
      const location = answer.header('location');
      if (!REDIRECTS.has(answer.status) || location === undefined) return answer;
      await answer.discard();
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      if (!isRead && answer.status !== 307 && answer.status !== 308) {
        throw badAnswer(
          'OCI_REDIRECT_REFUSED',
          `${url.host} redirects a ${request.method} request with status ${answer.status}`,
        );
      }
      if (redirects >= (request.maxRedirects ?? 5)) {
        throw badAnswer('OCI_REDIRECT_REFUSED', `${start.host} redirects too often`);
      }
      url = redirectTarget(start, url, location, request.trustRedirects ?? false);
    }
  }

  /** Breaks off all requests; later ones fail with `OCI_CLIENT_CLOSED`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const all = [...this.#dispatchers.values()];
    this.#dispatchers.clear();
    await Promise.all(all.map((dispatcher) => dispatcher.destroy()));
  }

  async #once(url: URL, request: TransportRequest, isHome: boolean): Promise<TransportAnswer> {
    const content = request.body?.();
    const body =
      content === undefined || content instanceof Uint8Array
        ? content
        : Readable.from(content, { objectMode: false });
    const authorization = isHome ? request.authorization : undefined;
    try {
      request.signal?.throwIfAborted();
      if (this.#isClosed) throw closed(url.host);
      const answer = await this.#dispatcher(url.protocol, request.unverified ?? false).request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: request.method,
        headers: {
          'user-agent': USER_AGENT,
          ...request.headers,
          ...(authorization === undefined ? {} : { authorization }),
        },
        body: body ?? null,
        signal: request.signal ?? null,
      });
      return new Answer(answer, url, request.signal);
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      if (this.#isClosed) throw closed(url.host);
      throw unreachable(url.host, error);
    } finally {
      // An answer may come before all of the body was sent: its source must not stay open.
      if (body instanceof Readable) body.destroy();
    }
  }

  #dispatcher(protocol: string, unverified: boolean): Dispatcher {
    const key = `${protocol}${unverified ? ' unverified' : ''}`;
    const known = this.#dispatchers.get(key);
    if (known !== undefined) return known;
    const { authorities = [], proxies = {} } = this.#options;
    const timeouts = { ...DEFAULT_TIMEOUTS, ...this.#options.timeouts };
    const tls = authorities.length === 0 ? {} : { ca: [...getCACertificates('default'), ...authorities] };
    const targetTls = { ...tls, rejectUnauthorized: !unverified };
    const made = new EnvHttpProxyAgent({
      // Empty texts, not absent ones: those would be taken from this process's environment. One agent a scheme,
      // because it would send HTTPS through the proxy for HTTP when there is no other.
      httpProxy: protocol === 'http:' ? (proxies.http ?? '') : '',
      httpsProxy: protocol === 'https:' ? (proxies.https ?? '') : '',
      noProxy: ['localhost', '127.0.0.1', '::1', proxies.none].filter(Boolean).join(','),
      connect: { ...targetTls, timeout: timeouts.connect },
      requestTls: targetTls,
      // The proxy is not the registry: what is insecure there is not here.
      proxyTls: tls,
      headersTimeout: timeouts.headers,
      bodyTimeout: timeouts.idleBody,
      keepAliveTimeout: 90_000,
      keepAliveMaxTimeout: 90_000,
      // One connection a transfer: a paused download then cannot hold up another one on the same connection.
      allowH2: false,
      pipelining: 1,
    });
    this.#dispatchers.set(key, made);
    return made;
  }
}

function closed(host: string): FactoryError {
  return new FactoryError(
    'unavailable',
    'OCI_CLIENT_CLOSED',
    `the registry client is closed: ${host} is not asked`,
  );
}

function redirectTarget(start: URL, from: URL, location: string, trust: boolean): URL {
  if (!URL.canParse(location, from.href)) {
    throw badAnswer('OCI_REDIRECT_REFUSED', `${from.host} redirects to something that is not a URL`);
  }
  const target = new URL(location, from);
  const refuse = (why: string): never => {
    throw badAnswer('OCI_REDIRECT_REFUSED', `${from.host} redirects to ${target.host}: ${why}`);
  };
  if (target.protocol !== 'https:' && target.protocol !== 'http:') refuse('not an HTTP address');
  if (target.username !== '' || target.password !== '') refuse('an address with credentials in it');
  if (from.protocol === 'https:' && target.protocol === 'http:' && !trust) refuse('from HTTPS to plain HTTP');
  const hostname = hostnameOf(target.host);
  const isElsewhere = hostname !== hostnameOf(start.host);
  if (isElsewhere && (isLinkLocalAddress(hostname) || (!trust && isInternalAddress(hostname)))) {
    refuse('an internal address');
  }
  return target;
}

class Answer implements TransportAnswer {
  readonly status: number;
  readonly url: URL;
  readonly #data: Dispatcher.ResponseData;
  readonly #signal: AbortSignal | undefined;

  constructor(data: Dispatcher.ResponseData, url: URL, signal: AbortSignal | undefined) {
    this.#data = data;
    this.#signal = signal;
    this.status = data.statusCode;
    this.url = url;
    // A body that breaks while nobody reads it must not end the process; readers get the error all the same.
    data.body.on('error', () => {});
  }

  header(name: string): string | undefined {
    const value = this.#data.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of this.#data.body) yield chunk as Uint8Array;
    } catch (error) {
      if (this.#signal?.aborted) throw this.#signal.reason;
      throw unreachable(this.url.host, error);
    }
  }

  destroy(): void {
    this.#data.body.destroy();
  }

  async discard(): Promise<void> {
    try {
      await this.#data.body.dump({ limit: 64 * 1024 });
    } catch {
      // The answer's body was not wanted; how it ended does not matter.
      this.destroy();
    }
  }

  async bytes(limit: number): Promise<Uint8Array> {
    const declared = Number(this.header('content-length') ?? 0);
    const chunks: Uint8Array[] = [];
    let size = declared;
    if (declared <= limit) {
      size = 0;
      for await (const chunk of this.body) {
        size += chunk.length;
        if (size > limit) break;
        chunks.push(chunk);
      }
    }
    if (size > limit) {
      this.destroy();
      throw badAnswer(
        'OCI_RESPONSE_TOO_LARGE',
        `${this.url.host} answered with more than ${limit} bytes where that is the most`,
      );
    }
    return Buffer.concat(chunks);
  }
}
