import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DiskComparison } from './disk-comparison.ts';
import { diskMemoryRows } from './disk-memory.ts';
import { benchRelease, VERSION } from './release.ts';
import { formatTable } from './table.ts';

/**
 * Disk images of the real program against those of standard tools. Ours is what a client sees, from its request to
 * the last byte; theirs is the finished file, which nobody has yet been sent.
 */

/** What is to be added to the sandbox's initramfs for it to have the size of a real one. */
const PADDING = 90_000_000;

const { values } = parseArgs({ options: { repeat: { type: 'string', default: '1' } } });
const directory = await mkdtemp(join(tmpdir(), 'bench-'));
try {
  await using release = await benchRelease(directory, [], { padding: PADDING });
  say(
    `${availableParallelism()} processors, load ${loadavg()[0]?.toFixed(1)}, Talos ${VERSION} of the sandbox`,
  );
  say(`  its initramfs with ${PADDING / 1e6} MB of noise; ${values.repeat} repetitions, medians`);
  const comparison = new DiskComparison(directory, release);
  for (let i = 1; i <= Number(values.repeat); i++) {
    await comparison.repetition();
    say(`repetition ${i} done`);
  }
  const rows = [...comparison.rows(), ...(await diskMemoryRows(directory, release))];
  say(`\n${formatTable(rows)}`);
  if (rows.some(({ met }) => met === false)) process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
