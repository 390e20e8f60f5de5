import { createHash } from 'node:crypto';
import { FactoryError } from '../errors.ts';

/** A value of a META partition: a tag (1..255) and its bytes. */
export interface AdvValue {
  readonly tag: number;
  readonly value: Uint8Array;
}

/** Bytes of a META partition. */
export const ADV_PARTITION_SIZE = 1 << 20;
/** The block is there twice, one copy after the other. */
const BLOCK = 256 * 1024;
const MAGIC_START = 0x5a4b3c2d;
const MAGIC_END = 0xa5b4c3d2;
const DIGEST_OFFSET = BLOCK - 36;
const DIGEST_SIZE = 32;
const VALUES_OFFSET = 4;
/** Tag and length. */
const VALUE_HEADER = 8;
const LARGEST_TAG = 255;
/** What all values with their headers may take (`spec/outputs-disk.md` §5). */
export const ADV_CAPACITY = DIGEST_OFFSET - VALUES_OFFSET;

/**
 * The first 512 KiB of a META partition (`spec/outputs-disk.md` §5); what follows is zero. A tag that comes again
 * takes the place of the earlier one. Nothing is written when there are no values.
 * Throws `invalid` `META_INVALID`, `META_TOO_LARGE`.
 */
export function advBytes(values: readonly AdvValue[]): Uint8Array {
  const last = new Map<number, Uint8Array>();
  let size = 0;
  for (const { tag, value } of values) {
    // Tag 0 ends the list: what follows it would never be read.
    if (!Number.isInteger(tag) || tag < 1 || tag > LARGEST_TAG)
      throw new FactoryError('invalid', 'META_INVALID', `META key ${tag} is not in 1..${LARGEST_TAG}`);
    last.set(tag, value);
  }
  if (last.size === 0) return new Uint8Array(0);
  for (const value of last.values()) size += value.length + VALUE_HEADER;
  if (size > ADV_CAPACITY)
    throw new FactoryError(
      'invalid',
      'META_TOO_LARGE',
      `META values take ${size} bytes, and the partition holds ${ADV_CAPACITY}: make them shorter`,
    );
  const block = Buffer.alloc(BLOCK);
  block.writeUInt32BE(MAGIC_START, 0);
  let at = VALUES_OFFSET;
  for (const [tag, value] of last) {
    block.writeUInt32BE(tag, at);
    block.writeUInt32BE(value.length, at + 4);
    block.set(value, at + VALUE_HEADER);
    at += VALUE_HEADER + value.length;
  }
  block.writeUInt32BE(MAGIC_END, BLOCK - 4);
  block.set(createHash('sha256').update(block).digest(), DIGEST_OFFSET);
  return Buffer.concat([block, block]);
}

/**
 * The values of a META partition, of the first copy that is whole; none when nothing was ever written.
 * Throws `invalid` `META_INVALID` when both copies are damaged.
 */
export function readAdv(partition: Uint8Array): readonly AdvValue[] {
  const bytes = Buffer.from(partition.buffer, partition.byteOffset, partition.length);
  const copies = [bytes.subarray(0, BLOCK), bytes.subarray(BLOCK, 2 * BLOCK)];
  for (const copy of copies) if (isWhole(copy)) return readBlock(copy);
  if (copies.every((copy) => copy.every((byte) => byte === 0))) return [];
  throw new FactoryError('invalid', 'META_INVALID', 'no copy of the META values is whole');
}

function isWhole(block: Buffer): boolean {
  if (block.length !== BLOCK) return false;
  if (block.readUInt32BE(0) !== MAGIC_START || block.readUInt32BE(BLOCK - 4) !== MAGIC_END) return false;
  const digest = createHash('sha256')
    .update(block.subarray(0, DIGEST_OFFSET))
    .update(new Uint8Array(DIGEST_SIZE))
    .update(block.subarray(DIGEST_OFFSET + DIGEST_SIZE));
  return digest.digest().equals(block.subarray(DIGEST_OFFSET, DIGEST_OFFSET + DIGEST_SIZE));
}

function readBlock(block: Buffer): readonly AdvValue[] {
  const values: AdvValue[] = [];
  let at = VALUES_OFFSET;
  while (at + VALUE_HEADER <= DIGEST_OFFSET) {
    const tag = block.readUInt32BE(at);
    if (tag === 0) break;
    const end = at + VALUE_HEADER + block.readUInt32BE(at + 4);
    if (end > DIGEST_OFFSET)
      throw new FactoryError('invalid', 'META_INVALID', `the META value of key ${tag} goes beyond its block`);
    values.push({ tag, value: block.subarray(at + VALUE_HEADER, end) });
    at = end;
  }
  return values;
}
