import { type RegistryOptions, startRegistry, type TestRegistry } from './registry.ts';
import { pushSandboxRelease, type SandboxRelease, sandboxRelease } from './sandbox/release.ts';

/** A running registry that holds the sandbox release. */
export interface SandboxRegistry extends AsyncDisposable {
  readonly registry: TestRegistry;
  readonly release: SandboxRelease;
}

/** Starts a registry on 127.0.0.1 and fills it with the release, which is made now when `cache` does not have it. */
export async function startSandboxRegistry(
  cache: string,
  options: RegistryOptions = {},
): Promise<SandboxRegistry> {
  const release = await sandboxRelease(cache);
  const registry = await startRegistry(options);
  try {
    await pushSandboxRelease(release, (repository) => registry.storage(repository));
  } catch (error) {
    await registry.close();
    throw error;
  }
  return { registry, release, [Symbol.asyncDispose]: () => registry.close() };
}
