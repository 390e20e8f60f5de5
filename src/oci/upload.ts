import type { Blob } from '../blob/blob.ts';
import { sliceBlob } from '../blob/compose.ts';
import { FactoryError, isAbort } from '../errors.ts';
import { type Scope, scopeOf } from './authorization.ts';
import { badAnswer, digestMismatch } from './errors.ts';
import type { TransferLimiter } from './limiter.ts';
import { type Digest, isDigest } from './names.ts';
import { isTransient, pause, type RetryPolicy } from './retry.ts';
import type { SessionRequest } from './session.ts';
import type { TransportAnswer } from './transport.ts';

export interface UploadRequest
  extends Pick<SessionRequest, 'method' | 'target' | 'headers' | 'body' | 'expected' | 'retried'> {
  readonly extraScopes?: readonly Scope[];
}

export interface Upload {
  readonly send: (request: UploadRequest) => Promise<TransportAnswer>;
  /** `/v2/<path>/blobs/uploads/`. */
  readonly uploads: string;
  readonly thing: string;
  readonly digest: Digest;
  readonly content: Blob;
  /** Path of another repository of the same registry that may have the blob. */
  readonly mountFrom: string | undefined;
  readonly limiter: TransferLimiter;
  readonly retry: RetryPolicy;
  readonly chunkSize: number;
  readonly signal: AbortSignal | undefined;
}

/** Where an upload goes on: an address that changes with every answer. */
interface UploadSession {
  location: URL;
  /** `OCI-Chunk-Min-Length`: the registry takes no smaller chunk, but for the last one. */
  readonly minChunk: number;
}

/** A registry without chunked uploads answers the first one with these. */
const CHUNKS_REFUSED: readonly number[] = [400, 404, 405, 415, 416, 501];

/** Uploads a blob: mounted, in one piece, or in chunks (OCI distribution-spec 1.1 "Pushing blobs"). */
export async function uploadBlob(upload: Upload): Promise<void> {
  let isChunked = upload.content.size > upload.chunkSize;
  let { mountFrom } = upload;
  for (let attempt = 1; ; attempt++) {
    upload.signal?.throwIfAborted();
    try {
      const session = await startUpload(upload, mountFrom);
      if (session === undefined) return;
      mountFrom = undefined;
      if (isChunked && !(await sendChunks(upload, session))) {
        isChunked = false;
        attempt--;
        continue;
      }
      await finish(upload, session, isChunked);
      return;
    } catch (error) {
      if (upload.signal?.aborted) throw upload.signal.reason;
      if (isAbort(error) || !(isTransient(error) || isLostSession(error))) throw error;
      const retryAfter = error instanceof FactoryError && isTransient(error) ? error.retryAfter : undefined;
      // The 30 s that an unreachable registry suggests to clients are not what it asked us for.
      const asked =
        error instanceof FactoryError && error.code === 'OCI_RATE_LIMITED' ? retryAfter : undefined;
      if (!(await pause(upload.retry, attempt, asked, upload.signal))) throw error;
    }
  }
}

/** The registry does not know the upload any more: a new one may do. */
function isLostSession(error: unknown): boolean {
  return (
    error instanceof FactoryError &&
    error.code === 'OCI_RESPONSE_INVALID' &&
    /status (?:404|416)/.test(error.message)
  );
}

/** A place to upload to; `undefined` when the blob was mounted and nothing is left to do. */
async function startUpload(
  upload: Upload,
  mountFrom: string | undefined,
): Promise<UploadSession | undefined> {
  const query =
    mountFrom === undefined ? '' : `?${new URLSearchParams({ mount: upload.digest, from: mountFrom })}`;
  const answer = await upload.send({
    method: 'POST',
    target: `${upload.uploads}${query}`,
    expected: mountFrom === undefined ? [202] : [201, 202, 400, 401, 403, 404, 405],
    ...(mountFrom === undefined ? {} : { extraScopes: [scopeOf(mountFrom, 'pull')] }),
  });
  await answer.discard();
  if (answer.status === 201) return undefined;
  // Mounting is a short cut: where it is refused, the long way is taken.
  if (answer.status !== 202) return startUpload(upload, undefined);
  const min = Number(answer.header('oci-chunk-min-length') ?? 0);
  return { location: locationOf(upload, answer), minChunk: Number.isSafeInteger(min) && min > 0 ? min : 0 };
}

