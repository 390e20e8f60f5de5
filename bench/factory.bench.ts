import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Comparison } from './comparison.ts';
import { benchExtensions } from './extensions.ts';
import { benchRelease, VERSION } from './release.ts';
import { memoryRows } from './six-isos.ts';
import { formatTable, mebibytes, type Row } from './table.ts';

/**
 * The real program against the same results made with standard tools. Ours is what a client of the program sees,
 * from its request to the last byte: the registry, its transfers, digests and signatures are included, and a first
 * build has nothing at all in its store.
 */

const { values } = parseArgs({ options: { repeat: { type: 'string', default: '3' } } });
const directory = await mkdtemp(join(tmpdir(), 'bench-'));
try {
  const rows = await bench(directory, Number(values.repeat));
  say(`\n${formatTable(rows)}`);
  if (rows.some(({ met }) => met === false)) process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function bench(scratch: string, repetitions: number): Promise<readonly Row[]> {
  const extensions = await benchExtensions();
  await using release = await benchRelease(scratch, extensions);
  const total = extensions.reduce((sum, { size }) => sum + size, 0);
  say(
    `${availableParallelism()} processors, load ${loadavg()[0]?.toFixed(1)}, Talos ${VERSION} of the sandbox`,
  );
  for (const { name, content, size } of extensions) say(`  ${name}: ${mebibytes(size)}: ${content}`);
  say(`  together ${mebibytes(total)}; ${repetitions} repetitions, medians`);

  const bench = new Comparison(
    scratch,
    release,
    extensions.map(({ name }) => name),
  );
  for (let i = 1; i <= repetitions; i++) {
    await bench.repetition();
    say(`repetition ${i} done`);
  }
  const rows = await bench.rows();
  return [...rows, ...(await memoryRows(scratch, release, bench.names))];
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
