import { type Clock, systemClock } from '../clock.ts';
import { type CredentialSources, credentialFinder } from './credentials.ts';
import { endpointOf } from './endpoint.ts';
import { googleTokens } from './google-credentials.ts';
import { KeyedQueue } from './keyed-queue.ts';
import { TransferLimiter } from './limiter.ts';
import type { RepositoryName } from './names.ts';
import { RemoteRepository } from './remote-repository.ts';
import type { Repository } from './repository.ts';
import { defaultRetryPolicy, type RetryPolicy } from './retry.ts';
import { Session } from './session.ts';
import { Transport, type TransportOptions } from './transport.ts';

export interface RegistryClientOptions {
  readonly credentials: CredentialSources;
  readonly transport?: TransportOptions;
  /** Milliseconds after which tokens and credentials are looked up anew; 5 minutes when absent. */
  readonly refreshInterval?: number;
  /** Transfers that move bytes at the same time, for each direction; 64 when absent. */
  readonly jobs?: number;
  /** Blobs above this many bytes are uploaded in chunks; 64 MiB when absent. */
  readonly chunkSize?: number;
  readonly retry?: Partial<RetryPolicy>;
  readonly clock?: Clock;
}

/** All talk with registries: shared connections, limits and credentials. */
export interface RegistryClient extends AsyncDisposable {
  /**
   * A repository of a registry; no I/O here. `insecure` permits plain HTTP and certificates that cannot be
   * verified.
   */
  repository(name: RepositoryName, options?: { readonly insecure?: boolean }): Repository;
  /** Breaks off what is under way and closes all connections. */
  close(): Promise<void>;
}

const REFRESH_INTERVAL = 5 * 60_000;
const DEFAULT_JOBS = 64;
const CHUNK = 64 << 20;

export function openRegistryClient(options: RegistryClientOptions): RegistryClient {
  const clock = options.clock ?? systemClock;
  const retry: RetryPolicy = { ...defaultRetryPolicy, ...options.retry };
  const transport = new Transport(options.transport);
  const google = googleTokens(transport, clock);
  const downloads = new TransferLimiter(options.jobs ?? DEFAULT_JOBS);
  const uploads = new TransferLimiter(options.jobs ?? DEFAULT_JOBS);
  const referrers = new KeyedQueue();
  const refreshInterval = options.refreshInterval ?? REFRESH_INTERVAL;
  if (!(refreshInterval > 0)) throw new RangeError(`refresh interval ${refreshInterval} is not above 0`);
  const sessions = new Map<string, { readonly session: Session; readonly since: number }>();

  const sessionOf = (host: string, insecure: boolean): Session => {
    const key = `${insecure ? 'insecure' : 'secure'} ${host}`;
    const known = sessions.get(key);
    const now = clock.now();
    if (known !== undefined && now - known.since < refreshInterval) return known.session;
    const credentials = credentialFinder(options.credentials, google);
    const session = new Session({ host, insecure, transport, credentials, retry, clock });
    sessions.set(key, { session, since: now });
    return session;
  };

  return {
    repository(name, { insecure = false } = {}) {
      const { host } = endpointOf(name);
      return new RemoteRepository(name, {
        session: () => sessionOf(host, insecure),
        downloads,
        uploads,
        retry,
        chunkSize: options.chunkSize ?? CHUNK,
        serialise: (key, work) => referrers.run(key, work),
      });
    },
    close: () => transport.close(),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}
