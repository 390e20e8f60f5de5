import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Blob } from '../../blob/blob.ts';
import { bytesBlob } from '../../blob/bytes.ts';
import { concatBlobs } from '../../blob/compose.ts';
import { sha256 } from '../../blob/consume.ts';
import { fileBlob } from '../../blob/file.ts';
import { SOURCE_DATE_EPOCH } from '../../clock.ts';
import { OVA_DISK_NAME, ovaArchive } from '../../formats/ova.ts';
import { type GrainCompressor, VmdkEncoder } from '../../formats/vmdk.ts';

export interface OvaOptions {
  readonly compressor: GrainCompressor;
  /** A directory for a file as large as the result, which has to stay as long as the result is read. */
  readonly scratch: string;
  readonly firmware?: 'efi';
  readonly signal?: AbortSignal | undefined;
}

/**
 * The OVA of a disk. Its first bytes tell the size and digest of its last ones, so the grains are encoded into a
 * file first. Throws as `VmdkEncoder` and `ovaArchive`, and what the file system throws.
 */
export async function encodeOva(disk: Blob, options: OvaOptions): Promise<Blob> {
  const { compressor, scratch, firmware, signal } = options;
  const encoder = new VmdkEncoder(disk, compressor);
  const path = join(scratch, 'grains');
  const { size, contentId } = await writeGrains(encoder.grains(signal), path);
  const head = encoder.head({ name: OVA_DISK_NAME, contentId });
  const vmdk = concatBlobs([bytesBlob(head), fileBlob(path, { size, nature: 'packed' })]);
  return ovaArchive({
    diskSize: disk.size,
    vmdk,
    vmdkSha256: await sha256(vmdk, signal),
    mtime: SOURCE_DATE_EPOCH,
    sha256: (text) => createHash('sha256').update(text).digest('hex'),
    ...(firmware === undefined ? {} : { firmware }),
  });
}

/**
 * The id tells contents apart and vouches for nothing, so a hash of the chunks' CRC-32 will do: each of them
 * is hashed for the manifest in any case.
 */
async function writeGrains(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): Promise<{ readonly size: number; readonly contentId: Uint8Array }> {
  await using file = await open(path, 'wx');
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of chunks) {
    hash.update(`${crc32(chunk)}\n`);
    await file.writev([chunk]);
    size += chunk.length;
  }
  return { size, contentId: hash.digest().subarray(0, 16) };
}
