import { lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { createSchematic } from '../src/testing/factory-client.ts';
import { startFactoryProcess } from '../src/testing/factory-process.ts';
import { curl } from './client.ts';
import { schematicOf } from './factory.ts';
import { peakMemory, peakOfPrograms } from './memory.ts';
import { type BenchRelease, VERSION } from './release.ts';
import { limitRow, mebibytes, type Row, seconds } from './table.ts';

const PEAK_MEMORY = 300 * 2 ** 20;
const TEMPORARY = 10 * 2 ** 20;
const FILES = ['metal-amd64.raw.xz', 'aws-amd64.raw.zst', 'gcp-amd64.raw.tar.gz', 'vmware-amd64.ova'];

/** Four formats at once, each of another schematic and platform, in a factory that has just been started. */
export async function diskMemoryRows(scratch: string, release: BenchRelease): Promise<readonly Row[]> {
  const place = join(scratch, 'factory-memory');
  const temporary = join(place, 'tmp');
  await mkdir(temporary, { recursive: true });
  await using factory = await startFactoryProcess({
    directory: place,
    registry: release.registry.host,
    publicKeyFile: release.publicKeyFile,
    env: { TMPDIR: temporary },
  });
  const { pid } = factory.child;
  if (pid === undefined) throw new Error('the factory has no process');
  const idle = await peakMemory(pid);
  const ids = await Promise.all(
    FILES.map((name) => createSchematic(factory.url, stringify(schematicOf([], name)))),
  );
  const ask = (id: string | undefined, file: string) =>
    curl(`${factory.url}/image/${id}/${VERSION}/${file}`, '/dev/null');
  for (const id of ids) await ask(id, 'initramfs-amd64.xz');
  const before = await diskUse(place);
  const started = performance.now();
  const images = Promise.all(FILES.map((file, i) => ask(ids[i], file)));
  const [programs, most] = await Promise.all([
    peakOfPrograms(pid, images),
    peakOf(() => diskUse(place), images),
  ]);
  const took = (performance.now() - started) / 1000;
  const peak = await peakMemory(pid);
  await factory.stop();
  return [
    limitRow(
      `peak memory while four formats are built and sent in ${seconds(took)} (${mebibytes(idle)} before)`,
      mebibytes(peak),
      mebibytes(PEAK_MEMORY),
      peak <= PEAK_MEMORY,
    ),
    {
      what: '  of the programs that it ran meanwhile',
      tools: '',
      ours: mebibytes(programs),
      result: '',
      wanted: '',
    },
    limitRow(
      '  disk that they took, finished files included',
      mebibytes(most - before),
      mebibytes(TEMPORARY),
      most - before <= TEMPORARY,
    ),
  ];
}

async function peakOf(measure: () => Promise<number>, work: Promise<unknown>): Promise<number> {
  let going = true;
  const ended = work.finally(() => {
    going = false;
  });
  let peak = 0;
  while (going) {
    peak = Math.max(peak, await measure());
    await Promise.race([delay(50), ended.catch(() => {})]);
  }
  await ended;
  return Math.max(peak, await measure());
}

/** Bytes that the files below a directory take on the disk. */
async function diskUse(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = entries.map(async (entry) => {
    const { blocks } = await lstat(join(entry.parentPath, entry.name)).catch(() => ({ blocks: 0 }));
    return blocks * 512;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
