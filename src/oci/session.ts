import type { Clock } from '../clock.ts';
import { isAbort } from '../errors.ts';
import { Authorizer, type Scope } from './authorization.ts';
import { parseChallenges } from './challenge.ts';
import type { Credential, CredentialFinder } from './credentials.ts';
import { hostnameOf, isInternalAddress, isLinkLocalAddress, isPlainHttpHost } from './endpoint.ts';
import { badAnswer, refused } from './errors.ts';
import { isRetriedStatus, isTransient, parseRetryAfter, pause, type RetryPolicy } from './retry.ts';
import type { Transport, TransportAnswer, TransportRequest } from './transport.ts';

export interface SessionParts {
  /** `host[:port]`. */
  readonly host: string;
  readonly insecure: boolean;
  readonly transport: Transport;
  readonly credentials: CredentialFinder;
  readonly retry: RetryPolicy;
  readonly clock: Clock;
}

export interface SessionRequest extends Pick<TransportRequest, 'method' | 'headers' | 'body' | 'signal'> {
  /** Below the registry (`/v2/...`), or a whole address that the registry gave. */
  readonly target: string | URL;
  /** The repository's path there, which credentials are looked up for. */
  readonly path: string;
  readonly scopes: readonly Scope[];
  /** For errors: `manifest v1.2.3 of ghcr.io/x/y`. */
  readonly what: string;
  /** Statuses that the caller deals with; others are errors. */
  readonly expected: readonly number[];
  /** Whether trouble is met with another try (true unless told). */
  readonly retried?: boolean;
}

/** The wait before plain HTTP is tried beside an HTTPS connection that does not come about. */
const HTTP_HEAD_START = 300;
const MAX_ERROR_TEXT = 16 * 1024;

/** A talk with one registry: its scheme, its challenge, tokens. Thrown away when credentials may have changed. */
export class Session {
  readonly #parts: SessionParts;
  readonly #credentials = new Map<string, Promise<Credential>>();
  #contact: Promise<{ readonly origin: URL; readonly authorizer: Authorizer }> | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /** Sends a request with credentials and tries; the answer has one of the expected statuses. */
  async send(request: SessionRequest): Promise<TransportAnswer> {
    const { retry, clock, host } = this.#parts;
    const { signal } = request;
    for (let attempt = 1; ; attempt++) {
      let retryAfter: number | undefined;
      let failure: unknown;
      try {
        const answer = await this.#authorized(request);
        if (request.expected.includes(answer.status)) return answer;
        retryAfter = parseRetryAfter(answer.header('retry-after'), clock.now());
        const status = answer.status;
        failure = refused(host, request.what, status, await errorText(answer), retryAfter);
        if (!isRetriedStatus(status)) throw failure;
      } catch (error) {
        if (signal?.aborted || isAbort(error) || !isTransient(error)) throw error;
        failure = error;
      }
      if (request.retried === false || !(await pause(retry, attempt, retryAfter, signal))) throw failure;
    }
  }

