import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const TARGET = 'trusted_root.json';
const EXPIRES = '2100-01-01T00:00:00Z';

/** A TUF repository (The Update Framework 1.0, consistent snapshots) with one key for every role, on a local port. */
export class TufRepository implements AsyncDisposable {
  /** What is served, by path; open to being damaged. */
  readonly files: Map<string, Buffer> = new Map();
  /** Paths that were asked for. */
  readonly requests: string[] = [];
  /** Answers 503 to everything. */
  down = false;
  readonly #key = generateKeyPairSync('ed25519');
  readonly #server: Server;
  #version = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      const path = (request.url ?? '').slice(1);
      this.requests.push(path);
      const file = this.files.get(path);
      response.statusCode = this.down ? 503 : file === undefined ? 404 : 200;
      response.end(response.statusCode === 200 ? file : undefined);
    });
  }

  static async start(trustedRoot: unknown): Promise<TufRepository> {
    const repository = new TufRepository();
    repository.publish(trustedRoot);
    repository.#server.listen(0, '127.0.0.1');
    await once(repository.#server, 'listening');
    return repository;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The first root, as those who trust the repository are given it. */
  get root(): Buffer {
    const role = { keyids: [this.#keyId], threshold: 1 };
    return this.#signed({
      _type: 'root',
      consistent_snapshot: true,
      keys: { [this.#keyId]: this.#publicKey },
      roles: { root: role, snapshot: role, targets: role, timestamp: role },
      version: 1,
    });
  }

  /** Another version of everything but the root. */
  publish(trustedRoot: unknown): void {
    const version = ++this.#version;
    const target = Buffer.from(JSON.stringify(trustedRoot));
    const sha256 = createHash('sha256').update(target).digest('hex');
    this.files.set(`targets/${sha256}.${TARGET}`, target);
    const targets = { [TARGET]: { hashes: { sha256 }, length: target.length } };
    this.files.set(`${version}.targets.json`, this.#signed({ _type: 'targets', targets, version }));
    this.files.set(
      `${version}.snapshot.json`,
      this.#signed({ _type: 'snapshot', meta: { 'targets.json': { version } }, version }),
    );
    this.files.set(
      'timestamp.json',
      this.#signed({ _type: 'timestamp', meta: { 'snapshot.json': { version } }, version }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  get #publicKey(): object {
    const { x = '' } = this.#key.publicKey.export({ format: 'jwk' });
    return {
      keytype: 'ed25519',
      keyval: { public: Buffer.from(x, 'base64url').toString('hex') },
      scheme: 'ed25519',
    };
  }

  get #keyId(): string {
    return createHash('sha256').update(canonical(this.#publicKey)).digest('hex');
  }

  #signed(content: object): Buffer {
    const signed = { ...content, expires: EXPIRES, spec_version: '1.0' };
    const sig = sign(null, Buffer.from(canonical(signed)), this.#key.privateKey).toString('hex');
    return Buffer.from(JSON.stringify({ signatures: [{ keyid: this.#keyId, sig }], signed }));
  }
}

/** Canonical JSON (OLPC) of texts without quotes and backslashes. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}
