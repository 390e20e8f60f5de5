import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { type Placed, placedBlob, sliceBlob } from '../blob/compose.ts';
import { FactoryError } from '../errors.ts';

export interface Qcow2Options {
  /** Bytes: a power of two from 512 to 2 MiB; 8 KiB when absent (`spec/outputs-disk.md` §8.2). */
  readonly clusterSize?: number;
}

/** QEMU docs/interop/qcow2.txt: the header of version 3 without extensions. */
const MAGIC = 0x514649fb;
const VERSION = 3;
const HEADER_SIZE = 104;
/** 2^4 bits. */
const REFCOUNT_ORDER = 4;
const REFCOUNT_SIZE = 2;
const ENTRY_SIZE = 8;
/** "Refcount is exactly one": the cluster may be written in place. */
const COPIED = 1n << 63n;
const MIN_CLUSTER = 512;
const MAX_CLUSTER = 2 << 20;
const SECTOR = 512;
/** QEMU opens no image whose level 1 table is larger (bytes). */
const MAX_L1 = 32 << 20;
const MAX_REFCOUNT_TABLE = 8 << 20;

/** Clusters of the disk that hold something, one after the other; they lie so in the file too. */
interface Run {
  readonly first: number;
  readonly count: number;
}

/**
 * A qcow2 image of a disk. All tables are known from its extents, so nothing of it is read and the image can be
 * read at any offset; clusters that lie in zero extents are left out.
 * Throws `invalid`: `QCOW2_CLUSTER_SIZE_INVALID`, `QCOW2_SIZE_INVALID`.
 */
export function qcow2Image(disk: Blob, options: Qcow2Options = {}): Blob {
  const cluster = options.clusterSize ?? 8192;
  if (!Number.isInteger(Math.log2(cluster)) || cluster < MIN_CLUSTER || cluster > MAX_CLUSTER) {
    throw new FactoryError(
      'invalid',
      'QCOW2_CLUSTER_SIZE_INVALID',
      `invalid qcow2 cluster size ${cluster}: it has to be a power of two from 512 to 2 MiB`,
    );
  }
  const perTable = cluster / ENTRY_SIZE;
  const l1Entries = Math.ceil(disk.size / (cluster * perTable));
  if (disk.size % SECTOR !== 0 || l1Entries * ENTRY_SIZE > MAX_L1) {
    throw new FactoryError(
      'invalid',
      'QCOW2_SIZE_INVALID',
      `a qcow2 image cannot have ${disk.size} bytes with clusters of ${cluster}: it has to have whole sectors` +
        ` of ${SECTOR}, and a level 1 table of at most 32 MiB (larger clusters need a smaller one)`,
    );
  }
  const runs = allocatedRuns(disk, cluster);
  const tables = usedTables(runs, perTable);
  const l1Clusters = Math.ceil((l1Entries * ENTRY_SIZE) / cluster);
  const dataClusters = runs.reduce((sum, run) => sum + run.count, 0);
  const refcounts = refcountSizes(1 + l1Clusters + tables.length + dataClusters, cluster);

  // Header, refcount table, refcount blocks, level 1 table, level 2 tables, data.
  const blocksAt = 1 + refcounts.tableClusters;
  const l1At = blocksAt + refcounts.blocks;
  const l2At = l1At + l1Clusters;
  const dataAt = l2At + tables.length;
  const total = dataAt + dataClusters;

  const meta = Buffer.alloc(dataAt * cluster);
  writeHeader(meta, { disk, cluster, l1Entries, l1At, tableClusters: refcounts.tableClusters });
  for (let i = 0; i < refcounts.blocks; i++) {
    meta.writeBigUInt64BE(BigInt((blocksAt + i) * cluster), cluster + i * ENTRY_SIZE);
  }
  for (let i = 0; i < total; i++) meta.writeUInt16BE(1, blocksAt * cluster + i * REFCOUNT_SIZE);
  const tableAt = new Map<number, number>();
  for (const [i, table] of tables.entries()) {
    const offset = (l2At + i) * cluster;
    tableAt.set(table, offset);
    meta.writeBigUInt64BE(BigInt(offset) | COPIED, l1At * cluster + table * ENTRY_SIZE);
  }
  const parts: Placed[] = [{ offset: 0, blob: bytesBlob(meta) }];
  let host = dataAt;
  for (const { first, count } of runs) {
    for (let i = 0; i < count; i++) {
      const guest = first + i;
      const table = tableAt.get(Math.floor(guest / perTable)) ?? 0;
      meta.writeBigUInt64BE(BigInt((host + i) * cluster) | COPIED, table + (guest % perTable) * ENTRY_SIZE);
    }
    host += count;
  }
  parts.push(...dataParts(disk, runs, cluster, dataAt));
  return placedBlob(total * cluster, parts);
}

