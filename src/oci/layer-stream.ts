import { createHash } from 'node:crypto';
import { decompress } from '../process/decompress.ts';
import { badAnswer, digestMismatch } from './errors.ts';
import type { Digest } from './names.ts';
import type { Descriptor, RepositoryReader } from './repository.ts';

/** `tar`, `tar+gzip`, `tar+zstd` of OCI and Docker, also the "nondistributable" and "foreign" ones. */
const LAYER_TYPE = /^application\/vnd\.(?:oci\.image\.layer\.|docker\.image\.rootfs\.).*tar/;

export interface LayerOptions {
  /** Digest of the uncompressed layer (image-spec 1.1 "Layer DiffID"), checked at the end. */
  readonly diffId?: Digest | undefined;
  /** Called with each count of uncompressed bytes; throws when there are too many. */
  readonly onBytes: (count: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The uncompressed bytes of a layer, streamed. Fails at its end when the compressed or the uncompressed bytes are
 * not those of their digests. Errors: `OCI_IMAGE_UNKNOWN`, `OCI_LAYER_INVALID`, those of `openBlob` and
 * `decompress`.
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
    // Checked against its digest where it comes from.
    yield* blob;
    isWhole = true;
  })();
  const hash = diffId === undefined ? undefined : createHash(diffId.slice(0, diffId.indexOf(':')));
  // The limit is that of all layers together, which `onBytes` watches.
  for await (const chunk of decompress(source, { limit: Number.MAX_SAFE_INTEGER, signal })) {
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
