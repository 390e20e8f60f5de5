import { FactoryError } from '../../errors.ts';
import { BLOCK, CHUNK_BLOCKS, groupLength, RESERVE_BLOCKS, type XfsGeometry } from './geometry.ts';

/** A run of blocks in one allocation group. */
export interface Run {
  readonly group: number;
  readonly block: number;
  readonly count: number;
}

/** The most blocks of one extent record: 21 bits. */
const LONGEST_RUN = 2 ** 21 - 1;
/**
 * One block of so many is left free in every group: the kernel reserves that much for the trees of free inodes and
 * of references when it mounts (for 64000 blocks about 450).
 */
const KEPT_FREE = 64;

/** Free blocks of all groups, given away from the front. */
export class XfsSpace {
  readonly #geometry: XfsGeometry;
  readonly #free: Run[][] = [];
  /** Where each group's reserve lies. */
  readonly reserves: readonly number[];

  /** `chunks`: of inodes, in the first group. */
  constructor(geometry: XfsGeometry, chunks: number) {
    this.#geometry = geometry;
    const reserves: number[] = [];
    for (let group = 0; group < geometry.groups; group++) {
      const reserve = geometry.firstFree + (group === geometry.logGroup ? geometry.logBlocks : 0);
      reserves.push(reserve);
      const used = [[0, reserve + RESERVE_BLOCKS]];
      if (group === 0) used.push([geometry.inodeBlock, geometry.inodeBlock + chunks * CHUNK_BLOCKS]);
      this.#free.push(gaps(group, used, groupLength(geometry, group)));
    }
    this.reserves = reserves;
  }

  /** Blocks for `bytes`, in as few runs as there can be. Throws `invalid` `XFS_NO_ROOM`. */
  take(path: string, bytes: number): readonly Run[] {
    const runs: Run[] = [];
    let left = Math.ceil(bytes / BLOCK);
    for (const [group, free] of this.#free.entries()) {
      let spare = this.freeBlocks(group) - Math.ceil(groupLength(this.#geometry, group) / KEPT_FREE);
      for (const [i, run] of free.entries()) {
        let { block, count } = run;
        // The gap before the inodes is too short to be of use.
        if (group === 0 && block < this.#geometry.inodeBlock) continue;
        while (left > 0 && spare > 0 && count > 0) {
          const taken = Math.min(left, spare, count, LONGEST_RUN);
          runs.push({ group, block, count: taken });
          block += taken;
          count -= taken;
          left -= taken;
          spare -= taken;
        }
        free[i] = { group, block, count };
      }
    }
    if (left > 0)
      throw new FactoryError(
        'invalid',
        'XFS_NO_ROOM',
        `${path} of ${bytes} bytes does not fit into the file system of ${this.#geometry.blocks * BLOCK} bytes`,
      );
    return runs;
  }

  /** The free runs of a group in the order of their blocks. */
  free(group: number): readonly Run[] {
    return (this.#free[group] ?? []).filter((run) => run.count > 0);
  }

  freeBlocks(group: number): number {
    return this.free(group).reduce((sum, run) => sum + run.count, 0);
  }
}

function gaps(group: number, used: readonly (readonly number[])[], length: number): Run[] {
  const runs: Run[] = [];
  let at = 0;
  for (const [start = 0, end = 0] of [...used, [length, length]]) {
    if (start > at) runs.push({ group, block: at, count: start - at });
    at = Math.max(at, end);
  }
  return runs;
}
