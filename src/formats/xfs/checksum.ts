import { crc32c } from '../crc32c.ts';

/** Writes the CRC-32C of a metadata structure, little-endian unlike all else, into its place at `offset`. */
export function seal(structure: Buffer, offset: number): Buffer {
  structure.writeUInt32LE(0, offset);
  structure.writeUInt32LE(crc32c(structure), offset);
  return structure;
}
