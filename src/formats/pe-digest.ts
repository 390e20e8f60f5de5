import { createHash } from 'node:crypto';
import type { Blob } from '../blob/blob.ts';
import { COFF_HEADER_SIZE, peError, readPe } from './pe.ts';

/**
 * The Authenticode SHA-256 of a PE32+ image ("Windows Authenticode Portable Executable Signature Format",
 * "Calculating the PE Image Hash"; `spec/uki-secureboot.md` §5 step 1): everything but the checksum, the
 * certificate directory entry and the certificates, padded with zero bytes to a multiple of 8.
 */
export async function authenticodeDigest(image: Blob, signal?: AbortSignal): Promise<Uint8Array> {
  const pe = await readPe(image, signal);
  const optional = pe.signatureOffset + 4 + COFF_HEADER_SIZE;
  const checksum = optional + 64;
  const certificateEntry = optional + 144;
  const hash = createHash('sha256');
  const update = async (from: number, to: number): Promise<void> => {
    for await (const chunk of image.read(from, to - from, signal)) hash.update(chunk);
  };
  await update(0, checksum);
  await update(checksum + 4, certificateEntry);
  await update(certificateEntry + 8, pe.sizeOfHeaders);
  let hashed = pe.sizeOfHeaders;
  const sections = pe.sections.filter((section) => section.rawSize > 0);
  for (const section of sections.toSorted((a, b) => a.rawOffset - b.rawOffset)) {
    await update(section.rawOffset, section.rawOffset + section.rawSize);
    hashed += section.rawSize;
  }
  const end = image.size - pe.certificates.size;
  if (hashed > end) throw peError('its sections overlap');
  await update(hashed, end);
  hash.update(new Uint8Array((8 - (end % 8)) % 8));
  return hash.digest();
}
