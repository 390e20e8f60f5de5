import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2Session, type SecureServerOptions } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FactoryError } from '../errors.ts';
import { parseListenAddress } from './listen-address.ts';
import type { KeyPair } from './tls.ts';

/** What a client may take, in milliseconds and bytes. Nothing limits how long an answer takes. */
export interface ConnectionLimits {
  readonly headersTimeout: number;
  /** Headers and body of a request. */
  readonly requestTimeout: number;
  /** Between requests of a connection. */
  readonly keepAliveTimeout: number;
  readonly maxHeaderSize: number;
  /** HTTP/2 requests of one connection at a time. */
  readonly maxConcurrentStreams: number;
}

export const DEFAULT_LIMITS: ConnectionLimits = {
  headersTimeout: 10_000,
  requestTimeout: 120_000,
  keepAliveTimeout: 75_000,
  maxHeaderSize: 16 * 1024,
  maxConcurrentStreams: 100,
};

export type RequestListener = (
  request: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
) => void;

export interface ListenerOptions {
  readonly limits: ConnectionLimits;
  /** TLS with HTTP/2 when present. */
  readonly keyPair?: KeyPair;
  readonly onRequest: RequestListener;
  /** Bytes to answer a request that could not be parsed. */
  readonly refusal: (status: number) => string;
}

/** A listening socket with its connections. */
export interface Listener {
  /** Resolves when connections are accepted. Throws `LISTEN_FAILED`. */
  listen(address: string): Promise<void>;
  readonly address: AddressInfo | undefined;
  /** Rejects when the listener fails after `listen`; never resolves. */
  readonly failed: Promise<never>;
  setKeyPair(pair: KeyPair): void;
  /** Accepts nothing more, gives running requests `graceMs`, then breaks what is left. */
  close(graceMs: number): Promise<void>;
}

type AnyServer = Server & { setSecureContext?(options: KeyPair & { minVersion: 'TLSv1.2' }): void };

export function createListener(options: ListenerOptions): Listener {
  const server =
    options.keyPair === undefined ? plainServer(options) : secureServer(options, options.keyPair);
  const connections = trackConnections(server);
  const failure = Promise.withResolvers<never>();
  // Nobody has to watch it.
  failure.promise.catch(() => {});
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response);
    options.onRequest(request, response, false);
  });
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(request, response);
    options.onRequest(request, response, true);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // Never into the middle of another answer.
    const free = connections.idle(socket) || socket.bytesWritten === 0;
    if (error.code === 'ECONNRESET' || !socket.writable || !free) socket.destroy();
    else socket.end(options.refusal(refusalStatus(error.code)));
  });

  return {
    get address() {
      const address = server.address();
      return address === null || typeof address === 'string' ? undefined : address;
    },
    failed: failure.promise,
    async listen(text) {
      const address = parseListenAddress(text);
      const ready = Promise.withResolvers<void>();
      server.once('error', ready.reject);
      server.listen(address, () => ready.resolve());
      try {
        await ready.promise;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new FactoryError('internal', 'LISTEN_FAILED', `cannot listen on ${text}: ${reason}`, {
          cause: error,
        });
      }
      server.off('error', ready.reject);
      server.on('error', (error) => failure.reject(error));
    },
    setKeyPair: (pair) => server.setSecureContext?.({ ...pair, minVersion: 'TLSv1.2' }),
    async close(graceMs) {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      connections.drain();
      const grace = new AbortController();
      const timeout = sleep(graceMs, undefined, { signal: grace.signal }).catch(() => {});
      await Promise.race([closed.promise, timeout]);
      grace.abort();
      connections.destroy();
      if (server.listening || server.address() !== null) await closed.promise;
    },
  };
}

function plainServer({ limits }: ListenerOptions): AnyServer {
  return createHttpServer({
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: checkingInterval(limits),
    maxHeaderSize: limits.maxHeaderSize,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    noDelay: true,
  });
}

/** HTTP/2 by ALPN, HTTP/1.1 for those who do not offer it; no `h2c` (`spec/http-api.md` §1). */
function secureServer({ limits }: ListenerOptions, pair: KeyPair): AnyServer {
  const options: SecureServerOptions = {
    ...pair,
    minVersion: 'TLSv1.2',
    allowHTTP1: true,
    handshakeTimeout: limits.headersTimeout,
    settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderSize },
  };
  const server = createSecureServer(options);
  // The HTTP/1.1 side of this server reads the same properties as `node:http`, but takes them from no option.
  Object.assign(server, {
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: checkingInterval(limits),
    maxHeaderSize: limits.maxHeaderSize,
    requireHostHeader: true,
  });
  server.on('session', (session) => {
    // An idle session is asked to leave; requests in progress are served to their end.
    session.setTimeout(limits.keepAliveTimeout, () => session.close());
  });
  return server;
}

/** How often Node looks for connections over their time. */
function checkingInterval(limits: ConnectionLimits): number {
  return Math.min(5_000, limits.headersTimeout);
}

function refusalStatus(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}

interface Connections {
  begin(request: IncomingMessage, response: ServerResponse): void;
  /** True when no request of this connection is being answered. */
  idle(socket: Socket): boolean;
  /** Ends idle connections; busy ones end after their answer. */
  drain(): void;
  destroy(): void;
}

/** Knows which connections are busy, which `node:http2` servers do not say of their HTTP/1.1 side. */
function trackConnections(server: AnyServer): Connections {
  const secure = server.setSecureContext !== undefined;
  const sockets = new Set<Socket>();
  const sessions = new Set<Http2Session>();
  /** HTTP/1.1 connections with their running requests. */
  const busy = new Map<Socket, number>();
  let draining = false;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => {
    if ((socket as { readonly alpnProtocol?: string | false | null }).alpnProtocol === 'h2') return;
    busy.set(socket, 0);
    socket.once('close', () => busy.delete(socket));
    // A handshake that was under way when the draining began.
    if (draining) socket.destroySoon();
  });
  server.on('session', (session: Http2Session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    if (draining) session.close();
  });
  return {
    begin(request, response) {
      const { socket, httpVersionMajor } = request;
      if (httpVersionMajor >= 2) return;
      busy.set(socket, (busy.get(socket) ?? 0) + 1);
      response.once('close', () => {
        const left = (busy.get(socket) ?? 1) - 1;
        if (busy.has(socket)) busy.set(socket, left);
        if (draining && left === 0) socket.destroySoon();
      });
    },
    idle: (socket) => (busy.get(socket) ?? 0) === 0,
    drain() {
      draining = true;
      for (const session of sessions) session.close();
      for (const [socket, requests] of busy) if (requests === 0) socket.destroySoon();
    },
    destroy() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}
