import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A running registry that nobody here wrote. */
export interface DebianRegistry {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  readonly stop: () => Promise<void>;
}

/** Starts Debian's docker-registry on a free port: OCI distribution-spec 1.0, so without the referrers API. */
export async function startDebianRegistry(): Promise<DebianRegistry> {
  const directory = await mkdtemp(join(tmpdir(), 'docker-registry-'));
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const config = join(directory, 'config.yml');
    await writeFile(
      config,
      `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${directory}/data}, delete: {enabled: true}}\nhttp: {addr: '127.0.0.1:${port}'}\n`,
    );
    const child: ChildProcess = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
    const exited = once(child, 'exit');
    for (let wait = 0; wait < 200 && child.exitCode === null; wait++) {
      const isUp = await fetch(`http://127.0.0.1:${port}/v2/`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (isUp) {
        const stop = async (): Promise<void> => {
          child.kill('SIGKILL');
          await exited;
          await rm(directory, { recursive: true, force: true });
        };
        return { host: `127.0.0.1:${port}`, stop };
      }
      await delay(50);
    }
    child.kill('SIGKILL');
    await exited;
    if (attempt === 3) throw new Error('docker-registry did not start');
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
