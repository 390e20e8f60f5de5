import type { Clock } from '../clock.ts';
import type { FactoryError } from '../errors.ts';
import type { Challenge } from './challenge.ts';
import type { Credential } from './credentials.ts';
import { hostnameOf, isInternalAddress } from './endpoint.ts';
import { badAnswer, refused } from './errors.ts';
import { isRetriedStatus, parseRetryAfter, type RetryPolicy, retrying } from './retry.ts';
import type { Transport, TransportAnswer } from './transport.ts';

/** `repository:<path>:<actions>`, as the token protocol writes it. */
export type Scope = string & { readonly __brand: 'Scope' };

export function scopeOf(path: string, actions: 'pull' | 'pull,push' | 'delete'): Scope {
  return `repository:${path}:${actions}` as Scope;
}

interface Token {
  readonly text: string;
  /** Milliseconds since the epoch after which it is not used any more. */
  readonly expires: number;
}

interface AuthorizerParts {
  /** The registry, `https://ghcr.io`. */
  readonly origin: URL;
  readonly transport: Transport;
  readonly unverified: boolean;
  readonly credential: (path: string, signal?: AbortSignal) => Promise<Credential>;
  readonly retry: RetryPolicy;
  readonly clock: Clock;
}

const MAX_TOKEN_ANSWER = 1 << 20;
/** The lifetime of a token that does not tell its own (Docker token specification). */
const DEFAULT_LIFETIME = 60;
const CLIENT_ID = 'image-factory';

/**
 * What is put into `Authorization` for one registry: answers its challenges with Basic credentials, or with
 * tokens that it fetches and keeps until shortly before they expire.
 */
export class Authorizer {
  readonly #parts: AuthorizerParts;
  readonly #tokens = new Map<string, Promise<Token>>();
  /** Scopes that the registry asked for beyond what a request seemed to need, by repository path. */
  readonly #demanded = new Map<string, ReadonlySet<string>>();
  #challenge: Challenge | undefined;

  constructor(parts: AuthorizerParts) {
    this.#parts = parts;
  }

