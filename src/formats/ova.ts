import type { Blob } from '../blob/blob.ts';
import { textBlob } from '../blob/bytes.ts';
import { FactoryError } from '../errors.ts';
import { gnuTar } from './gnu-tar.ts';
import { ovfDescriptor } from './ova-descriptor.ts';

export interface OvaSpec {
  /** Bytes of the disk that the VMDK holds: whole MiB. */
  readonly diskSize: number;
  readonly vmdk: Blob;
  /** Lower-case hex SHA-256 of `vmdk`. */
  readonly vmdkSha256: string;
  readonly firmware?: 'efi';
  /** Seconds since the epoch, of the members. */
  readonly mtime: number;
  /** Lower-case hex SHA-256 of a text. */
  readonly sha256: (text: string) => string;
}

const MIB = 1 << 20;
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
  const manifest = `SHA256(${OVA_DISK_NAME})= ${vmdkSha256}\nSHA256(disk.ovf)= ${sha256(ovf)}\n`;
  const files = [
    { name: 'disk.ovf', content: textBlob(ovf) },
    { name: 'disk.mf', content: textBlob(manifest) },
    { name: OVA_DISK_NAME, content: vmdk },
  ];
  return gnuTar(files, { mtime });
}
