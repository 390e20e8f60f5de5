import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { boot } from '../src/testing/boot.ts';
import { createSchematic, download } from '../src/testing/factory-client.ts';
import { startFactoryProcess } from '../src/testing/factory-process.ts';
import type { GuestReport } from '../src/testing/guest-report.ts';
import { startSandboxRegistry } from '../src/testing/sandbox-registry.ts';

const VERSION = 'v1.13.0';
const SCHEMATIC = `customization:
  extraKernelArgs:
    - net.ifnames=0
    - demo.greeting=hello
  meta:
    - key: 12
      value: demo
  systemExtensions:
    officialExtensions:
      - siderolabs/gvisor
      - siderolabs/drbd
`;

const { values } = parseArgs({
  options: {
    oneshot: { type: 'boolean', default: false },
    addr: { type: 'string', default: '127.0.0.1:8080' },
    dir: { type: 'string', default: join(import.meta.dirname, '../demo') },
  },
});
await demo(values.addr, resolve(values.dir), values.oneshot);

async function demo(address: string, directory: string, oneshot: boolean): Promise<void> {
  await mkdir(directory, { recursive: true });
  say('sandbox release: made from Debian packages when it is not there yet');
  await using sandbox = await step('registry with the sandbox release', () =>
    startSandboxRegistry(join(import.meta.dirname, '../.cache')),
  );
  await using factory = await startFactoryProcess({
    directory,
    address,
    registry: sandbox.registry.host,
    publicKeyFile: sandbox.release.publicKeyFile,
  });
  say(`factory ready: ${factory.url}`);

  const id = await createSchematic(factory.url, SCHEMATIC);
  say(`schematic: ${id}\n\n${SCHEMATIC}`);
  const path = `/image/${id}/${VERSION}/metal-amd64.iso`;
  const iso = join(directory, 'metal-amd64.iso');
  for (const what of ['first download of', 'second download of']) {
    const size = await step(`${what} ${path}`, () => download(factory.url, path, iso));
    say(`${(size / (1 << 20)).toFixed(1)} MiB in ${iso}`);
  }
  const { log, report } = await step('boot in QEMU (software emulation)', () =>
    boot({
      arch: 'amd64',
      firmware: 'seabios',
      medium: { kind: 'cdrom', path: iso },
      timeoutMs: 300_000,
    }),
  );
  await writeFile(join(directory, 'serial.log'), log, 'latin1');
  say(`serial log (whole in ${join(directory, 'serial.log')}):\n`);
  for (const line of log.split(/\r?\n/)) if (line.includes('SANDBOX ')) say(`    ${line.trim()}`);
  check(report, id);
  say('\nthe guest has the kernel arguments, META and both extensions');

  if (oneshot) return;
  say(`\nThe factory goes on at ${factory.url} until you press Ctrl-C. For example:\n`);
  say(`    curl -s ${factory.url}/versions`);
  say(`    curl -s ${factory.url}/pxe/${id}/${VERSION}/metal-amd64`);
  say(`    curl -sO ${factory.url}/image/${id}/${VERSION}/metal-arm64.iso`);
  const { promise, resolve: stop } = Promise.withResolvers<void>();
  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      asked = true;
      stop();
    });
  }
  factory.child.once('exit', () => stop());
  await promise;
  if (!asked && factory.child.exitCode !== null) throw new Error(`the factory ended\n${factory.log()}`);
}

/** Throws unless the guest saw what the schematic asks for. */
function check(report: GuestReport, id: string): void {
  const layers = report.layers.map(({ name }) => name);
  const wrong = [
    report.version === VERSION ? '' : `version ${report.version}`,
    report.schematic === id ? '' : `schematic ${report.schematic}`,
    report.cmdline.includes(' net.ifnames=0 demo.greeting=hello') ? '' : `command line ${report.cmdline}`,
    report.metaArgument.includes('0xc=demo') ? '' : `META ${report.metaArgument}`,
    layers.includes('gvisor') && layers.includes('drbd') ? '' : `layers ${layers}`,
    report.modules.get('drbd') === 'loaded' ? '' : `module drbd: ${report.modules.get('drbd')}`,
    report.errors.length === 0 ? '' : `errors ${report.errors}`,
  ].filter((text) => text !== '');
  if (wrong.length > 0) throw new Error(`the guest is not as the schematic says: ${wrong.join('; ')}`);
}

async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  say(`${what}: ${((performance.now() - started) / 1000).toFixed(2)} s`);
  return result;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
