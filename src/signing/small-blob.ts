import type { Descriptor, RepositoryReader } from '../oci/repository.ts';
import { badSignature } from './errors.ts';

/**
 * A blob that must be small, whole and checked against its digest. Throws `SIGNATURE_INVALID` when it is absent,
 * larger than `limit` bytes, or not of the size that its descriptor says.
 */
export async function readSmallBlob(
  repository: RepositoryReader,
  descriptor: Descriptor,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (descriptor.size > limit) {
    throw badSignature(
      `signature blob ${descriptor.digest} of ${descriptor.size} bytes is larger than ${limit}`,
    );
  }
  const stream = await repository.openBlob(descriptor.digest, signal === undefined ? {} : { signal });
  if (stream === undefined) throw badSignature(`signature blob ${descriptor.digest} is missing`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > descriptor.size) break;
    chunks.push(chunk);
  }
  if (size !== descriptor.size) {
    throw badSignature(
      `signature blob ${descriptor.digest} is not of the ${descriptor.size} bytes it should have`,
    );
  }
  return Buffer.concat(chunks);
}
