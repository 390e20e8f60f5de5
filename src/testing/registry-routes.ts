import { randomUUID } from 'node:crypto';
import { open, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { bytesBlob } from '../blob/bytes.ts';
import { openFileBlob } from '../blob/file.ts';
import { FactoryError } from '../errors.ts';
import { MAX_MANIFEST, OCI_INDEX } from '../oci/media-types.ts';
import { type Digest, parseDigest, type RepositoryName } from '../oci/names.ts';
import { referrersIndex } from '../oci/referrers.ts';
import type { Reference, Repository } from '../oci/repository.ts';
import type { RegistryOptions } from './registry.ts';
import type { Fault } from './registry-faults.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
}

export interface RoutesParts {
  readonly storage: (path: string) => Repository;
  readonly scratch: string;
  readonly options: RegistryOptions;
  readonly blobOrigin: string | undefined;
}

const ROUTE =
  /^\/v2\/(?<path>.+?)\/(?:(?<tags>tags\/list)|manifests\/(?<manifest>[^/]+)|referrers\/(?<referrers>[^/]+)|blobs\/uploads\/(?<upload>[^/]*)|blobs\/(?<blob>[^/]+))$/;

/** An answer without content, with an OCI error when it is one. */
export function emptyAnswer(status: number, code?: string, message = ''): Answer {
  if (code === undefined) return { status, headers: { 'content-length': '0' } };
  const body = Buffer.from(JSON.stringify({ errors: [{ code, message }] }));
  return { status, headers: { 'content-type': 'application/json' }, body };
}

/** The endpoints of OCI distribution-spec 1.1 over repositories. */
export class RegistryRoutes {
  readonly #parts: RoutesParts;

  constructor(parts: RoutesParts) {
    this.#parts = parts;
  }

  async answer(request: IncomingMessage, fault: Fault | undefined): Promise<Answer> {
    const url = new URL(request.url ?? '/', 'http://registry');
    if (url.pathname === '/v2/' || url.pathname === '/v2') return emptyAnswer(200);
    const route = ROUTE.exec(url.pathname)?.groups;
    if (route?.path === undefined) return emptyAnswer(404, 'NAME_UNKNOWN', 'no such path');
    const { path, manifest, referrers, upload, blob, tags } = route;
    try {
      const repository = this.#parts.storage(path);
      if (tags !== undefined) return await this.#tags(repository, path, url);
      if (manifest !== undefined) return await this.#manifest(request, repository, manifest);
      if (referrers !== undefined) return await this.#referrers(repository, referrers, url);
      if (blob !== undefined) return await this.#blob(request, repository, path, parseDigest(blob));
      return await this.#upload(request, repository, path, upload ?? '', url, fault);
    } catch (error) {
      if (error instanceof FactoryError && error.code.startsWith('OCI_')) {
        const status = error.code === 'OCI_RANGE_INVALID' ? 416 : 400;
        const code = error.code === 'OCI_DIGEST_MISMATCH' ? 'DIGEST_INVALID' : 'MANIFEST_INVALID';
        return emptyAnswer(status, code, error.message);
      }
      throw error;
    }
  }

  async #tags(repository: Repository, path: string, url: URL): Promise<Answer> {
    const all = await repository.tags();
    const last = url.searchParams.get('last');
    const asked = Number(url.searchParams.get('n') ?? Number.POSITIVE_INFINITY);
    const size = Math.min(asked, this.#parts.options.pageSize ?? Number.POSITIVE_INFINITY);
    const rest = last === null ? all : all.filter((tag) => tag > last);
    const page = rest.slice(0, size);
    if (all.length === 0) return emptyAnswer(404, 'NAME_UNKNOWN', path);
    const body = Buffer.from(JSON.stringify({ name: path, tags: page }));
    const query = new URLSearchParams({ n: String(size), last: page.at(-1) ?? '' });
    return {
      status: 200,
      headers: {
        'content-type': 'application/json',
        ...(page.length < rest.length ? { link: `</v2/${path}/tags/list?${query}>; rel="next"` } : {}),
      },
      body,
    };
  }

  async #manifest(request: IncomingMessage, repository: Repository, text: string): Promise<Answer> {
    const reference = text as Reference;
    switch (request.method) {
      case 'GET':
      case 'HEAD': {
        const raw = await repository.manifest(reference);
        if (raw === undefined) return emptyAnswer(404, 'MANIFEST_UNKNOWN', text);
        const { mediaType, digest } = raw.descriptor;
        return {
          status: 200,
          headers: { 'content-type': mediaType, 'docker-content-digest': digest },
          body: raw.bytes,
        };
      }
      case 'PUT': {
        const bytes = await readBody(request, MAX_MANIFEST);
        const mediaType = request.headers['content-type'] ?? '';
        const { digest } = await repository.pushManifest(reference, mediaType, bytes);
        const subject = subjectOf(bytes);
        const isKept = this.#parts.options.referrers !== false && subject !== undefined;
        return {
          status: 201,
          headers: {
            'docker-content-digest': digest,
            location: request.url ?? '',
            'content-length': '0',
            ...(isKept ? { 'oci-subject': subject } : {}),
          },
        };
      }
      case 'DELETE': {
        if (this.#parts.options.deletes === false) return emptyAnswer(405, 'UNSUPPORTED', 'no deletes');
        const digest = parseDigest(text);
        if ((await repository.resolve(digest)) === undefined)
          return emptyAnswer(404, 'MANIFEST_UNKNOWN', text);
        await repository.deleteManifest(digest);
        return emptyAnswer(202);
      }
      default:
        return emptyAnswer(405, 'UNSUPPORTED', request.method);
    }
  }

