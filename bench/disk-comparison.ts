import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createSchematic } from '../src/testing/factory-client.ts';
import { curl, type Download } from './client.ts';
import { encodedByTools, rawByTools, SUFFIXES } from './disk-tools.ts';
import { schematicOf, startBenchFactory } from './factory.ts';
import { type BenchRelease, VERSION } from './release.ts';
import { limitRow, median, type Pair, type Row, seconds, sizeRow, speedRow } from './table.ts';

/** How many times faster: what is compressed by the slow programs, everything else, and what shares a version. */
const COMPRESSED = 10;
const CONTAINED = 5;
const SECOND_SCHEMATIC = 30;
/** Percent that our file may be larger. */
const SIZE = 10;
/** Seconds. */
const FIRST_BYTE = 0.3;
/** How much more a disk of 11 GiB may cost than one of 4 GiB. */
const LARGE_DISK = 1.3;
/** MiB of `metal-amd64`, of what boots both ways. */
const DISK_MIB = 4247;
/** Requests that take milliseconds are made this many times. */
const SHORT = 5;

interface Measured {
  readonly first: Pair[];
  readonly second: Pair[];
  /** Bytes. */
  sizes: { readonly tools: number; readonly ours: number };
}

/** Repeats both ways of making the same disk images, one right after the other. */
export class DiskComparison {
  readonly #scratch: string;
  readonly #release: BenchRelease;
  readonly #measured = new Map<string, Measured>();
  readonly #firstBytes = { cold: [] as number[], warm: [] as number[] };
  readonly #disks = { small: [] as number[], large: [] as number[] };
  #round = 0;

  constructor(scratch: string, release: BenchRelease) {
    this.#scratch = scratch;
    this.#release = release;
  }

  #at(name: string): string {
    return join(this.#scratch, name);
  }

  async repetition(): Promise<void> {
    this.#round++;
    const { bootFiles: boot } = this.#release;
    const [work, disk] = [this.#at('work'), this.#at('tools.raw')];
    const raw = await rawByTools(work, { boot, initramfs: join(boot, 'initramfs.xz') }, disk, DISK_MIB);
    for (const suffix of SUFFIXES) {
      const made = this.#at(`tools.${suffix}`);
      const tools = raw + (await encodedByTools(work, suffix, disk, made));
      const size = (await stat(made)).size;
      await rm(made);
      await this.#ours(suffix, tools, size);
    }
    await this.#raw();
  }

  /** A factory that has just been started and knows one initramfs. */
  async #ours(suffix: string, tools: number, toolsSize: number): Promise<void> {
    const place = this.#at(`factory-${this.#round}-${suffix}`);
    await mkdir(place);
    await using factory = await startBenchFactory(place, this.#release);
    const measured = this.#of(suffix);
    await ask(factory.url, 'first', 'initramfs-amd64.xz');
    const first = await ask(factory.url, 'first', `metal-amd64.${suffix}`);
    measured.first.push({ tools, ours: first.total });
    measured.sizes = { tools: toolsSize, ours: first.size };
    if (suffix === 'raw.zst') this.#firstBytes.cold.push(first.firstByte);
    for (let i = 0; i < SHORT; i++) {
      const next = await ask(factory.url, `next-${i}`, `metal-amd64.${suffix}`);
      measured.second.push({ tools, ours: next.total });
      if (suffix === 'raw.zst') this.#firstBytes.warm.push(next.firstByte);
      if (suffix !== 'raw.zst' && suffix !== 'raw.xz') continue;
      // Nothing but the zeros at the end differs.
      const large = await ask(factory.url, `large-${i}`, `aws-amd64.${suffix}`);
      this.#disks.small.push(next.total);
      this.#disks.large.push(large.total);
    }
    await factory.stop();
    await rm(place, { recursive: true });
  }

  /** The first byte of a plain disk; whoever wants no more breaks off. */
  async #raw(): Promise<void> {
    const place = this.#at(`factory-${this.#round}-raw`);
    await mkdir(place);
    await using factory = await startBenchFactory(place, this.#release);
    await ask(factory.url, 'first', 'initramfs-amd64.xz');
    const first = await ask(factory.url, 'first', 'metal-amd64.raw');
    this.#firstBytes.cold.push(first.firstByte);
    const next = await ask(factory.url, 'second', 'metal-amd64.raw');
    this.#firstBytes.warm.push(next.firstByte);
    await factory.stop();
    await rm(place, { recursive: true });
  }

  #of(suffix: string): Measured {
    const known = this.#measured.get(suffix);
    if (known !== undefined) return known;
    const made: Measured = { first: [], second: [], sizes: { tools: 0, ours: 0 } };
    this.#measured.set(suffix, made);
    return made;
  }

  rows(): readonly Row[] {
    const measured = [...this.#measured];
    const compressed = (suffix: string): boolean => suffix === 'raw.xz' || suffix === 'raw.zst';
    const { cold, warm } = this.#firstBytes;
    const slowest = Math.max(...cold, ...warm);
    const ratio = median(this.#disks.large) / median(this.#disks.small);
    return [
      ...measured.map(([suffix, { first }]) =>
        speedRow(`${suffix}, initramfs ready`, first, compressed(suffix) ? COMPRESSED : CONTAINED),
      ),
      ...measured.map(([suffix, { second }]) =>
        speedRow(`${suffix} of a second schematic`, second, SECOND_SCHEMATIC),
      ),
      ...measured.map(([suffix, { sizes }]) => sizeRow(`size of ${suffix}`, sizes.tools, sizes.ours, SIZE)),
      limitRow(
        `slowest first byte of raw and raw.zst (of a second schematic: median ${seconds(median(warm))})`,
        seconds(slowest),
        seconds(FIRST_BYTE),
        slowest <= FIRST_BYTE,
      ),
      limitRow(
        `11 GiB (${seconds(median(this.#disks.large))}) to 4 GiB (${seconds(median(this.#disks.small))}), zst and xz`,
        `${ratio.toFixed(2)} x`,
        `${LARGE_DISK} x`,
        ratio <= LARGE_DISK,
      ),
    ];
  }
}

async function ask(url: string, name: string, file: string): Promise<Download> {
  const id = await createSchematic(url, stringify(schematicOf([], name)));
  return await curl(`${url}/image/${id}/${VERSION}/${file}`, '/dev/null');
}
