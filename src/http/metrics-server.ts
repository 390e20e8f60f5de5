import type { ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { Log } from '../log.ts';
import { TEXT } from './content-type.ts';
import { createListener, DEFAULT_LIMITS } from './listener.ts';
import type { HttpServer } from './server.ts';

/** The listener of `metrics.addr`: `/metrics` with any method, and nothing else (`spec/http-api.md` §1). */
export function createMetricsServer(registry: Registry, log: Log): HttpServer {
  return createListener({
    limits: DEFAULT_LIMITS,
    refusal: (status) => `HTTP/1.1 ${status} Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    onRequest: (request, response) => {
      const path = (request.url ?? '').split('?', 1)[0];
      if (path !== '/metrics') {
        answer(response, 404, TEXT, '404 page not found\n');
        return;
      }
      registry.metrics().then(
        (text) => answer(response, 200, registry.contentType, text),
        (error: unknown) => {
          log.error('metrics cannot be collected', { error: String(error) });
          answer(response, 500, TEXT, 'internal server error\n');
        },
      );
    },
  });
}

function answer(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}
