import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** Peak of the resident memory of a process so far, with all of its threads, in bytes (proc(5), `VmHWM`). */
export async function peakMemory(pid: number): Promise<number> {
  return await statusField(pid, 'VmHWM');
}

/**
 * Watches the programs that a process runs while `work` goes on: the most resident bytes that they had together,
 * looked at every 20 ms (what they share with each other counts for each).
 */
export async function peakOfPrograms(pid: number, work: Promise<unknown>): Promise<number> {
  let going = true;
  const ended = work.finally(() => {
    going = false;
  });
  let peak = 0;
  while (going) {
    const sizes = await Promise.all(
      (await descendants(pid)).map((child) => statusField(child, 'VmRSS').catch(() => 0)),
    );
    peak = Math.max(
      peak,
      sizes.reduce((sum, size) => sum + size, 0),
    );
    await Promise.race([delay(20), ended.catch(() => {})]);
  }
  await ended;
  return peak;
}

async function descendants(pid: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) {
    const text = await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '');
    for (const child of text.split(' ').filter(Boolean).map(Number)) {
      found.push(child, ...(await descendants(child)));
    }
  }
  return found;
}

async function statusField(pid: number, name: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = new RegExp(`^${name}:\\s+([0-9]+) kB$`, 'm').exec(status)?.[1];
  // A process that has ended and is not yet waited for has no memory.
  return kibibytes === undefined ? 0 : Number(kibibytes) * 1024;
}
