import type { Blob } from '../blob/blob.ts';
import { readRange } from '../blob/consume.ts';

const SIGNATURE = 0x202;
const SETUP_SECTORS = 0x1f1;
const VERSION_POINTER = 0x20e;
const SECTOR = 0x200;
const LONGEST = 256;

/**
 * The release of an x86 kernel (`6.1.58-talos`) from its boot header (Linux `Documentation/arch/x86/boot.rst`,
 * "kernel_version"); `undefined` for every other kernel, which is normal for arm64.
 */
export async function kernelRelease(kernel: Blob, signal?: AbortSignal): Promise<string | undefined> {
  if (kernel.size < VERSION_POINTER + 2) return undefined;
  const header = Buffer.from(await readRange(kernel, 0, VERSION_POINTER + 2, signal));
  if (header.toString('latin1', SIGNATURE, SIGNATURE + 4) !== 'HdrS') return undefined;
  const pointer = header.readUInt16LE(VERSION_POINTER);
  if (pointer === 0 || pointer > header.readUInt8(SETUP_SECTORS) * SECTOR) return undefined;
  const start = pointer + SECTOR;
  if (start >= kernel.size) return undefined;
  const text = Buffer.from(await readRange(kernel, start, Math.min(LONGEST, kernel.size - start), signal));
  const end = text.indexOf(0);
  if (end < 0) return undefined;
  const release = text.toString('latin1', 0, end).split(' ', 1)[0] ?? '';
  return /^[\x21-\x7e]+$/.test(release) ? release : undefined;
}
