import { gzipSync } from 'node:zlib';
import { FactoryError } from '../errors.ts';
import { gatesOf } from './gates.ts';
import type { TalosVersion } from './version.ts';

/** A value of the META partition: a tag (0..255) and a text. */
export interface MetaValue {
  readonly key: number;
  readonly value: string;
}

/** Longer than this (bytes) is worth compressing. */
const COMPRESS_ABOVE = 256;

/**
 * META values as one word for the kernel command line (`spec/initramfs.md` §10); `''` for no values.
 * Throws `invalid` `META_INVALID` for what the node could not read back: a `;` in a value (it separates values).
 */
export function encodeMeta(values: readonly MetaValue[], version: TalosVersion): string {
  for (const { key, value } of values) {
    if (!Number.isInteger(key) || key < 0 || key > 255) {
      throw invalid(`META key ${key} is not in 0..255`);
    }
    if (value.includes(';')) {
      throw invalid(
        `the value of META key 0x${key.toString(16)} has a ";", which this output cannot carry; use a disk image`,
      );
    }
  }
  if (values.length === 0) return '';
  const bytes = Buffer.from(values.map(({ key, value }) => `0x${key.toString(16)}=${value}`).join(';'));
  if (!gatesOf(version).compressedMeta || bytes.length <= COMPRESS_ABOVE) return bytes.toString('base64');
  const compressed = gzipSync(bytes, { level: 9 });
  // RFC 1952 §2.3: the OS byte is the only one that depends on where this runs; 255 is "unknown".
  compressed[9] = 255;
  return compressed.toString('base64');
}

function invalid(message: string): FactoryError {
  return new FactoryError('invalid', 'META_INVALID', message);
}
