import { readRecycled } from '../blob/recycle.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { formatHttpDate, type Header, judgeConditions, rangeApplies, type Validators } from './conditions.ts';
import { formatReprDigest, wantedDigest } from './digest-fields.ts';
import { parseRange } from './range.ts';
import type { Representation } from './result.ts';

/** Assets up to this size are hashed before they are answered, so that every small one has a digest. */
const EAGER_DIGEST_SIZE = 64 * 1024 * 1024;

/** The head of an answer and which bytes of the representation follow it. */
export interface Delivery {
  readonly status: 200 | 206 | 304 | 412 | 416;
  readonly headers: Readonly<Record<string, string>>;
  readonly offset: number;
  /** 0 for answers without a body of their own. */
  readonly length: number;
}

/**
 * Which answer a GET or HEAD of a representation gets: RFC 9110 §13 (conditions), §14 (ranges), RFC 9530
 * (`Repr-Digest`). HEAD gets the headers of the GET without `Range`, which is defined for GET only (§14.2).
 */
export async function planDelivery(
  representation: Representation,
  method: string,
  header: Header,
): Promise<Delivery> {
  const { blob, etag, immutable, cacheControl } = representation;
  const lastModified = immutable === true ? SOURCE_DATE_EPOCH : undefined;
  const validators: Validators = { etag, lastModified };
  const condition = judgeConditions(header, validators);
  if (condition === 'failed') return { status: 412, headers: {}, offset: 0, length: 0 };
  const revalidation: Record<string, string> = {
    ...(representation.headers?.Vary === undefined ? {} : { Vary: representation.headers.Vary }),
    'Cache-Control': cacheControl,
    ETag: `"${etag}"`,
    ...(lastModified === undefined ? {} : { 'Last-Modified': formatHttpDate(lastModified) }),
  };
  if (condition === 'not-modified') return { status: 304, headers: revalidation, offset: 0, length: 0 };

  const range =
    method === 'GET' && rangeApplies(header, validators) ? parseRange(header('range'), blob.size) : 'all';
  if (range === 'unsatisfiable') {
    const headers = { 'Accept-Ranges': 'bytes', 'Content-Range': `bytes */${blob.size}` };
    return { status: 416, headers, offset: 0, length: 0 };
  }
  const { offset, length } = range === 'all' ? { offset: 0, length: blob.size } : range;
  const digest = await reprDigest(representation, header('want-repr-digest'));
  const headers: Record<string, string> = {
    ...representation.headers,
    ...revalidation,
    'Accept-Ranges': 'bytes',
    'Content-Type': representation.contentType,
    'Content-Length': String(length),
    ...(digest === undefined ? {} : { 'Repr-Digest': digest }),
    ...(range === 'all' ? {} : { 'Content-Range': `bytes ${offset}-${offset + length - 1}/${blob.size}` }),
  };
  return { status: range === 'all' ? 200 : 206, headers, offset, length };
}

async function reprDigest(
  representation: Representation,
  wanted: string | undefined,
): Promise<string | undefined> {
  const { digest, blob } = representation;
  if (digest === undefined) return undefined;
  const algorithm = wantedDigest(wanted);
  if (algorithm === 'sha512') return formatReprDigest('sha512', await digest.compute('sha512'));
  if (digest.known !== undefined) return formatReprDigest('sha256', digest.known);
  if (algorithm === undefined && blob.size > EAGER_DIGEST_SIZE) return undefined;
  return formatReprDigest('sha256', await digest.compute('sha256'));
}

/** Where bytes go, with backpressure: `write` resolves when the chunk is no longer needed. */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void>;
}

/**
 * Writes the planned bytes, holding two chunks at a time: the next is read while one is sent. Throws when the blob fails or yields another number of
 * bytes than it said: the caller then breaks the connection, because the announced length cannot be met.
 */
export async function writeBytes(
  sink: ByteSink,
  { blob }: Pick<Representation, 'blob'>,
  { offset, length }: Pick<Delivery, 'offset' | 'length'>,
  signal: AbortSignal,
): Promise<void> {
  let left = length;
  let sent = Promise.resolve();
  for await (const chunk of readRecycled(blob, offset, length, signal)) {
    await sent;
    left -= chunk.length;
    if (left < 0) break;
    sent = sink.write(chunk);
    // Awaited with the next chunk; until then a failure is not unhandled.
    sent.catch(() => {});
  }
  await sent;
  if (left !== 0) {
    const message = `blob yielded ${left < 0 ? 'more' : 'fewer'} than the ${length} bytes asked for`;
    throw new FactoryError('internal', 'HTTP_BODY_LENGTH', message);
  }
}
