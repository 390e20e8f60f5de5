import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FactoryProcess, startFactoryProcess } from '../../src/testing/factory-process.ts';
import { grubDirectory } from '../../src/testing/grub-directory.ts';
import { startSandboxRegistry } from '../../src/testing/sandbox-registry.ts';

/** Milliseconds until a machine is given up: software emulation on a busy machine is slow. */
export const BOOT_TIMEOUT_MS = 240_000;

/** The real program with the sandbox release and GRUB for all platforms, and a directory for what is downloaded. */
export interface BootFactory extends AsyncDisposable {
  readonly factory: FactoryProcess;
  readonly dir: string;
}

export async function startBootFactory(): Promise<BootFactory> {
  await using opened = new AsyncDisposableStack();
  const cache = join(import.meta.dirname, '../../.cache');
  const dir = await mkdtemp(join(tmpdir(), 'boot-test-'));
  opened.defer(() => rm(dir, { recursive: true, force: true }));
  const sandbox = opened.use(await startSandboxRegistry(cache));
  const factory = await startFactoryProcess({
    directory: dir,
    registry: sandbox.registry.host,
    publicKeyFile: sandbox.release.publicKeyFile,
    config: { build: { grubDirectory: await grubDirectory(cache) } },
  });
  opened.defer(async () => {
    await factory.stop();
  });
  const all = opened.move();
  return { factory, dir, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