  /**
   * Takes up the challenges of a 401 (or of the first contact). `used` is the header that was refused with it.
   * False when they cannot be answered any better than before.
   */
  accept(path: string, challenges: readonly Challenge[], used: string | undefined): boolean {
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'),
    );
    const challenge = bearer ?? challenges.find(({ scheme }) => scheme === 'basic');
    if (challenge === undefined) return false;
    this.#challenge = challenge;
    if (challenge.scheme === 'basic') return used === undefined;
    this.#tokens.clear();
    const demanded = challenge.parameters.get('scope');
    if (demanded !== undefined && demanded.length < 4096 && path !== '') {
      const known = this.#demanded.get(path) ?? new Set();
      // The scope that was asked for goes first: some registries read only one.
      this.#demanded.set(path, new Set([...demanded.split(' ').filter(Boolean), ...known]));
    }
    return true;
  }

  /** The header for a request that needs `scopes`, or `undefined` when the registry wants none. */
  async header(path: string, scopes: readonly Scope[], signal?: AbortSignal): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    const credential = await this.#parts.credential(path, signal);
    if (credential.kind === 'registry-token') return `Bearer ${credential.token}`;
    if (challenge.scheme === 'basic') return this.#basic(path, credential);
    const all = [...new Set([...(this.#demanded.get(path) ?? []), ...scopes])].slice(0, 16);
    return `Bearer ${(await this.#token(path, challenge, credential, all, signal)).text}`;
  }

  #basic(path: string, credential: Credential): string {
    if (credential.kind === 'basic') return basic(credential.username, credential.password);
    if (credential.kind === 'identity-token') return basic('<token>', credential.token);
    const host = this.#parts.origin.host;
    throw badAnswer(
      'OCI_UNAUTHORIZED',
      `registry ${host} wants credentials for ${path} and there are none: sign in, so that the Docker configuration has them`,
    );
  }

  async #token(
    path: string,
    challenge: Challenge,
    credential: Credential,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const key = [path, ...scopes].join(' ');
    for (let known = this.#tokens.get(key); known !== undefined; known = this.#tokens.get(key)) {
      // A fetch that failed, or was aborted by whoever began it, is not this caller's failure.
      const token = await known.catch(() => undefined);
      if (token !== undefined && token.expires > this.#parts.clock.now()) return token;
      if (this.#tokens.get(key) === known) this.#tokens.delete(key);
    }
    const fetched = this.#fetchToken(path, challenge, credential, scopes, signal);
    this.#tokens.set(key, fetched);
    try {
      return await fetched;
    } catch (error) {
      // Failures are not remembered: whoever waited for this one tries on its own.
      if (this.#tokens.get(key) === fetched) this.#tokens.delete(key);
      throw error;
    }
  }

  async #fetchToken(
    path: string,
    challenge: Challenge,
    credential: Credential,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const realm = this.#realm(challenge);
    const service = challenge.parameters.get('service');
    const { retry, clock, origin } = this.#parts;
    return retrying(retry, signal, async () => {
      let answer: TransportAnswer | undefined;
      if (credential.kind === 'identity-token') {
        answer = await this.#postRefresh(realm, service, scopes, credential.token, signal);
        if (answer.status === 404 || answer.status === 405) {
          await answer.discard();
          answer = undefined;
        }
      }
      answer ??= await this.#getToken(realm, service, scopes, credential, signal);
      if (answer.status !== 200) {
        const retryAfter = parseRetryAfter(answer.header('retry-after'), clock.now());
        const { status } = answer;
        await answer.discard();
        if (!isRetriedStatus(status) && status !== 403 && status < 500) {
          const who = credential.kind === 'anonymous' ? 'anonymous access' : 'the configured credentials';
          throw badAnswer(
            'OCI_UNAUTHORIZED',
            `the token service ${realm.host} of ${origin.host} refuses ${who} to ${path} (status ${status})`,
          );
        }
        throw refused(origin.host, `a token for ${path}`, status, '', retryAfter);
      }
      return this.#parse(realm, await answer.bytes(MAX_TOKEN_ANSWER));
    });
  }

  #getToken(
    realm: URL,
    service: string | undefined,
    scopes: readonly string[],
    credential: Credential,
    signal: AbortSignal | undefined,
  ): Promise<TransportAnswer> {
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const authorization =
      credential.kind === 'basic'
        ? basic(credential.username, credential.password)
        : credential.kind === 'identity-token'
          ? basic('<token>', credential.token)
          : undefined;
    const { transport, unverified } = this.#parts;
    return transport.request(url, { method: 'GET', authorization, signal, unverified, maxRedirects: 3 });
  }

  /** OAuth2 refresh (Docker "Authenticate with OAuth2"); a body with a secret is never sent on by redirects. */
  #postRefresh(
    realm: URL,
    service: string | undefined,
    scopes: readonly string[],
    token: string,
    signal: AbortSignal | undefined,
  ): Promise<TransportAnswer> {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: token,
      client_id: CLIENT_ID,
    });
    if (service !== undefined) form.set('service', service);
    form.set('scope', scopes.join(' '));
    const { transport, unverified } = this.#parts;
    return transport.request(realm, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: () => Buffer.from(form.toString()),
      signal,
      unverified,
      maxRedirects: 0,
    });
  }

  /** The registry decides where credentials are sent to: so what it may name is bounded (spec artifacts §7.2). */
  #realm(challenge: Challenge): URL {
    const { origin } = this.#parts;
    const text = challenge.parameters.get('realm') ?? '';
    const refuse = (why: string): FactoryError =>
      badAnswer('OCI_REALM_REFUSED', `registry ${origin.host} names a token service that is refused: ${why}`);
    if (!URL.canParse(text)) throw refuse('not a URL');
    const realm = new URL(text);
    if (realm.protocol !== 'https:' && realm.protocol !== 'http:') throw refuse(`scheme ${realm.protocol}`);
    if (realm.protocol === 'http:' && origin.protocol === 'https:') {
      throw refuse(`${realm.host} over plain HTTP, while the registry itself uses HTTPS`);
    }
    if (realm.username !== '' || realm.password !== '') throw refuse('credentials in its address');
    const hostname = hostnameOf(realm.host);
    if (hostname !== hostnameOf(origin.host) && (isInternalAddress(hostname) || hostname === 'localhost')) {
      throw refuse(`the internal address ${hostname}`);
    }
    return realm;
  }

  #parse(realm: URL, body: Uint8Array): Token {
    let answer: { token?: unknown; access_token?: unknown; expires_in?: unknown } | null = null;
    try {
      answer = JSON.parse(Buffer.from(body).toString('utf8'));
    } catch {
      // Falls through to the one error below; the text may hold a secret.
    }
    const text = [answer?.token, answer?.access_token].find((one) => typeof one === 'string' && one !== '');
    if (typeof text !== 'string' || /[^\x21-\x7e]/.test(text)) {
      throw badAnswer('OCI_RESPONSE_INVALID', `the token service ${realm.host} answered without a token`);
    }
    const lifetime =
      typeof answer?.expires_in === 'number' && answer.expires_in > 0 ? answer.expires_in : DEFAULT_LIFETIME;
    // A tenth is given up, so that a token does not expire on its way.
    return { text, expires: this.#parts.clock.now() + lifetime * 900 };
  }
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
