import { FactoryError } from '../errors.ts';
import { type Scope, scopeOf } from './authorization.ts';
import { type Endpoint, endpointOf } from './endpoint.ts';
import { badAnswer } from './errors.ts';
import { OCI_INDEX } from './media-types.ts';
import type { RepositoryName } from './names.ts';
import { nextPage } from './pagination.ts';
import { isTransient, type RetryPolicy } from './retry.ts';
import type { Session, SessionRequest } from './session.ts';
import type { TransportAnswer } from './transport.ts';

/** What a repository asks of its session: the rest follows from the repository. */
export interface RemoteRequest extends Omit<SessionRequest, 'path' | 'scopes' | 'signal'> {
  readonly push?: boolean;
  readonly extraScopes?: readonly Scope[];
  readonly signal?: AbortSignal | undefined;
}

const MAX_PAGE = 8 << 20;
const MAX_PAGES = 1000;

/** The requests of one repository of a registry: its paths, scopes, and small answers read whole. */
export class RepositoryRequests {
  readonly name: RepositoryName;
  readonly endpoint: Endpoint;
  readonly #session: () => Session;
  readonly #retry: RetryPolicy;

  /** `session`: the one of now, rebuilt when the old one is too old. */
  constructor(name: RepositoryName, session: () => Session, retry: RetryPolicy) {
    this.name = name;
    this.endpoint = endpointOf(name);
    this.#session = session;
    this.#retry = retry;
  }

  send(request: RemoteRequest): Promise<TransportAnswer> {
    const { push = false, extraScopes = [], what, signal, ...rest } = request;
    const { path } = this.endpoint;
    return this.#session().send({
      ...rest,
      signal,
      what: `${what} of ${this.name}`,
      path,
      scopes: [scopeOf(path, push ? 'pull,push' : 'pull'), ...extraScopes],
    });
  }

  url(rest: string): string {
    return `/v2/${this.endpoint.path}/${rest}`;
  }

  /** A small answer as a whole; a connection that breaks in the middle is tried again like one that never came. */
  async read(
    request: RemoteRequest,
    limit: number,
    tooLarge?: 'OCI_MANIFEST_TOO_LARGE',
  ): Promise<{ answer: TransportAnswer; bytes: Uint8Array }> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.send(request);
      try {
        return { answer, bytes: await answer.bytes(limit) };
      } catch (error) {
        if (
          tooLarge !== undefined &&
          error instanceof FactoryError &&
          error.code === 'OCI_RESPONSE_TOO_LARGE'
        ) {
          throw badAnswer(tooLarge, `${this.name}: ${request.what} has more than ${limit} bytes`);
        }
        if (request.signal?.aborted || !isTransient(error)) throw error;
        if (attempt >= this.#retry.attempts) throw error;
      }
    }
  }

  /** Follows `Link: <...>; rel="next"` on the same registry, a bounded number of times. */
  async pages(
    first: string,
    what: string,
    expected: readonly number[],
    signal: AbortSignal | undefined,
    take: (answer: TransportAnswer, bytes: Uint8Array) => void,
  ): Promise<void> {
    let target: string | URL = first;
    for (let page = 0; page < MAX_PAGES; page++) {
      const accept = what === 'tags' ? 'application/json' : OCI_INDEX;
      const { answer, bytes } = await this.read(
        { method: 'GET', target, headers: { accept }, what, expected, signal },
        MAX_PAGE,
      );
      take(answer, bytes);
      const next = answer.status === 200 ? nextPage(answer.header('link'), answer.url) : undefined;
      if (next === undefined) return;
      target = next;
    }
    throw tooMany(`${this.name}: pages of ${what}`);
  }
}

export function mediaTypeOf(answer: TransportAnswer): string {
  return (answer.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

export function tooMany(thing: string): FactoryError {
  return badAnswer('OCI_RESPONSE_TOO_LARGE', `${thing}: there are more than can be taken`);
}
