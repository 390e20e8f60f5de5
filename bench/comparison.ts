import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createSchematic } from '../src/testing/factory-client.ts';
import { curl } from './client.ts';
import { schematicOf, startBenchFactory } from './factory.ts';
import { type BenchRelease, VERSION } from './release.ts';
import { limitRow, median, type Pair, type Row, seconds, sizeRow, speedRow } from './table.ts';
import { initramfsByTools, isoByTools } from './tools.ts';

/** How many times faster. */
const FIRST_BUILD = 5;
const SECOND_SCHEMATIC = 50;
const ISO = 3;
/** Percent that our file may be larger. */
const SIZE = 10;
/** Seconds. */
const FIRST_BYTE = 0.2;

/** Repeats both ways of making the same things, one right after the other. */
export class Comparison {
  readonly names: readonly string[];
  readonly #scratch: string;
  readonly #release: BenchRelease;
  readonly #first: Pair[] = [];
  readonly #second: Pair[] = [];
  readonly #isos = { hybrid: [] as Pair[], grub: [] as Pair[] };
  readonly #firstBytes: number[] = [];
  #round = 0;

  constructor(scratch: string, release: BenchRelease, names: readonly string[]) {
    this.#scratch = scratch;
    this.#release = release;
    this.names = names;
  }

  #at(name: string): string {
    return join(this.#scratch, name);
  }

  async repetition(): Promise<void> {
    const round = ++this.#round;
    const { bootFiles, imagerLayers, layers } = this.#release;
    const byTools = this.#at('tools.initramfs');
    const tools = await initramfsByTools(this.#at('work'), imagerLayers, byTools, layers);
    const place = this.#at(`factory-${round}`);
    await mkdir(place);
    await using factory = await startBenchFactory(place, this.#release);
    const ask = async (schematic: unknown, file: string) => {
      const id = await createSchematic(factory.url, stringify(schematic));
      return await curl(`${factory.url}/image/${id}/${VERSION}/${file}`, this.#at(`ours.${file}`));
    };

    const first = await ask(schematicOf(this.names, 'first'), 'initramfs-amd64.xz');
    this.#first.push({ tools, ours: first.total });
    // Nothing is left of the first run when the usual way makes the next one: it takes as long again.
    for (const name of ['second', 'third', 'fourth']) {
      const next = await ask(schematicOf(this.names, name), 'initramfs-amd64.xz');
      this.#second.push({ tools, ours: next.total });
    }
    for (const kind of ['hybrid', 'grub'] as const) {
      for (let i = 0; i < 4; i++) {
        const iso = this.#at('tools.iso');
        const seconds = await isoByTools(this.#at('work'), kind, bootFiles, byTools, iso);
        const schematic = schematicOf(this.names, `iso-${kind}-${i}`, kind);
        // The initramfs is there, the ISO is not.
        await ask(schematic, 'initramfs-amd64.xz');
        const ours = await ask(schematic, 'metal-amd64.iso');
        this.#isos[kind].push({ tools: seconds, ours: ours.total });
        this.#firstBytes.push(ours.firstByte);
      }
    }
    await factory.stop();
    await rm(place, { recursive: true });
  }

  async rows(): Promise<readonly Row[]> {
    const size = async (path: string): Promise<number> => (await stat(path)).size;
    const base = await size(join(this.#release.bootFiles, 'initramfs.xz'));
    const [tools, ours] = [
      await size(this.#at('tools.initramfs')),
      await size(this.#at('ours.initramfs-amd64.xz')),
    ];
    const firstByte = median(this.#firstBytes);
    return [
      speedRow('initramfs with three extensions, nothing there yet', this.#first, FIRST_BUILD),
      speedRow('initramfs of a second schematic with them', this.#second, SECOND_SCHEMATIC),
      sizeRow('size of the initramfs', tools, ours, SIZE),
      sizeRow('size of what the extensions add to it', tools - base, ours - base, SIZE),
      speedRow('ISO (GRUB and systemd-boot), initramfs ready', this.#isos.hybrid, ISO),
      speedRow('ISO (GRUB alone), initramfs ready', this.#isos.grub, ISO),
      limitRow(
        `first byte of these ISOs (slowest ${seconds(Math.max(...this.#firstBytes))})`,
        seconds(firstByte),
        seconds(FIRST_BYTE),
        firstByte <= FIRST_BYTE,
      ),
    ];
  }
}
