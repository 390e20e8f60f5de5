import { createHash } from 'node:crypto';
import { type Duplex, pipeline } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { FactoryError, isAbort } from '../errors.ts';
import { verified } from './digest.ts';
import { badAnswer, digestMismatch } from './errors.ts';
import type { Digest } from './names.ts';
import type { Descriptor, RepositoryReader } from './repository.ts';

/** `tar`, `tar+gzip`, `tar+zstd` of OCI and Docker, also the "nondistributable" and "foreign" ones. */
const LAYER_TYPE = /^application\/vnd\.(?:oci\.image\.layer\.|docker\.image\.rootfs\.).*tar/;
/** Bytes of one chunk that a decompressor gives. */
const OUTPUT_CHUNK = 256 * 1024;

export interface LayerOptions {
  /** Digest of the uncompressed layer (image-spec 1.1 "Layer DiffID"), checked at the end. */
  readonly diffId?: Digest | undefined;
  /** Called with each count of uncompressed bytes; throws when there are too many. */
  readonly onBytes: (count: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The uncompressed bytes of a layer, streamed. Fails at its end when the compressed or the uncompressed bytes are
 * not those of their digests. Errors: `OCI_IMAGE_UNKNOWN`, `OCI_LAYER_INVALID`, those of `openBlob`.
 */
export async function* layerStream(
  repository: RepositoryReader,
  layer: Descriptor,
  options: LayerOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { diffId, onBytes, signal } = options;
  const thing = `${repository.name}: layer ${layer.digest}`;
  if (!LAYER_TYPE.test(layer.mediaType)) {
    throw badAnswer('OCI_LAYER_INVALID', `${thing} is ${layer.mediaType}, which is not a file system`);
  }
  const blob = await repository.openBlob(layer.digest, signal === undefined ? {} : { signal });
  if (blob === undefined) throw badAnswer('OCI_IMAGE_UNKNOWN', `${thing} is named by its image but absent`);
  let isWhole = false;
  const source = (async function* () {
    yield* verified(blob, thing, layer.digest, layer.size);
    isWhole = true;
  })();
  const hash = diffId === undefined ? undefined : createHash(diffId.slice(0, diffId.indexOf(':')));
  for await (const chunk of decompressed(thing, source, signal)) {
    onBytes(chunk.length);
    hash?.update(chunk);
    yield chunk;
  }
  // A decompressor may end before its input does: then the rest was not checked, and should not be there.
  if (!isWhole) throw badAnswer('OCI_LAYER_INVALID', `${thing} goes on after the end of its compressed data`);
  if (diffId !== undefined && hash !== undefined) {
    const actual = `${diffId.slice(0, diffId.indexOf(':'))}:${hash.digest('hex')}`;
    if (actual !== diffId) throw digestMismatch(`${thing}, uncompressed`, diffId, actual);
  }
}

/** By its first bytes, for media types say what was meant and not what is. */
async function* decompressed(
  thing: string,
  source: AsyncGenerator<Uint8Array, void, undefined>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { head, rest } = await peek(source, 4);
  const decompressor = decompressorFor(head);
  if (decompressor === undefined) {
    yield* rest;
    return;
  }
  let failure: unknown;
  pipeline(rest, decompressor, (error) => {
    // The reader below gets it too; this one is kept because it is the cause, not the consequence.
    failure ??= error;
  });
  try {
    for await (const chunk of decompressor) yield chunk as Uint8Array;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const cause = failure ?? error;
    if (cause instanceof FactoryError || isAbort(cause)) throw cause;
    if (isZlibError(cause)) {
      throw badAnswer(
        'OCI_LAYER_INVALID',
        `${thing} cannot be decompressed: ${(cause as Error).message}`,
        cause,
      );
    }
    throw cause;
  } finally {
    decompressor.destroy();
  }
}

function isZlibError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(?:Z_|ZSTD_|ERR_ZSTD)/.test(String(error.code));
}

function decompressorFor(head: Uint8Array): Duplex | undefined {
  if (head[0] === 0x1f && head[1] === 0x8b) return createGunzip({ chunkSize: OUTPUT_CHUNK });
  const word = Buffer.from(head).readUIntLE(0, Math.min(4, Math.max(1, head.length)));
  // RFC 8878 §3.1.1 and §3.1.2: a frame, or a skippable frame before one.
  if (head.length === 4 && (word === 0xfd2fb528 || (word & 0xfffffff0) >>> 0 === 0x184d2a50)) {
    return createZstdDecompress({ chunkSize: OUTPUT_CHUNK });
  }
  return undefined;
}

/** The first bytes, and a stream of all of them. */
async function peek(
  source: AsyncGenerator<Uint8Array, void, undefined>,
  count: number,
): Promise<{ head: Uint8Array; rest: AsyncGenerator<Uint8Array, void, undefined> }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < count) {
    const next = await source.next();
    if (next.done === true) break;
    chunks.push(next.value);
    size += next.value.length;
  }
  const rest = (async function* () {
    yield* chunks;
    yield* source;
  })();
  return { head: Buffer.concat(chunks).subarray(0, count), rest };
}