  /** The registry's own address. */
  async origin(signal?: AbortSignal): Promise<URL> {
    return (await this.#connect(signal)).origin;
  }

  async #authorized(request: SessionRequest): Promise<TransportAnswer> {
    const { origin, authorizer } = await this.#connect(request.signal);
    const url = this.#resolve(origin, request.target);
    const isHome = url.origin === origin.origin;
    // Two challenges at most: one for a token that expired, one for a scope that was not known to be needed.
    for (let challenges = 0; ; challenges++) {
      const authorization = isHome
        ? await authorizer.header(request.path, request.scopes, request.signal)
        : undefined;
      const answer = await this.#parts.transport.request(url, {
        method: request.method,
        headers: request.headers ?? {},
        body: request.body,
        signal: request.signal,
        authorization,
        unverified: this.#parts.insecure,
        trustRedirects: this.#isPlainAllowed(),
      });
      if (answer.status !== 401 || answer.url.origin !== origin.origin || challenges >= 2) return answer;
      const offered = parseChallenges(answer.header('www-authenticate') ?? '');
      if (!authorizer.accept(request.path, offered, authorization)) return answer;
      await answer.discard();
    }
  }

  /** A registry behind a proxy may write `http:` into addresses of itself: they stay on HTTPS. */
  #resolve(origin: URL, target: string | URL): URL {
    const url = new URL(target, origin);
    if (url.host === origin.host && url.protocol === 'http:' && origin.protocol === 'https:') {
      url.protocol = 'https:';
    }
    if (url.protocol !== 'https:' && url.protocol !== 'http:') {
      throw badAnswer('OCI_REDIRECT_REFUSED', `${origin.host} names an address of scheme ${url.protocol}`);
    }
    if (url.protocol === 'http:' && origin.protocol === 'https:' && !this.#isPlainAllowed()) {
      throw badAnswer('OCI_REDIRECT_REFUSED', `${origin.host} names ${url.host} over plain HTTP`);
    }
    const isElsewhere = hostnameOf(url.host) !== hostnameOf(origin.host);
    const isForbidden = this.#isPlainAllowed() ? isLinkLocalAddress : isInternalAddress;
    if (isElsewhere && isForbidden(hostnameOf(url.host))) {
      throw badAnswer('OCI_REDIRECT_REFUSED', `${origin.host} names the internal address ${url.host}`);
    }
    return url;
  }

  #isPlainAllowed(): boolean {
    return this.#parts.insecure || isPlainHttpHost(this.#parts.host);
  }

  #connect(signal: AbortSignal | undefined): Promise<{ origin: URL; authorizer: Authorizer }> {
    if (this.#contact === undefined) {
      // Shared by everyone who waits, so no one's signal ends it; the transport's time-outs do.
      const contact = this.#firstContact();
      this.#contact = contact;
      contact.catch(() => {
        if (this.#contact === contact) this.#contact = undefined;
      });
    }
    return signal === undefined ? this.#contact : abortable(this.#contact, signal);
  }

  async #firstContact(): Promise<{ origin: URL; authorizer: Authorizer }> {
    const answer = await this.#ping();
    const origin = new URL(answer.origin);
    const authorizer = new Authorizer({
      origin,
      transport: this.#parts.transport,
      unverified: this.#parts.insecure,
      credential: (path, signal) => this.#credential(path, signal),
      retry: this.#parts.retry,
      clock: this.#parts.clock,
    });
    if (answer.status === 401) authorizer.accept('', parseChallenges(answer.challenge), undefined);
    return { origin, authorizer };
  }

  async #ping(): Promise<Ping> {
    const { host } = this.#parts;
    if (!this.#isPlainAllowed()) return this.#pingOrigin(`https://${host}`);
    const race = new AbortController();
    const secure = this.#pingOrigin(`https://${host}`, race.signal);
    const started = Promise.withResolvers<void>();
    const timer = setTimeout(() => started.resolve(), HTTP_HEAD_START);
    secure.catch(() => started.resolve());
    const plain = (async (): Promise<Ping> => {
      await started.promise;
      const answer = await this.#pingOrigin(`http://${host}`, race.signal);
      // What a TLS server says to plain HTTP.
      if (answer.status === 400) {
        throw refused(host, 'the first contact over plain HTTP', answer.status, '');
      }
      return answer;
    })();
    try {
      return await Promise.any([secure, plain]);
    } catch (error) {
      // The trouble with HTTPS says more, unless nothing but HTTP is spoken there.
      const [bySecure, byPlain] = error instanceof AggregateError ? error.errors : [error, error];
      throw isTransient(bySecure) ? byPlain : bySecure;
    } finally {
      clearTimeout(timer);
      // The slower one is not needed any more.
      race.abort();
      started.resolve();
    }
  }

  async #pingOrigin(origin: string, signal?: AbortSignal): Promise<Ping> {
    const answer = await this.#parts.transport.request(new URL('/v2/', origin), {
      method: 'GET',
      signal,
      unverified: this.#parts.insecure,
      trustRedirects: this.#isPlainAllowed(),
    });
    const challenge = answer.header('www-authenticate') ?? '';
    await answer.discard();
    return { origin, status: answer.status, challenge };
  }

  /** Looked up once a session and repository: a credential helper is a program to run. */
  #credential(path: string, signal: AbortSignal | undefined): Promise<Credential> {
    let found = this.#credentials.get(path);
    if (found === undefined) {
      found = this.#parts.credentials(this.#parts.host, path);
      this.#credentials.set(path, found);
      found.catch(() => this.#credentials.delete(path));
    }
    return signal === undefined ? found : abortable(found, signal);
  }
}

interface Ping {
  readonly origin: string;
  readonly status: number;
  readonly challenge: string;
}

/** Stops waiting when the signal aborts; the work itself goes on for the others. */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** The first error of an OCI error answer, cut short and made printable. */
async function errorText(answer: TransportAnswer): Promise<string> {
  try {
    const body = Buffer.from(await answer.bytes(MAX_ERROR_TEXT)).toString('utf8');
    const parsed: { errors?: { code?: unknown; message?: unknown }[] } | null = JSON.parse(body);
    const first = parsed?.errors?.[0];
    return [first?.code, first?.message]
      .filter((part) => typeof part === 'string')
      .join(' ')
      .replaceAll(/[^\x20-\x7e]/g, '?')
      .slice(0, 200);
  } catch {
    // The status alone tells enough when the body is not of that form.
    answer.destroy();
    return '';
  }
}
