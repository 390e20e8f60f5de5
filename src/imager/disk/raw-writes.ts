import type { Blob } from '../../blob/blob.ts';
import { type Placed, placedBlob, sliceBlob } from '../../blob/compose.ts';
import { readRange } from '../../blob/consume.ts';
import { FactoryError } from '../../errors.ts';
import { MBR_CODE_SIZE, MBR_SIZE } from '../../formats/mbr.ts';

/** What an overlay wrote to the bare disk, seen as a disk. */
export interface RawDisk {
  /** The 446 bytes of boot code in the first sector. */
  readonly bootCode: Uint8Array;
  /** The writes but for what `covers` take their place of. */
  around(covers: readonly Placed[]): Promise<readonly Placed[]>;
}

/**
 * An overlay writes before there is a partition table, which then takes the place of what was there
 * (`spec/outputs-disk.md` §7). Where that would destroy anything but zeros the board could not boot, so it is refused.
 * Throws `invalid` `OVERLAY_WRITES_INVALID`, `OVERLAY_OVERLAPS`.
 */
export async function rawDisk(
  writes: readonly Placed[],
  size: number,
  signal?: AbortSignal,
): Promise<RawDisk> {
  const bare = bareDisk(writes, size);
  return {
    bootCode: await readRange(bare, 0, MBR_CODE_SIZE, signal),
    async around(covers) {
      const sorted = covers.toSorted((a, b) => a.offset - b.offset);
      const kept: Placed[] = [];
      for (const write of writes) {
        const end = write.offset + write.blob.size;
        let at = write.offset;
        for (const cover of sorted) {
          const start = Math.max(at, cover.offset);
          const stop = Math.min(end, cover.offset + cover.blob.size);
          if (start >= stop) continue;
          // Boot code of the first sector is kept by those who write that sector, its table is not.
          await requireZeros(bare, Math.max(start, MBR_SIZE), stop, signal);
          keep(write, at, start);
          at = stop;
        }
        keep(write, at, end);
      }
      return kept;

      function keep(write: Placed, from: number, to: number): void {
        if (from < to)
          kept.push({ offset: from, blob: sliceBlob(write.blob, from - write.offset, to - from) });
      }
    },
  };
}

function bareDisk(writes: readonly Placed[], size: number): Blob {
  try {
    return placedBlob(size, writes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FactoryError(
      'invalid',
      'OVERLAY_WRITES_INVALID',
      `what the overlay wrote is no disk of ${size} bytes: ${error.message}`,
      { cause: error },
    );
  }
}

async function requireZeros(
  disk: Blob,
  start: number,
  stop: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  let at = start;
  if (start >= stop) return;
  for await (const chunk of disk.read(start, stop - start, signal)) {
    const found = chunk.findIndex((byte) => byte !== 0);
    if (found >= 0)
      throw new FactoryError(
        'invalid',
        'OVERLAY_OVERLAPS',
        `the overlay wrote at byte ${at + found} of the disk, where the partition table or a partition lies; ` +
          'it has to ask for a larger partition offset',
      );
    at += chunk.length;
  }
}
