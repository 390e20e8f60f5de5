import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';

export interface FactoryProcessOptions {
  /** Holds the data directory (`data`), the configuration and, unless told, the log. */
  readonly directory: string;
  /** `127.0.0.1:8080`; a free port of 127.0.0.1 when absent. */
  readonly address?: string;
  /** Host of the registry with the Talos release. */
  readonly registry: string;
  readonly publicKeyFile: string;
  /** Laid over the configuration, section by section. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** The real program, serving. */
export interface FactoryProcess extends AsyncDisposable {
  readonly url: string;
  readonly child: ChildProcess;
  readonly configFile: string;
  /** The end of what it has written to standard error. */
  log(): string;
  /** SIGTERM, and SIGKILL when it does not end within 20 s. Says how it ended. */
  stop(): Promise<number | string>;
}

const LOG_KEPT = 64 * 1024;
const START_LIMIT_MS = 60_000;

/**
 * Starts `bin/image-factory.js` as a child and waits until `/readyz` answers 200. Throws with the end of its log
 * when it ends before, or does not come up in time.
 */
export async function startFactoryProcess(options: FactoryProcessOptions): Promise<FactoryProcess> {
  const address = options.address ?? `127.0.0.1:${await freePort()}`;
  const colon = address.lastIndexOf(':');
  const port = address.slice(colon + 1);
  const url = `http://${address.slice(0, colon) || '127.0.0.1'}:${port}`;
  const configFile = join(options.directory, 'image-factory.yaml');
  const dataDir = join(options.directory, 'data');
  await mkdir(dataDir, { recursive: true });
  const config = {
    http: {
      httpListenAddr: address,
      externalURL: `${url}/`,
      // Machines that QEMU boots reach the host's loopback by this address.
      externalPXEURL: `http://10.0.2.2:${port}/`,
      ...options.config?.http,
    },
    metrics: { addr: '', ...options.config?.metrics },
    artifacts: { core: { registry: options.registry, insecure: true }, ...options.config?.artifacts },
    containerSignature: {
      subjectRegExp: '',
      publicKeyFile: options.publicKeyFile,
      ...options.config?.containerSignature,
    },
    ...(options.config?.build === undefined ? {} : { build: options.config.build }),
  };
  await writeFile(configFile, stringify(config));

  const program = join(import.meta.dirname, '../../bin/image-factory.js');
  const child = spawn(process.execPath, [program, '--data-dir', dataDir, '--config', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...options.env },
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-LOG_KEPT);
  });
  const ended = once(child, 'exit').then(
    ([code, signal]) => (code ?? signal ?? 'unknown') as number | string,
  );
  ended.catch(() => {});

  const stop = async (): Promise<number | string> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    try {
      return await ended;
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    await Promise.race([
      ready(url),
      ended.then((status) => {
        throw new Error(`the factory ended with ${status} before it served`);
      }),
    ]);
  } catch (error) {
    await stop();
    throw new Error(`${error instanceof Error ? error.message : error}\n${log}`, { cause: error });
  }
  return {
    url,
    child,
    configFile,
    log: () => log,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

async function ready(url: string): Promise<void> {
  for (const started = Date.now(); Date.now() - started < START_LIMIT_MS; await delay(100)) {
    try {
      const response = await fetch(`${url}/readyz`);
      await response.arrayBuffer();
      if (response.status === 200) return;
    } catch {
      // Refused until it listens.
    }
  }
  throw new Error(`the factory was not ready within ${START_LIMIT_MS / 1000} s`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
