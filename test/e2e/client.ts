import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';

export interface SendOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body as UTF-8. */
  readonly text: string;
}

/**
 * Sends one request and reads the whole answer. The path goes over the wire as it is: `fetch` would tidy it up.
 * Throws when the connection breaks, also in the middle of the body.
 */
export async function send(url: string, path: string, options: SendOptions = {}): Promise<Answer> {
  const response = await open(url, path, options);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const status = response.statusCode ?? 0;
  return {
    status,
    headers: response.headers,
    body,
    get text() {
      return body.toString('utf8');
    },
  };
}

/** The answer with its body still to be read. */
export async function open(url: string, path: string, options: SendOptions = {}): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url);
  const outgoing = request({
    hostname,
    port,
    path,
    method: options.method ?? 'GET',
    headers: { ...options.headers },
    agent: false,
  });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  outgoing.end(options.body);
  const [response] = await answered;
  // The server may answer before it has read a body, and then break the connection.
  outgoing.on('error', () => {});
  return response;
}

/** Posts a schematic (YAML or JSON text) and returns its ID. */
export async function createSchematic(url: string, schematic: unknown): Promise<string> {
  const body = typeof schematic === 'string' ? schematic : JSON.stringify(schematic);
  const answer = await send(url, '/schematics', { method: 'POST', body });
  if (answer.status !== 201) throw new Error(`POST /schematics: ${answer.status} ${answer.text}`);
  return (JSON.parse(answer.text) as { id: string }).id;
}

/** A path that has to answer 200. */
export async function download(url: string, path: string): Promise<Answer> {
  const answer = await send(url, path);
  if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
  return answer;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
