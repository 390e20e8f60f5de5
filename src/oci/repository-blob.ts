import { CHUNK_SIZE, checkRange, type LeafBlob, leafExtents } from '../blob/blob.ts';
import { badAnswer } from './errors.ts';
import type { Digest } from './names.ts';
import type { RepositoryReader } from './repository.ts';

/**
 * A blob of a repository that stays where it is: every read asks for its bytes. Whole reads are checked against the
 * digest. Throws `upstream` `OCI_IMAGE_UNKNOWN` when it is gone, `OCI_SIZE_MISMATCH` when it has another size.
 */
export function repositoryBlob(repository: RepositoryReader, digest: Digest, size: number): LeafBlob {
  const blob: LeafBlob = {
    size,
    // Layers are compressed, and what is not is small.
    nature: 'packed',
    key: digest,
    async *read(offset, length, signal) {
      checkRange(size, offset, length);
      if (length === 0) return;
      const isWhole = length === size;
      const stream = await repository.openBlob(digest, {
        ...(isWhole ? {} : { offset, length }),
        ...(signal === undefined ? {} : { signal }),
      });
      const thing = `${repository.name}: blob ${digest}`;
      if (stream === undefined) throw badAnswer('OCI_IMAGE_UNKNOWN', `${thing} is gone`);
      let left = length;
      for await (const chunk of stream) {
        left -= chunk.length;
        if (left < 0) break;
        for (let at = 0; at < chunk.length; at += CHUNK_SIZE) yield chunk.subarray(at, at + CHUNK_SIZE);
      }
      if (left !== 0)
        throw badAnswer('OCI_SIZE_MISMATCH', `${thing} is not of the ${size} bytes it should have`);
    },
    extents: () => leafExtents(blob),
  };
  return blob;
}
