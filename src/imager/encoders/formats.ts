import type { Blob } from '../../blob/blob.ts';
import { SOURCE_DATE_EPOCH } from '../../clock.ts';
import { gnuSparseTar } from '../../formats/gnu-tar.ts';
import { guidOfName } from '../../formats/guid.ts';
import { gzipFile } from '../../formats/gzip-file.ts';
import { qcow2Image } from '../../formats/qcow2.ts';
import { fixedVhd } from '../../formats/vhd.ts';
import { xzFile } from '../../formats/xz-file.ts';
import { zstdFile } from '../../formats/zstd-file.ts';
import type { Compressors } from './compressors.ts';
import { probedNatures } from './natures.ts';
import { encodeOva } from './ova.ts';

/** What a disk is delivered as (`spec/outputs-disk.md` §8). */
export type DiskContainer = 'raw' | 'qcow2' | 'vhd' | 'ova';

/** What is put around it (`spec/outputs.md` §5). */
export type OuterFormat = 'none' | 'tar.gz' | 'gz' | 'xz' | 'zst';

export interface DiskContainerOptions {
  /** Names what the disk is, for ever (a recipe's hash): the identity in formats that have one comes from it. */
  readonly identity: string;
  readonly compressors: Compressors;
  /** For a virtual machine that boots by EFI alone. */
  readonly firmware?: 'efi';
  readonly signal?: AbortSignal | undefined;
}

/**
 * A disk in its format, served from the disk itself, at any offset. The options of the format are its own, whatever the
 * platform (`spec/outputs-disk.md` §8.2, §8.3).
 */
export async function containDisk(
  disk: Blob,
  container: DiskContainer,
  options: DiskContainerOptions,
): Promise<Blob> {
  switch (container) {
    case 'raw':
      return disk;
    case 'qcow2':
      return qcow2Image(disk);
    case 'vhd':
      return fixedVhd({ disk, time: SOURCE_DATE_EPOCH, uuid: uuidOf(options.identity) });
    case 'ova': {
      const { compressors, identity, firmware, signal } = options;
      return await encodeOva(disk, {
        compress: compressors.grain,
        identity,
        signal,
        ...(firmware === undefined ? {} : { firmware }),
      });
    }
  }
}

/**
 * A file in its outer format. Plain bytes are compressed here; all else is referred to, and the size is known before it
 * is read. Checksums of what is referred to are computed when they are read, and remembered.
 */
export async function encodeOuter(
  file: Blob,
  format: OuterFormat,
  compressors: Compressors,
  signal?: AbortSignal,
): Promise<Blob> {
  if (format === 'none') return file;
  const { zstd, xz, deflate, checksums } = compressors;
  const options = { natureOf: await probedNatures(file, signal), checksums, signal };
  switch (format) {
    case 'zst':
      return await zstdFile(file, { compressor: zstd, ...options });
    case 'xz':
      return await xzFile(file, { compress: xz, ...options });
    case 'gz':
      return await gzipFile(file, { compress: deflate, ...options });
    case 'tar.gz': {
      const tar = gnuSparseTar({ name: TAR_MEMBER, content: file }, { mtime: SOURCE_DATE_EPOCH });
      return await gzipFile(tar, { compress: deflate, ...options });
    }
  }
}

/** Whatever the asset is called: it is the name that Google Cloud looks for. */
const TAR_MEMBER = 'disk.raw';

/** A UUID of version 8 (RFC 9562 §5.8), in network order. */
function uuidOf(identity: string): Uint8Array {
  return Buffer.from(guidOfName(identity).replaceAll('-', ''), 'hex');
}
