import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Layout, openLayout } from '../oci/layout.ts';
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import type { Repository } from '../oci/repository.ts';
import { RegistryAuth, type RegistryAuthOptions } from './registry-auth.ts';
import { FaultPlan, type FaultRule } from './registry-faults.ts';
import { type Answer, emptyAnswer, RegistryRoutes } from './registry-routes.ts';
import { sendAnswer } from './registry-send.ts';

export type { RegistryAuthOptions } from './registry-auth.ts';
export type { FaultRule } from './registry-faults.ts';

export interface RegistryOptions {
  /** Root of a layout that is served and stays; a temporary one when absent. */
  readonly directory?: string;
  /** The registry host under which repositories are kept in the layout; `registry.test` when absent. */
  readonly storageHost?: string;
  readonly auth?: RegistryAuthOptions;
  /** Whether it has the referrers API (true unless told). */
  readonly referrers?: boolean;
  /** Whether it honours `Range` (true unless told). */
  readonly ranges?: boolean;
  /** Whether it takes chunked uploads (true unless told). */
  readonly chunks?: boolean;
  /** Whether it mounts blobs (true unless told). */
  readonly mounts?: boolean;
  /** Whether it deletes manifests (true unless told). */
  readonly deletes?: boolean;
  /** Blobs are served by redirects to another origin. */
  readonly redirectBlobs?: boolean;
  /** The most tags in one answer. */
  readonly pageSize?: number;
  /** Speaks TLS with this certificate (PEM). */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** A port to listen on; any free one when absent. */
  readonly port?: number;
}

/** One request as it was met. */
export interface RegistryCall {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly status: number;
  /** `storage`: the other origin that blobs are redirected to. */
  readonly origin: 'registry' | 'storage';
}

/** A running registry: OCI distribution-spec 1.1 over an image layout, with faults on demand. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly url: string;
  readonly layout: Layout;
  /** All requests so far, in the order of their answers. */
  readonly calls: readonly RegistryCall[];
  /** Name of a repository here, for clients. */
  name(path: string): RepositoryName;
  /** The same repository without HTTP: to fill and to look into. */
  storage(path: string): Repository;
  fault(rule: FaultRule): void;
  clearFaults(): void;
  clearCalls(): void;
  /** All tokens given out so far are refused from now on. */
  expireTokens(): void;
  close(): Promise<void>;
}

/** Starts a registry on a free port of 127.0.0.1. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const scratch = await mkdtemp(join(tmpdir(), 'registry-'));
  const layout = await openLayout(options.directory ?? join(scratch, 'layout'), {
    sync: options.directory !== undefined,
  });
  const storageHost = options.storageHost ?? 'registry.test';
  const storage = (path: string): Repository =>
    layout.repository(parseRepositoryName(`${storageHost}/${path}`));
  const calls: RegistryCall[] = [];
  const faults = new FaultPlan();
  const auth = options.auth === undefined ? undefined : new RegistryAuth(options.auth);
  const servers: Server[] = [];

  const listen = async (origin: 'registry' | 'storage', routes: RegistryRoutes): Promise<string> => {
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      void serve(origin, routes, request, response);
    };
    const server =
      options.tls === undefined ? createServer(handle) : createTlsServer({ ...options.tls }, handle);
    servers.push(server);
    // Clients that stop reading close their side: no reason to end the process.
    server.on('clientError', (_, socket) => socket.destroy());
    server.listen(origin === 'registry' ? (options.port ?? 0) : 0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  const serve = async (
    origin: 'registry' | 'storage',
    routes: RegistryRoutes,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    // Node takes it away from the request when the connection breaks.
    const { socket } = request;
    const method = request.method ?? 'GET';
    const path = request.url ?? '/';
    const fault = faults.take(method, path);
    const log = (status: number): void => {
      calls.push({ method, path, headers: request.headers, status, origin });
    };
    try {
      let answer: Answer;
      if (fault?.kind === 'status') {
        answer = { status: fault.status, headers: fault.headers ?? {}, body: Buffer.from(fault.body ?? '') };
        request.resume();
      } else if (fault?.kind === 'reset' || fault?.kind === 'hang') {
        log(0);
        if (fault.kind === 'reset') socket.destroy();
        return;
      } else {
        const refusal = origin === 'storage' ? undefined : await auth?.check(request, host);
        if (refusal !== undefined) request.resume();
        answer = refusal ?? (await routes.answer(request, fault));
      }
      log(answer.status);
      await sendAnswer(request, response, answer, fault);
    } catch (error) {
      if (fault?.kind === 'reset-upload' || socket.destroyed) {
        log(0);
        socket.destroy();
        return;
      }
      const message = error instanceof Error ? error.message : String(error);
      log(500);
      await sendAnswer(request, response, emptyAnswer(500, 'UNKNOWN', message), undefined);
    }
  };

  const scheme = options.tls === undefined ? 'http' : 'https';
  const parts = { storage, scratch, options };
  const blobOrigin =
    options.redirectBlobs === true
      ? `${scheme}://${await listen('storage', new RegistryRoutes({ ...parts, blobOrigin: undefined }))}`
      : undefined;
  const host = await listen('registry', new RegistryRoutes({ ...parts, blobOrigin }));

  const close = async (): Promise<void> => {
    await Promise.all(
      servers.splice(0).map(async (server) => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }),
    );
    await rm(scratch, { recursive: true, force: true });
  };

  return {
    host,
    url: `${scheme}://${host}`,
    layout,
    calls,
    storage,
    name: (path) => parseRepositoryName(`${host}/${path}`),
    fault: (rule) => faults.add(rule),
    clearFaults: () => faults.clear(),
    clearCalls: () => {
      calls.length = 0;
    },
    expireTokens: () => auth?.expire(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