  async #referrers(repository: Repository, text: string, url: URL): Promise<Answer> {
    if (this.#parts.options.referrers === false) return emptyAnswer(404, 'UNSUPPORTED', 'no referrers API');
    const artifactType = url.searchParams.get('artifactType') ?? undefined;
    const found = await repository.referrers(parseDigest(text), artifactType);
    return {
      status: 200,
      headers: {
        'content-type': OCI_INDEX,
        ...(artifactType === undefined ? {} : { 'oci-filters-applied': 'artifactType' }),
      },
      body: referrersIndex(found),
    };
  }

  async #blob(
    request: IncomingMessage,
    repository: Repository,
    path: string,
    digest: Digest,
  ): Promise<Answer> {
    const size = await repository.blobSize(digest);
    if (size === undefined) return emptyAnswer(404, 'BLOB_UNKNOWN', digest);
    const { blobOrigin, options } = this.#parts;
    if (blobOrigin !== undefined && request.method === 'GET') {
      const location = `${blobOrigin}/v2/${path}/blobs/${digest}?signature=x`;
      return { status: 307, headers: { location, 'content-length': '0' } };
    }
    const common = { 'content-type': 'application/octet-stream', 'docker-content-digest': digest };
    const range = options.ranges === false ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    if (range === null) {
      const body = await repository.openBlob(digest);
      return {
        status: 200,
        headers: { ...common, 'content-length': String(size), 'accept-ranges': 'bytes' },
        ...(body === undefined ? {} : { body }),
      };
    }
    const start = Number(range[1]);
    const last = range[2] === '' ? size - 1 : Math.min(Number(range[2]), size - 1);
    if (start > last) {
      return { status: 416, headers: { 'content-range': `bytes */${size}`, 'content-length': '0' } };
    }
    const body = await repository.openBlob(digest, { offset: start, length: last - start + 1 });
    return {
      status: 206,
      headers: {
        ...common,
        'content-length': String(last - start + 1),
        'content-range': `bytes ${start}-${last}/${size}`,
      },
      ...(body === undefined ? {} : { body }),
    };
  }

  async #upload(
    request: IncomingMessage,
    repository: Repository,
    path: string,
    id: string,
    url: URL,
    fault: Fault | undefined,
  ): Promise<Answer> {
    const { options, scratch, storage } = this.#parts;
    if (request.method === 'POST') {
      const mount = url.searchParams.get('mount');
      const from = url.searchParams.get('from');
      if (mount !== null && from !== null && options.mounts !== false) {
        const digest = parseDigest(mount);
        const source = storage(from);
        const size = await source.blobSize(digest);
        if (size !== undefined) {
          // The bytes are in the layout already: only the link is made, and no content is read.
          const content = { ...bytesBlob(new Uint8Array()), size };
          const mountFrom = source.name as RepositoryName;
          await repository.pushBlob({ digest, size }, content, { mountFrom });
          return { status: 201, headers: { location: `/v2/${path}/blobs/${digest}`, 'content-length': '0' } };
        }
      }
      const started = randomUUID();
      await using _file = await open(join(scratch, started), 'wx');
      return uploadAnswer(202, path, started, 0);
    }
    if (!/^[0-9a-f-]{36}$/.test(id)) return emptyAnswer(404, 'BLOB_UPLOAD_UNKNOWN', id);
    const file = join(scratch, id);
    const size = await stat(file).then(
      (facts) => facts.size,
      () => undefined,
    );
    if (size === undefined) return emptyAnswer(404, 'BLOB_UPLOAD_UNKNOWN', id);
    switch (request.method) {
      case 'GET':
        return uploadAnswer(204, path, id, size);
      case 'PATCH': {
        if (options.chunks === false) return emptyAnswer(405, 'UNSUPPORTED', 'no chunks');
        const range = /^(\d+)-\d+$/.exec(request.headers['content-range'] ?? '');
        if (range !== null && Number(range[1]) !== size) return uploadAnswer(416, path, id, size);
        return uploadAnswer(202, path, id, await append(request, file, size, fault));
      }
      case 'PUT': {
        const digest = parseDigest(url.searchParams.get('digest') ?? '');
        const total = await append(request, file, size, fault);
        try {
          await repository.pushBlob({ digest, size: total }, await openFileBlob(file));
        } finally {
          await rm(file, { force: true });
        }
        return {
          status: 201,
          headers: {
            location: `/v2/${path}/blobs/${digest}`,
            'docker-content-digest': digest,
            'content-length': '0',
          },
        };
      }
      default:
        return emptyAnswer(405, 'UNSUPPORTED', request.method);
    }
  }
}

function uploadAnswer(status: number, path: string, id: string, size: number): Answer {
  return {
    status,
    headers: {
      location: `/v2/${path}/blobs/uploads/${id}`,
      range: `0-${Math.max(0, size - 1)}`,
      'content-length': '0',
    },
  };
}

/** Appends a request's body to an upload: what came before a break stays. */
async function append(
  request: IncomingMessage,
  path: string,
  size: number,
  fault: Fault | undefined,
): Promise<number> {
  await using file = await open(path, 'a');
  let taken = 0;
  for await (const chunk of request) {
    if (fault?.kind === 'reset-upload' && taken + chunk.length > fault.after) {
      await file.writeFile(chunk.subarray(0, fault.after - taken));
      throw new Error('broken off by a fault');
    }
    await file.writeFile(chunk);
    taken += chunk.length;
  }
  return size + taken;
}

async function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > limit) throw new FactoryError('invalid', 'OCI_MANIFEST_TOO_LARGE', 'too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function subjectOf(bytes: Uint8Array): string | undefined {
  const value: { subject?: { digest?: string } } = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return value.subject?.digest;
}