function locationOf(upload: Upload, answer: TransportAnswer, before?: URL): URL {
  const location = answer.header('location');
  if (location !== undefined && URL.canParse(location, answer.url.href)) return new URL(location, answer.url);
  if (before !== undefined && location === undefined) return before;
  throw badAnswer('OCI_RESPONSE_INVALID', `${upload.thing}: the registry does not say where to upload to`);
}

/** Bytes of a blob as the body of a request, made anew for each try. */
function bodyOf(
  content: Blob,
  signal: AbortSignal | undefined,
): () => AsyncIterable<Uint8Array> | Uint8Array {
  if (content.size === 0) return () => new Uint8Array();
  return () => content.read(0, content.size, signal);
}

/** Ends the upload: with the whole content, or (after chunks) with nothing but the digest. */
async function finish(upload: Upload, session: UploadSession, isSent: boolean): Promise<void> {
  const target = new URL(session.location);
  target.searchParams.set('digest', upload.digest);
  const size = isSent ? 0 : upload.content.size;
  const put = (): Promise<TransportAnswer> =>
    upload.send({
      method: 'PUT',
      target,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      ...(size === 0 ? {} : { body: bodyOf(upload.content, upload.signal) }),
      expected: [200, 201, 204],
      // A session that took half of the body is of no use: a new one is started instead.
      retried: false,
    });
  const answer = await upload.limiter.run(put, upload.signal);
  await answer.discard();
  const stored = answer.header('docker-content-digest');
  const algorithm = upload.digest.slice(0, upload.digest.indexOf(':') + 1);
  // Some registries know every blob by its SHA-256, whatever it was pushed as.
  if (stored !== undefined && isDigest(stored) && stored.startsWith(algorithm) && stored !== upload.digest) {
    throw digestMismatch(upload.thing, upload.digest, stored);
  }
}

/** Sends all chunks, asking where to go on after a failed one. False when the registry takes no chunks. */
async function sendChunks(upload: Upload, session: UploadSession): Promise<boolean> {
  const { content, signal, retry } = upload;
  const step = Math.max(upload.chunkSize, session.minChunk);
  let failures = 0;
  for (let at = 0; at < content.size; ) {
    const length = Math.min(step, content.size - at);
    const chunk = sliceBlob(content, at, length);
    const patch = (): Promise<TransportAnswer> =>
      upload.send({
        method: 'PATCH',
        target: session.location,
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(length),
          'content-range': `${at}-${at + length - 1}`,
        },
        body: bodyOf(chunk, signal),
        expected: at === 0 ? [200, 201, 202, 204, ...CHUNKS_REFUSED] : [200, 201, 202, 204],
        retried: false,
      });
    try {
      const answer = await upload.limiter.run(patch, signal);
      await answer.discard();
      if (CHUNKS_REFUSED.includes(answer.status)) return false;
      session.location = locationOf(upload, answer, session.location);
      const stored = acknowledged(answer);
      if (stored !== undefined && stored <= at && length > 1) {
        throw badAnswer(
          'OCI_RESPONSE_INVALID',
          `${upload.thing}: the registry took a chunk and kept nothing of it`,
        );
      }
      at = stored === undefined || stored <= at ? at + length : stored;
      failures = 0;
    } catch (error) {
      if (signal?.aborted || isAbort(error) || !isTransient(error)) throw error;
      if (!(await pause(retry, ++failures, undefined, signal))) throw error;
      at = await askStatus(upload, session);
    }
    if (at > content.size) {
      throw badAnswer('OCI_RESPONSE_INVALID', `${upload.thing}: the registry has more bytes than were sent`);
    }
  }
  return true;
}

/** How many bytes the registry has (`GET` of the upload, distribution-spec 1.1 "Resuming"). */
async function askStatus(upload: Upload, session: UploadSession): Promise<number> {
  const answer = await upload.send({ method: 'GET', target: session.location, expected: [200, 202, 204] });
  await answer.discard();
  session.location = locationOf(upload, answer, session.location);
  return acknowledged(answer) ?? 0;
}

/** `Range: 0-<last byte>` as a count. `0-0` is one byte by the letter, but what registries say of none. */
function acknowledged(answer: TransportAnswer): number | undefined {
  const match = /^(?:bytes=)?0-([0-9]{1,15})$/.exec(answer.header('range') ?? '');
  const last = match?.[1];
  return last === undefined ? undefined : last === '0' ? 0 : Number(last) + 1;
}
