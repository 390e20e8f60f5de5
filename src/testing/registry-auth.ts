import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Answer, emptyAnswer } from './registry-routes.ts';

export type RegistryAuthOptions =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'bearer';
      /** Without them everyone gets tokens to pull. */
      readonly username?: string;
      readonly password?: string;
      /** A refresh token that the OAuth2 form takes. */
      readonly identityToken?: string;
      /** Whether there is the OAuth2 form at all (true unless told). */
      readonly oauth?: boolean;
      /** Seconds that are told with a token; 300 when absent. */
      readonly lifetime?: number;
      /** Another token service than this registry's own (`http://host/token`). */
      readonly realm?: string;
      /** Whether anonymous tokens allow to push too. */
      readonly anonymousPush?: boolean;
    };

/** Challenges and tokens of the test registry (Docker registry token authentication). */
export class RegistryAuth {
  readonly #options: RegistryAuthOptions;
  readonly #tokens = new Map<string, ReadonlySet<string>>();

  constructor(options: RegistryAuthOptions) {
    this.#options = options;
  }

  expire(): void {
    this.#tokens.clear();
  }

  /** The answer of the token service, a challenge, or `undefined` when the request may pass. */
  async check(request: IncomingMessage, host: string): Promise<Answer | undefined> {
    const options = this.#options;
    const url = new URL(request.url ?? '/', 'http://registry');
    const authorization = request.headers.authorization ?? '';
    if (options.kind === 'basic') {
      if (authorization === basic(options.username, options.password)) return undefined;
      return challenge('Basic realm="test"');
    }
    if (url.pathname === '/token') return this.#token(request, url, options);
    const realm = options.realm ?? `http://${host}/token`;
    const scope = neededScope(request.method ?? 'GET', url.pathname);
    const granted = this.#tokens.get(authorization.replace(/^Bearer /, ''));
    const isGranted =
      granted !== undefined &&
      (scope === undefined || scope.actions.every((action) => granted.has(`${scope.path}:${action}`)));
    if (isGranted) return undefined;
    const wanted = scope === undefined ? '' : `,scope="repository:${scope.path}:${scope.actions.join(',')}"`;
    return challenge(`Bearer realm="${realm}",service="test, \\"quoted\\""${wanted}`);
  }

  async #token(
    request: IncomingMessage,
    url: URL,
    options: Extract<RegistryAuthOptions, { kind: 'bearer' }>,
  ): Promise<Answer> {
    let isKnown = options.username === undefined && options.identityToken === undefined;
    let scopes = url.searchParams.getAll('scope');
    let isPushAllowed = options.anonymousPush ?? !isKnown;
    if (request.method === 'POST') {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk);
      if (options.oauth === false) return emptyAnswer(404, 'UNSUPPORTED', 'no such form');
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      scopes = (form.get('scope') ?? '').split(' ');
      isKnown =
        options.identityToken !== undefined &&
        form.get('grant_type') === 'refresh_token' &&
        form.get('refresh_token') === options.identityToken;
    } else {
      const authorization = request.headers.authorization;
      if (
        options.username !== undefined &&
        authorization === basic(options.username, options.password ?? '')
      ) {
        isKnown = true;
      }
      if (options.identityToken !== undefined && authorization === basic('<token>', options.identityToken)) {
        isKnown = true;
      }
      if (authorization === undefined && options.anonymousPush !== true) isPushAllowed = false;
    }
    if (!isKnown) return emptyAnswer(401, 'UNAUTHORIZED', 'wrong credentials');
    const granted = new Set<string>();
    for (const scope of scopes) {
      const [, path, actions = ''] = /^repository:([^:]+):(.*)$/.exec(scope) ?? [];
      for (const action of actions.split(',')) {
        if (action === 'pull' || isPushAllowed) granted.add(`${path}:${action}`);
      }
    }
    const token = randomUUID();
    this.#tokens.set(token, granted);
    const body = Buffer.from(JSON.stringify({ token, expires_in: options.lifetime ?? 300 }));
    return { status: 200, headers: { 'content-type': 'application/json' }, body };
  }
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function challenge(header: string): Answer {
  const answer = emptyAnswer(401, 'UNAUTHORIZED', 'authentication required');
  return { ...answer, headers: { ...answer.headers, 'www-authenticate': header } };
}

function neededScope(method: string, pathname: string): { path: string; actions: string[] } | undefined {
  const path = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(pathname)?.[1];
  if (path === undefined) return undefined;
  if (method === 'GET' || method === 'HEAD') return { path, actions: ['pull'] };
  return { path, actions: method === 'DELETE' ? ['delete'] : ['pull', 'push'] };
}
