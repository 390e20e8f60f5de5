import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '../../src/process/run.ts';
import { download } from '../../src/testing/factory-client.ts';
import { grubDirectory } from '../../src/testing/grub-directory.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { type LocalFactory, type LocalFactoryOptions, startLocalFactory } from './local-factory.ts';

/** A factory that has GRUB for every platform. */
export async function startDiskFactory(
  sandbox: SandboxRegistry,
  config: LocalFactoryOptions['config'] = {},
): Promise<LocalFactory> {
  const modules = await grubDirectory(join(import.meta.dirname, '../../.cache'));
  return await startLocalFactory({
    sandbox,
    config: { ...config, build: { grubDirectory: modules, ...config.build } },
  });
}

/** What a program says on standard output; throws when it finds something wrong. */
export async function output(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await runProgram({ program, args, maxOutput: 1 << 20 });
  return Buffer.from(stdout).toString('utf8');
}

/** A raw disk as a sparse file: it comes as `.raw.tar.gz`, which has none of its zeros. */
export async function downloadRaw(url: string, path: string, directory: string): Promise<string> {
  const place = await mkdtemp(join(directory, 'disk-'));
  const archive = join(place, 'disk.tar.gz');
  await download(url, `${path}.raw.tar.gz`, archive);
  await output('tar', '-xSf', archive, '-C', place);
  return join(place, 'disk.raw');
}
