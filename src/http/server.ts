import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { Log } from '../log.ts';
import type { Context } from './core-route.ts';
import { coreRoutes } from './core-routes.ts';
import { cors } from './cors.ts';
import { Exchange } from './exchange.ts';
import type { ExternalUrls } from './external-urls.ts';
import { type ConnectionLimits, createListener, DEFAULT_LIMITS } from './listener.ts';
import { createHttpMetrics } from './metrics.ts';
import { serve } from './pipeline.ts';
import { requestId } from './request-id.ts';
import type { Route } from './route.ts';
import { createRouter } from './router.ts';
import type { Services } from './services.ts';
import { loadKeyPair, type TlsFiles, tlsFiles, watchKeyPair } from './tls.ts';

export interface ServerOptions {
  readonly services: Services;
  readonly urls: ExternalUrls;
  /** `http.allowedOrigins`. */
  readonly allowedOrigins: readonly string[];
  /** The build's tag: `v1.5.0`. */
  readonly tag: string;
  readonly log: Log;
  readonly registry: Registry;
  /** Plain HTTP/1.1 when absent or when both names are empty. */
  readonly tls?: TlsFiles;
  /** Routes of other frontends; one with the method and path of ours takes its place. */
  readonly routes?: readonly Route[];
  readonly limits?: Partial<ConnectionLimits>;
  /** Milliseconds between looks at the certificate files; 10 s when absent. */
  readonly tlsInterval?: number;
}

export interface HttpServer {
  /** Go's form: `:8080`, `127.0.0.1:0`. Throws `LISTEN_ADDRESS_INVALID`, `LISTEN_FAILED`. */
  listen(address: string): Promise<void>;
  readonly address: AddressInfo | undefined;
  /** Rejects when the listener fails while running; never resolves. */
  readonly failed: Promise<never>;
  /** Not ready, accepts nothing more, gives running requests `graceMs` milliseconds, then breaks what is left. */
  close(graceMs: number): Promise<void>;
}

/** The main listener. Throws `TLS_CERTIFICATE` and `TLS_INCOMPLETE` when the certificate does not load. */
export async function createServer(options: ServerOptions): Promise<HttpServer> {
  let draining = false;
  const { services, log } = options;
  const tls = tlsFiles(options.tls?.certFile ?? '', options.tls?.keyFile ?? '');
  const context: Context = {
    urls: options.urls,
    tag: options.tag,
    services: {
      schematics: services.schematics,
      assets: services.assets,
      releases: services.releases,
      keys: services.keys,
      ready: () => (draining ? { ready: false, reason: 'shutting down' } : services.ready()),
    },
  };
  const serverName = `Image Factory ${options.tag}`;
  const pipeline = {
    router: createRouter(mergeRoutes(context, options.routes ?? [])),
    cors: cors(options.allowedOrigins),
    metrics: createHttpMetrics(options.registry),
    log,
    serverName,
    draining: () => draining,
  };
  const keyPair = tls === undefined ? undefined : await loadKeyPair(tls);
  const listener = createListener({
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    ...(keyPair === undefined ? {} : { keyPair }),
    onRequest: (request, response, expectsContinue) => {
      serve(new Exchange(request, response, expectsContinue), pipeline).catch((error: unknown) => {
        log.error('request failed outside of its handler', { error: String(error) });
        response.destroy();
      });
    },
    refusal: (status) => {
      const id = requestId(undefined);
      log.warn('request refused', { frontend: 'http', request_id: id, status });
      return refusal(status, serverName, id);
    },
  });
  const watch =
    tls === undefined || keyPair === undefined
      ? undefined
      : watchKeyPair(tls, keyPair, (pair) => listener.setKeyPair(pair), log, options.tlsInterval ?? 10_000);

  return {
    listen: (address) => listener.listen(address),
    get address() {
      return listener.address;
    },
    failed: listener.failed,
    async close(graceMs) {
      draining = true;
      watch?.[Symbol.dispose]();
      await listener.close(graceMs);
    },
  };
}

function mergeRoutes(context: Context, others: readonly Route[]): readonly Route[] {
  const taken = new Set(others.map((route) => `${route.method} ${route.path}`));
  const own = coreRoutes().filter((route) => !taken.has(`${route.method} ${route.path}`));
  return [...own.map((route) => route.bind(context)), ...others];
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/** What the parser refused gets an answer too, as far as one can be written without a request. */
function refusal(status: number, serverName: string, id: string): string {
  const body = `${(REASONS[status] ?? 'Bad Request').toLowerCase()}\n`;
  return [
    `HTTP/1.1 ${status} ${REASONS[status] ?? 'Bad Request'}`,
    `Server: ${serverName}`,
    `X-Request-Id: ${id}`,
    'Vary: Origin',
    'Content-Type: text/plain; charset=utf-8',
    'X-Content-Type-Options: nosniff',
    'Cache-Control: no-store',
    `Content-Length: ${body.length}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
