import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { composeFactory } from '../../src/compose.ts';
import { configSchema } from '../../src/config/schema.ts';
import { type LogLine, recordingLog } from '../../src/http/testing/start.ts';
import { runProgram } from '../../src/process/run.ts';
import { type RegistryOptions, startRegistry } from '../../src/testing/registry.ts';
import { type SandboxRegistry, startSandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { send } from './client.ts';

type Sections = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface LocalFactoryOptions {
  readonly sandbox: SandboxRegistry;
  /** A new temporary one when absent, which goes with the factory. */
  readonly dataDir?: string;
  /** Laid over the configuration, section by section. */
  readonly config?: Sections;
  /** Whether the list of versions is waited for (true unless told). */
  readonly ready?: boolean;
}

/** A whole factory in this process, on a port of its own. */
export interface LocalFactory extends AsyncDisposable {
  readonly url: string;
  readonly dataDir: string;
  /** Everything that it logged. */
  readonly lines: readonly LogLine[];
  /** The sum of a metric over all its labels. */
  metric(name: string): Promise<number>;
}

/** What images and PXE scripts are told of the factory, the same for all of them. */
export const EXTERNAL_URL = 'https://factory.example/';

/** The sandbox release in a layout, from which any number of registries can be started quickly. */
export interface SandboxCopies extends AsyncDisposable {
  /** A registry with the release, changed by nobody else. */
  start(): Promise<SandboxRegistry>;
}

export async function sandboxCopies(): Promise<SandboxCopies> {
  await using stack = new AsyncDisposableStack();
  const directory = await temporaryDirectory(stack);
  const original = join(directory, 'original');
  const { registry, release } = await startSandbox({ directory: original });
  await registry.close();
  const opened = stack.move();
  let copies = 0;
  return {
    async start() {
      const copy = join(directory, String(++copies));
      // Files of a layout are replaced and never changed: hard links do for a copy.
      await runProgram({ program: 'cp', args: ['--archive', '--link', original, copy] });
      const registry = await startRegistry({ directory: copy });
      return { registry, release, [Symbol.asyncDispose]: () => registry.close() };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

export function startSandbox(options: RegistryOptions = {}): Promise<SandboxRegistry> {
  return startSandboxRegistry(join(import.meta.dirname, '../../.cache'), options);
}

export async function startLocalFactory(options: LocalFactoryOptions): Promise<LocalFactory> {
  await using stack = new AsyncDisposableStack();
  const dataDir = options.dataDir ?? (await temporaryDirectory(stack));
  const config = configSchema.parse(configuration(options) as never);
  const lines: LogLine[] = [];
  const factory = await composeFactory(config, {
    dataDir,
    log: recordingLog(lines),
    env: { PATH: process.env.PATH, HOME: dataDir },
    version: { name: 'image-factory', tag: 'v0.0.0', sha: 'unknown' },
  });
  stack.defer(() => factory.close(0));
  const { url, metricsUrl } = await factory.listen();
  if (options.ready ?? true) await waitUntilReady(url);
  const opened = stack.move();
  return {
    url,
    dataDir,
    lines,
    async metric(name) {
      const { text } = await send(metricsUrl ?? url, '/metrics');
      const values = text
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
      return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function waitUntilReady(url: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if ((await send(url, '/readyz')).status === 200) return;
    await delay(50);
  }
  throw new Error('the factory does not become ready');
}

function configuration({ sandbox, config = {} }: LocalFactoryOptions): Sections {
  return {
    ...config,
    http: { httpListenAddr: '127.0.0.1:0', externalURL: EXTERNAL_URL, ...config.http },
    metrics: { addr: '127.0.0.1:0', ...config.metrics },
    artifacts: { core: { registry: sandbox.registry.host, insecure: true }, ...config.artifacts },
    containerSignature: {
      subjectRegExp: '',
      publicKeyFile: sandbox.release.publicKeyFile,
      ...config.containerSignature,
    },
  };
}

async function temporaryDirectory(stack: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'e2e-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
