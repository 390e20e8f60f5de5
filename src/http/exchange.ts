import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { FactoryError } from '../errors.ts';
import type { Header } from './conditions.ts';
import type { ByteSink } from './deliver.ts';
import type { HeaderFields } from './result.ts';

/** How long a client that is still sending a refused body gets to read the answer before the connection ends. */
const LINGER_MS = 500;

/** An HTTP/2 stream as far as it differs from a connection: it is reset, not closed. */
interface Resettable {
  close(code?: number): void;
}

/**
 * One request and its response on a socket or an HTTP/2 stream. The compatibility classes of `node:http2` behave
 * as those of `node:http` but for a few events, which this class takes from the stream itself.
 */
export class Exchange implements ByteSink {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  /** What emits `drain`, `finish` and `close`. */
  readonly #channel: Writable;
  readonly #http2: Resettable | undefined;
  readonly #expectsContinue: boolean;
  readonly #gone = new AbortController();
  readonly #closed = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();
  /** Address of the peer. */
  readonly remote: string | undefined;
  #bodyRead = false;
  #bytes = 0;

  constructor(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) {
    this.#request = request;
    this.#response = response;
    this.#expectsContinue = expectsContinue;
    const stream = (response as { readonly stream?: Writable & Resettable }).stream;
    this.#http2 = request.httpVersionMajor >= 2 ? stream : undefined;
    this.#channel = this.#http2 === undefined ? response : (stream ?? response);
    this.remote = request.socket.remoteAddress;
    this.#channel.once('finish', () => this.#finished.resolve());
    this.#channel.once('close', () => {
      this.#closed.resolve();
      if (!this.#channel.writableFinished) this.#gone.abort();
    });
    // A client that resets shows as an error here and as `close` above, which is what counts.
    this.#channel.on('error', () => {});
    request.on('error', () => {});
  }

  get method(): string {
    return this.#request.method ?? '';
  }

  get target(): string {
    return this.#request.url ?? '';
  }

  /** Aborts when the client went away before it had everything. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Status of the head that was sent; `undefined` before. */
  get sent(): number | undefined {
    return this.#response.headersSent ? this.#response.statusCode : undefined;
  }

  /** Bytes of the body that were handed over. */
  get bytes(): number {
    return this.#bytes;
  }

  readonly header: Header = (name) => {
    const value = this.#request.headers[name];
    if (value === undefined && name === 'host') return this.#authority();
    return Array.isArray(value) ? value.join(', ') : value;
  };

  #authority(): string | undefined {
    const value = this.#request.headers[':authority'];
    return typeof value === 'string' ? value : undefined;
  }

  /** The whole body; throws `too-large` beyond `limit` bytes, and leaves the rest unread. */
  async body(limit: number): Promise<Uint8Array> {
    const tooLarge = (): FactoryError =>
      new FactoryError(
        'too-large',
        'HTTP_BODY_TOO_LARGE',
        `request body is larger than ${limit} bytes, the most that is accepted`,
      );
    if (Number(this.header('content-length') ?? 0) > limit) throw tooLarge();
    if (this.#expectsContinue) this.#response.writeContinue();
    const chunks: Uint8Array[] = [];
    let size = 0;
    // Leaving the loop must not destroy the request: its socket is what the answer goes out on.
    for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) {
      const bytes: Uint8Array = chunk;
      size += bytes.length;
      if (size > limit) throw tooLarge();
      chunks.push(bytes);
    }
    this.#bodyRead = true;
    return Buffer.concat(chunks);
  }

  /** True while a declared request body lies unread on the connection, which therefore cannot be used again. */
  get #bodyPending(): boolean {
    if (this.#bodyRead) return false;
    const { headers } = this.#request;
    // HTTP/2 bodies need no declaration; a stream is of no further use anyway.
    if (this.#http2 !== undefined) return !['GET', 'HEAD', 'OPTIONS'].includes(this.method);
    return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  }

  /** Sends the head; `last` asks for the connection to end after this answer. */
  head(status: number, headers: HeaderFields, last: boolean): void {
    for (const [name, value] of Object.entries(headers)) this.#response.setHeader(name, value);
    if (this.#http2 === undefined && (last || this.#bodyPending)) {
      this.#response.setHeader('Connection', 'close');
    }
    this.#response.writeHead(status);
  }

  /** Resolves when the chunk has left for the kernel and may be written over. */
  async write(chunk: Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    this.#bytes += chunk.length;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => reject(this.signal.reason);
    this.signal.addEventListener('abort', abort, { once: true });
    this.#response.write(chunk, (error) => {
      if (!error) resolve();
      // `close` follows, which says whether the client has gone.
      else void this.#closed.promise.then(() => reject(error));
    });
    try {
      await promise;
    } finally {
      this.signal.removeEventListener('abort', abort);
    }
  }

  /** Ends the answer and resolves when it has left this process, or when the client is gone. */
  async end(): Promise<void> {
    if (this.#bodyPending && this.#http2 === undefined) {
      // Closing over unread data makes the kernel send a reset, which may overtake the answer.
      this.#response.flushHeaders();
      await Promise.race([this.#closed.promise, sleep(LINGER_MS, undefined, { ref: false })]);
    }
    this.#response.end();
    if (!this.#channel.writableFinished) await Promise.race([this.#finished.promise, this.#closed.promise]);
    // RFC 9113 §8.1: a server that has answered in full may ask the client to stop sending.
    if (this.#bodyPending) this.#http2?.close(0);
  }

  /** Breaks an answer whose end cannot be sent, so that nobody takes what came for the whole. */
  destroy(): void {
    const INTERNAL_ERROR = 2; // RFC 9113 §7
    if (this.#http2 === undefined) this.#response.destroy();
    else this.#http2.close(INTERNAL_ERROR);
  }
}
