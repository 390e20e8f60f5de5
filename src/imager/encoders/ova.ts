import { createHash } from 'node:crypto';
import type { Blob } from '../../blob/blob.ts';
import { sha256 } from '../../blob/consume.ts';
import { SOURCE_DATE_EPOCH } from '../../clock.ts';
import { OVA_DISK_NAME, ovaArchive } from '../../formats/ova.ts';
import { type GrainCompressor, vmdkImage } from '../../formats/vmdk.ts';
import { probedNatures } from './natures.ts';

export interface OvaOptions {
  readonly compress: GrainCompressor;
  /** Names what the disk is, for ever: the content id of the VMDK comes from it. */
  readonly identity: string;
  readonly firmware?: 'efi';
  readonly signal?: AbortSignal | undefined;
}

/**
 * The OVA of a disk, whose packed bytes are referred to. Its size is known at once; the manifest is near its beginning
 * and has the digest of the disk, so whoever reads that waits until all has been read once.
 * Throws as `vmdkImage` and `ovaArchive`.
 */
export async function encodeOva(disk: Blob, options: OvaOptions): Promise<Blob> {
  const { compress, identity, firmware, signal } = options;
  const vmdk = await vmdkImage(disk, {
    compress,
    name: OVA_DISK_NAME,
    // The id tells contents apart and vouches for nothing.
    contentId: createHash('sha256').update(`vmdk content of ${identity}`).digest().subarray(0, 16),
    natureOf: await probedNatures(disk, signal),
    signal,
  });
  return ovaArchive({
    diskSize: disk.size,
    vmdk,
    vmdkSha256: (reading) => sha256(vmdk, reading),
    mtime: SOURCE_DATE_EPOCH,
    sha256: (text) => createHash('sha256').update(text).digest('hex'),
    ...(firmware === undefined ? {} : { firmware }),
  });
}
