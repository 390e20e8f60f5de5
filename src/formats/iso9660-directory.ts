import { BLOCK, blocks, recordDate, writeBoth16, writeBoth32 } from './iso9660-fields.ts';
import { CONTINUATION_SIZE, continuation, type SystemUse } from './rock-ridge.ts';

/** Where the content of a file or directory is: one run of blocks. */
export interface Extent {
  readonly lba: number;
  /** Bytes. */
  readonly size: number;
}

/** A record to be written (ECMA-119 §9.1); `identifier` `\0` is the directory itself, `\1` the one above. */
export interface RecordPlan {
  readonly identifier: string;
  readonly isDirectory: boolean;
  readonly systemUse: SystemUse;
  /** More than one for files of 4 GiB and more: a record for each. Their number is known before their places. */
  readonly extents: () => readonly Extent[];
  readonly extentCount: number;
}

/** A directory with its size known, of which the bytes can be made once every extent has its place. */
export interface DirectoryPlan {
  /** Blocks of records. */
  readonly blocks: number;
  /** Blocks of continued System Use entries, right after the records. */
  readonly continuationBlocks: number;
  /** Records and continuations for a directory that begins at `lba`. */
  bytes(lba: number, time: number): Uint8Array;
}

interface SizedRecord {
  readonly plan: RecordPlan;
  readonly inline: SystemUse;
  readonly continued: Uint8Array;
  readonly length: number;
}

const HEAD = 33;
/** The length field has one byte, and lengths are even. */
const LONGEST_RECORD = 254;

export const FLAG = { directory: 0x02, multiExtent: 0x80 } as const;

/** Lays out the records of a directory, in the order given. */
export function planDirectory(plans: readonly RecordPlan[]): DirectoryPlan {
  const records = plans.map(sizeRecord);
  let end = 0;
  const offsets = records.map((record) =>
    Array.from({ length: record.plan.extentCount }, () => {
      // A record lies in one block (ECMA-119 §6.8.1.1).
      if ((end % BLOCK) + record.length > BLOCK) end = blocks(end) * BLOCK;
      end += record.length;
      return end - record.length;
    }),
  );
  let continuationEnd = 0;
  const continuations = records.map((record) => {
    const length = record.continued.length;
    // Linux wants a continuation in one block.
    if ((continuationEnd % BLOCK) + length > BLOCK) continuationEnd = blocks(continuationEnd) * BLOCK;
    continuationEnd += length;
    return continuationEnd - length;
  });
  const directoryBlocks = Math.max(1, blocks(end));
  const continuationBlocks = blocks(continuationEnd);
  return {
    blocks: directoryBlocks,
    continuationBlocks,
    bytes(lba, time) {
      const bytes = Buffer.alloc((directoryBlocks + continuationBlocks) * BLOCK);
      for (const [i, record] of records.entries()) {
        const place = continuations[i] ?? 0;
        const start = directoryBlocks * BLOCK + place;
        bytes.set(record.continued, start);
        const pointer =
          record.continued.length === 0
            ? []
            : [continuation(lba + Math.floor(start / BLOCK), start % BLOCK, record.continued.length)];
        const extents = record.plan.extents();
        for (const [j, offset] of (offsets[i] ?? []).entries()) {
          const extent = extents[j] ?? { lba: 0, size: 0 };
          const more = j < record.plan.extentCount - 1;
          writeRecord(bytes, offset, record, extent, [...record.inline, ...pointer], more, time);
        }
      }
      return bytes;
    },
  };
}

/** The 34 bytes of the root's record in a volume descriptor. */
export function rootRecord(extent: Extent, time: number): Uint8Array {
  const bytes = Buffer.alloc(HEAD + 1);
  const plan: RecordPlan = {
    identifier: '\0',
    isDirectory: true,
    systemUse: [],
    extents: () => [extent],
    extentCount: 1,
  };
  writeRecord(bytes, 0, sizeRecord(plan), extent, [], false, time);
  return bytes;
}

function sizeRecord(plan: RecordPlan): SizedRecord {
  const base = even(HEAD + plan.identifier.length);
  const total = plan.systemUse.reduce((sum, entry) => sum + entry.length, 0);
  const room = LONGEST_RECORD - base;
  if (total <= room)
    return { plan, inline: plan.systemUse, continued: new Uint8Array(0), length: even(base + total) };
  const inline: Uint8Array[] = [];
  let used = 0;
  for (const entry of plan.systemUse) {
    if (used + entry.length + CONTINUATION_SIZE > room) break;
    inline.push(entry);
    used += entry.length;
  }
  const continued = Buffer.concat(plan.systemUse.slice(inline.length));
  if (continued.length > BLOCK) throw new RangeError(`${continued.length} bytes of System Use entries`);
  return { plan, inline, continued, length: even(base + used + CONTINUATION_SIZE) };
}

function writeRecord(
  bytes: Buffer,
  at: number,
  record: SizedRecord,
  extent: Extent,
  systemUse: SystemUse,
  more: boolean,
  time: number,
): void {
  const { identifier, isDirectory } = record.plan;
  bytes.writeUInt8(record.length, at);
  writeBoth32(bytes, extent.lba, at + 2);
  writeBoth32(bytes, extent.size, at + 10);
  bytes.set(recordDate(time), at + 18);
  bytes.writeUInt8((isDirectory ? FLAG.directory : 0) | (more ? FLAG.multiExtent : 0), at + 25);
  writeBoth16(bytes, 1, at + 28);
  bytes.writeUInt8(identifier.length, at + 32);
  bytes.write(identifier, at + HEAD, 'latin1');
  let next = at + even(HEAD + identifier.length);
  for (const entry of systemUse) {
    bytes.set(entry, next);
    next += entry.length;
  }
}

function even(value: number): number {
  return value + (value % 2);
}