/** Every cluster that a data extent touches. */
function allocatedRuns(disk: Blob, cluster: number): readonly Run[] {
  const runs: Run[] = [];
  for (const { kind, offset, length } of disk.extents()) {
    if (kind === 'zero') continue;
    const end = Math.ceil((offset + length) / cluster);
    const last = runs.at(-1);
    const lastEnd = last === undefined ? -1 : last.first + last.count;
    const first = Math.max(Math.floor(offset / cluster), lastEnd);
    if (end <= first) continue;
    if (last !== undefined && first === lastEnd) {
      runs[runs.length - 1] = { first: last.first, count: end - last.first };
    } else {
      runs.push({ first, count: end - first });
    }
  }
  return runs;
}

/** The level 2 tables that have an entry. */
function usedTables(runs: readonly Run[], perTable: number): readonly number[] {
  const used = new Set<number>();
  for (const { first, count } of runs) {
    const last = Math.floor((first + count - 1) / perTable);
    for (let table = Math.floor(first / perTable); table <= last; table++) used.add(table);
  }
  return [...used];
}

/** The refcounts count their own clusters too. */
function refcountSizes(others: number, cluster: number): { tableClusters: number; blocks: number } {
  let tableClusters = 1;
  let blocks = 1;
  for (;;) {
    const neededBlocks = Math.ceil((others + tableClusters + blocks) / (cluster / REFCOUNT_SIZE));
    const neededTable = Math.ceil((neededBlocks * ENTRY_SIZE) / cluster);
    if (neededBlocks <= blocks && neededTable <= tableClusters) break;
    blocks = Math.max(blocks, neededBlocks);
    tableClusters = Math.max(tableClusters, neededTable);
  }
  if (tableClusters * cluster > MAX_REFCOUNT_TABLE) {
    throw new FactoryError(
      'invalid',
      'QCOW2_SIZE_INVALID',
      `a qcow2 image cannot hold this disk with clusters of ${cluster} bytes: its refcount table would be larger` +
        ' than 8 MiB; larger clusters need a smaller one',
    );
  }
  return { tableClusters, blocks };
}

interface HeaderFields {
  readonly disk: Blob;
  readonly cluster: number;
  readonly l1Entries: number;
  /** Clusters. */
  readonly l1At: number;
  readonly tableClusters: number;
}

function writeHeader(meta: Buffer, fields: HeaderFields): void {
  meta.writeUInt32BE(MAGIC, 0);
  meta.writeUInt32BE(VERSION, 4);
  meta.writeUInt32BE(Math.log2(fields.cluster), 20);
  meta.writeBigUInt64BE(BigInt(fields.disk.size), 24);
  meta.writeUInt32BE(fields.l1Entries, 36);
  meta.writeBigUInt64BE(BigInt(fields.l1At * fields.cluster), 40);
  meta.writeBigUInt64BE(BigInt(fields.cluster), 48);
  meta.writeUInt32BE(fields.tableClusters, 56);
  meta.writeUInt32BE(REFCOUNT_ORDER, 96);
  meta.writeUInt32BE(HEADER_SIZE, 100);
}

/** The data extents at their new places; what is zero in their clusters stays a gap. */
function dataParts(disk: Blob, runs: readonly Run[], cluster: number, dataAt: number): Placed[] {
  const parts: Placed[] = [];
  let index = 0;
  let host = dataAt;
  for (const extent of disk.extents()) {
    if (extent.kind === 'zero') continue;
    // An extent lies within one run: neighbours are one run.
    let run = runs[index];
    while (run !== undefined && extent.offset >= (run.first + run.count) * cluster) {
      host += run.count;
      run = runs[++index];
    }
    if (run === undefined) throw new RangeError(`no cluster for ${extent.offset}`);
    const blob = sliceBlob(extent.source, extent.sourceOffset, extent.length);
    parts.push({ offset: (host - run.first) * cluster + extent.offset, blob });
  }
  return parts;
}
