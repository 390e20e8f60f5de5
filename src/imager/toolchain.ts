import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '../process/run.ts';
import type { GrubModules } from './grub.ts';

/** Programs whose output is part of assets. */
const PROGRAMS = ['xz', 'depmod', 'grub-mkimage'] as const;

/**
 * Names the versions of everything that is not ours and decides bytes of assets: programs, GRUB's modules, and the
 * compressors inside of Node. Two factories with the same one give the same bytes; after an upgrade nothing that was
 * made before is taken for the same.
 */
export async function toolchainFingerprint(grub: GrubModules): Promise<string> {
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ zstd: process.versions.zstd, zlib: process.versions.zlib }));
  for (const program of PROGRAMS) hash.update(`${program}\n${await version(program)}\n`);
  for (const directory of [grub.i386pc, grub.x86_64Efi, grub.arm64Efi]) {
    for (const file of ['moddep.lst', 'kernel.img']) hash.update(await contentHash(directory, file));
  }
  return hash.digest('hex').slice(0, 16);
}

/** What is not installed is no reason not to start: what needs it says so. */
async function version(program: string): Promise<string> {
  try {
    const { stdout } = await runProgram({ program, args: ['--version'], timeout: 30_000 });
    return Buffer.from(stdout).toString('utf8');
  } catch {
    return 'not installed';
  }
}

async function contentHash(directory: string | undefined, file: string): Promise<string> {
  if (directory === undefined) return 'absent';
  try {
    return createHash('sha256')
      .update(await readFile(join(directory, file)))
      .digest('hex');
  } catch {
    return 'absent';
  }
}
