import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createSchematic } from '../src/testing/factory-client.ts';
import { curl } from './client.ts';
import { schematicOf, startBenchFactory } from './factory.ts';
import { peakMemory, peakOfPrograms } from './memory.ts';
import { type BenchRelease, MODULE_EXTENSION, VERSION } from './release.ts';
import { limitRow, mebibytes, type Row, seconds } from './table.ts';

const PEAK_MEMORY = 300 * 2 ** 20;

/** Six ISOs at once for a factory that has nothing yet: both architectures, all extensions, one with a module. */
export async function memoryRows(
  scratch: string,
  release: BenchRelease,
  names: readonly string[],
): Promise<readonly Row[]> {
  const place = join(scratch, 'factory-memory');
  await mkdir(place);
  await using factory = await startBenchFactory(place, release);
  const { pid } = factory.child;
  if (pid === undefined) throw new Error('the factory has no process');
  const idle = await peakMemory(pid);
  const started = performance.now();
  const isos = Promise.all(
    [0, 1, 2].flatMap((i) =>
      (['amd64', 'arm64'] as const).map(async (arch) => {
        const schematic = schematicOf([...names, MODULE_EXTENSION], `memory-${i}`);
        const id = await createSchematic(factory.url, stringify(schematic));
        const url = `${factory.url}/image/${id}/${VERSION}/metal-${arch}.iso`;
        await curl(url, join(scratch, `memory-${i}-${arch}.iso`));
      }),
    ),
  );
  const programs = await peakOfPrograms(pid, isos);
  const took = (performance.now() - started) / 1000;
  const peak = await peakMemory(pid);
  await factory.stop();
  const idleText = `${mebibytes(idle)} before`;
  return [
    limitRow(
      `peak memory while six ISOs are built and sent in ${seconds(took)} (${idleText})`,
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
  ];
}
