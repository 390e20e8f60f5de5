import { connect, type Socket } from 'node:net';
import { Registry } from 'prom-client';
import { Client } from 'undici';
import type { Log, LogFields } from '../../log.ts';
import { externalUrls } from '../external-urls.ts';
import { createServer, type HttpServer, type ServerOptions } from '../server.ts';
import { type FakeOptions, fakeServices } from './fakes.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** Keeps what is logged. */
export function recordingLog(lines: LogLine[], inherited: LogFields = {}): Log {
  const at = (level: string) => (message: string, fields?: LogFields) => {
    lines.push({ level, message, fields: { ...inherited, ...fields } });
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => recordingLog(lines, { ...inherited, ...fields }),
    within: (_fields, work) => work(),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
}

/** A server on a free port of the loopback interface. */
export class TestServer implements AsyncDisposable {
  readonly server: HttpServer;
  readonly lines: LogLine[];
  readonly registry: Registry;
  readonly port: number;
  readonly #client: Client;

  private constructor(server: HttpServer, lines: LogLine[], registry: Registry) {
    this.server = server;
    this.lines = lines;
    this.registry = registry;
    this.port = server.address?.port ?? 0;
    this.#client = new Client(`http://127.0.0.1:${this.port}`);
  }

  static async start(fakes: FakeOptions = {}, options: Partial<ServerOptions> = {}): Promise<TestServer> {
    const lines: LogLine[] = [];
    const registry = new Registry();
    const server = await createServer({
      services: fakeServices(fakes),
      urls: externalUrls(new URL('https://factory.example/')),
      allowedOrigins: ['*'],
      tag: 'v1.2.3',
      log: recordingLog(lines),
      registry,
      ...options,
    });
    await server.listen('127.0.0.1:0');
    return new TestServer(server, lines, registry);
  }

  /** One request as it stands: nothing is normalised, no redirect is followed. */
  async request(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    body?: string | Uint8Array,
  ): Promise<Answer> {
    const answer = await this.#client.request({
      method,
      path,
      headers,
      body: body ?? null,
    });
    const text = Buffer.from(await answer.body.arrayBuffer()).toString('latin1');
    const flat = Object.entries(answer.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : value,
    ]);
    return { status: answer.statusCode, headers: Object.fromEntries(flat), text };
  }

  connect(): Socket {
    return connect(this.port, '127.0.0.1');
  }

  /** Sends bytes on a connection of their own and returns everything until the server closes it. */
  async raw(text: string | Uint8Array): Promise<string> {
    const socket = this.connect();
    socket.on('error', () => {});
    socket.write(text);
    const chunks: Uint8Array[] = [];
    for await (const chunk of socket) chunks.push(chunk);
    return Buffer.concat(chunks).toString('latin1');
  }

  /** Waits until a request line of the log fulfils a condition. */
  async logged(condition: (line: LogLine) => boolean): Promise<LogLine> {
    for (let tries = 0; tries < 500; tries++) {
      const line = this.lines.find((each) => each.message === 'request' && condition(each));
      if (line !== undefined) return line;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`no such line in ${JSON.stringify(this.lines)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.destroy();
    await this.server.close(0);
  }
}
