import type { Blob } from '../../blob/blob.ts';
import { sha256 } from '../../blob/consume.ts';
import { toPortable } from '../../blob/portable.ts';
import { tarArchive } from '../../formats/tar.ts';
import type { TreeEntry } from '../../formats/tree.ts';
import type { Digest, RepositoryName } from '../../oci/names.ts';
import type { Descriptor } from '../../oci/repository.ts';
import type { Compressors } from '../encoders/compressors.ts';
import { encodeOuter } from '../encoders/formats.ts';
import type { TaskRunner } from '../task-runner.ts';

/** A layer of an image and how to get its bytes. */
export interface InstallerLayer {
  readonly descriptor: Descriptor;
  /** Digest of the archive before compression. */
  readonly diffId: Digest;
  readonly content: Blob;
  /** A repository that has it already. */
  readonly origin?: RepositoryName;
}

export interface LayerTools {
  readonly compressors: Compressors;
  readonly tasks: TaskRunner;
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/**
 * A layer of files, gzipped, since that is what every client takes; what is compressed already is referred to in
 * stored blocks. The same entries give the same digests.
 */
export async function gzipLayer(
  entries: readonly TreeEntry[],
  { compressors, tasks }: LayerTools,
  signal?: AbortSignal,
): Promise<InstallerLayer> {
  const archive = tarArchive(entries, { mtime: 0 });
  const [diffId, [content, digest]] = await Promise.all([
    blobDigest(archive, tasks, signal),
    encodeOuter(archive, 'gz', compressors, signal).then(
      async (gzip): Promise<[Blob, Digest]> => [gzip, await blobDigest(gzip, tasks, signal)],
    ),
  ]);
  return { descriptor: { mediaType: LAYER, digest, size: content.size }, diffId, content };
}

/** In a worker; here when too much of the blob is in memory to be sent there. */
async function blobDigest(blob: Blob, tasks: TaskRunner, signal: AbortSignal | undefined): Promise<Digest> {
  let hex: string;
  const portable = await portableOf(blob, signal);
  if (portable === undefined) hex = await sha256(blob, signal);
  else {
    const input = { blob: portable, algorithm: 'sha256' } as const;
    hex = await tasks.runTask('digest', input, signal === undefined ? {} : { signal });
  }
  return `sha256:${hex}` as Digest;
}

async function portableOf(blob: Blob, signal: AbortSignal | undefined) {
  try {
    return await toPortable(blob, signal);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
