import type { Blob } from '../blob/blob.ts';
import { textBlob } from '../blob/bytes.ts';
import { FactoryError } from '../errors.ts';
import { gnuTar } from './gnu-tar.ts';
import { lazyBytes } from './lazy-bytes.ts';
import { ovfDescriptor } from './ova-descriptor.ts';

export interface OvaSpec {
  /** Bytes of the disk that the VMDK holds: whole MiB. */
  readonly diskSize: number;
  readonly vmdk: Blob;
  /** Lower-case hex SHA-256 of `vmdk`, which is asked for when the manifest is read. */
  readonly vmdkSha256: (signal: AbortSignal | undefined) => Promise<string>;
  readonly firmware?: 'efi';
  /** Seconds since the epoch, of the members. */
  readonly mtime: number;
  /** Lower-case hex SHA-256 of a text. */
  readonly sha256: (text: string) => string;
}

const MIB = 1 << 20;
const SHA256_DIGITS = 64;
/** The name of the disk in the archive, which the descriptor of the VMDK repeats. */
export const OVA_DISK_NAME = 'disk.vmdk';

/**
 * An OVA (DMTF DSP0243 §5.4): description, manifest and disk in a tar archive, in this order, so that a client can
 * decide before the disk arrives. Throws `invalid` `OVA_SIZE_INVALID`.
 */
export function ovaArchive(spec: OvaSpec): Blob {
  const { diskSize, vmdk, vmdkSha256, firmware, mtime, sha256 } = spec;
  if (diskSize % MIB !== 0) {
    throw new FactoryError(
      'invalid',
      'OVA_SIZE_INVALID',
      `the disk of an OVA cannot have ${diskSize} bytes: it has to have whole MiB`,
    );
  }
  const ovf = ovfDescriptor({
    vmdkSize: vmdk.size,
    capacity: diskSize / MIB,
    ...(firmware === undefined ? {} : { firmware }),
  });
  const manifest = (vmdkDigest: string): Uint8Array =>
    Buffer.from(`SHA256(${OVA_DISK_NAME})= ${vmdkDigest}\nSHA256(disk.ovf)= ${sha256(ovf)}\n`);
  const manifestSize = manifest('0'.repeat(SHA256_DIGITS)).length;
  const files = [
    { name: 'disk.ovf', content: textBlob(ovf) },
    {
      name: 'disk.mf',
      content: lazyBytes(manifestSize, async (signal) => manifest(await vmdkSha256(signal))),
    },
    { name: OVA_DISK_NAME, content: vmdk },
  ];
  return gnuTar(files, { mtime });
}
