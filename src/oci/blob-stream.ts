import { FactoryError, isAbort } from '../errors.ts';
import { badAnswer } from './errors.ts';
import type { TransferLimiter } from './limiter.ts';
import { pause, type RetryPolicy } from './retry.ts';
import type { TransportAnswer } from './transport.ts';

export interface BlobStreamParts {
  /** For errors. */
  readonly what: string;
  /** Asks for the blob from a byte on; the answer is 200 (from its start) or 206. */
  readonly open: (from: number) => Promise<TransportAnswer>;
  readonly first: TransportAnswer;
  readonly offset: number;
  readonly length: number | undefined;
  readonly limiter: TransferLimiter;
  readonly retry: RetryPolicy;
  readonly signal: AbortSignal | undefined;
}

/** Resumes in a row without a byte are bounded by the policy, those of a whole transfer by this. */
const MAX_RESUMES = 32;

/**
 * The bytes of a blob, resumed where the connection broke. A slot of the limiter is held only while bytes are
 * awaited. The transfer is broken off when the consumer stops early.
 */
export function blobStream(parts: BlobStreamParts): AsyncIterable<Uint8Array> {
  let isTaken = false;
  return {
    [Symbol.asyncIterator]() {
      if (isTaken) throw new Error(`${parts.what} is read a second time`);
      isTaken = true;
      return resuming(parts);
    },
  };
}

async function* resuming(parts: BlobStreamParts): AsyncGenerator<Uint8Array, void, undefined> {
  const { what, limiter, signal, retry } = parts;
  const start = parts.offset;
  let at = start;
  let end = parts.length === undefined ? undefined : start + parts.length;
  let answer = parts.first;
  let failures = 0;
  let resumes = 0;
  try {
    for (;;) {
      try {
        const range = answerRange(what, answer, at);
        if (range.end !== undefined) end = end === undefined ? range.end : Math.min(end, range.end);
        let skip = at - range.start;
        const chunks = answer.body[Symbol.asyncIterator]();
        for (;;) {
          if (end !== undefined && at >= end) return;
          const next = await limiter.run(() => chunks.next(), signal);
          if (next.done === true) break;
          let chunk = next.value;
          if (skip > 0) {
            // The server ignored the range: what is known already is read away.
            const cut = Math.min(skip, chunk.length);
            skip -= cut;
            chunk = chunk.subarray(cut);
          }
          if (end !== undefined && chunk.length > end - at) chunk = chunk.subarray(0, end - at);
          if (chunk.length === 0) continue;
          at += chunk.length;
          failures = 0;
          yield chunk;
        }
        if (end === undefined || at >= end) return;
        throw new FactoryError('unavailable', 'OCI_UNREACHABLE', `${what}: the transfer ended early`, {
          retryAfter: 30,
        });
      } catch (error) {
        answer.destroy();
        if (signal?.aborted) throw signal.reason;
        const isBroken = error instanceof FactoryError && error.code === 'OCI_UNREACHABLE';
        if (isAbort(error) || !isBroken || ++resumes > MAX_RESUMES) throw error;
        if (!(await pause(retry, ++failures, undefined, signal))) throw error;
        answer = await limiter.run(() => parts.open(at), signal);
      }
    }
  } finally {
    answer.destroy();
  }
}

/** The bytes `[start, end)` of the blob that an answer carries. Throws when it does not reach back to `at`. */
function answerRange(what: string, answer: TransportAnswer, at: number): { start: number; end?: number } {
  const length = parseCount(answer.header('content-length'));
  if (answer.status !== 206) return { start: 0, ...(length === undefined ? {} : { end: length }) };
  const match = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/(?:[0-9]{1,15}|\*)$/.exec(
    answer.header('content-range') ?? '',
  );
  const start = Number(match?.[1]);
  const last = Number(match?.[2]);
  if (match === null || start > at || last < at) {
    throw badAnswer('OCI_RESPONSE_INVALID', `${what}: asked from byte ${at} on, the answer is another range`);
  }
  return { start, end: last + 1 };
}

function parseCount(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
