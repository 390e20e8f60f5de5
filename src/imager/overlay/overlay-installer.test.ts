import assert from 'node:assert/strict';
import { access, chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startUpstream } from '../../artifacts/releases.testing.ts';
import type { Blob } from '../../blob/blob.ts';
import { readAll } from '../../blob/consume.ts';
import type { FactoryError } from '../../errors.ts';
import { type Log, type LogFields, silentLog } from '../../log.ts';
import { parseRepositoryName } from '../../oci/names.ts';
import type { OptionMap } from '../../schematics/schematic.ts';
import { type OpenLocalStore, openLocalStore } from '../../store/local-store.ts';
import { buildOverlays } from '../../testing/sandbox/overlays.ts';
import { builderArch } from './builder-arch.ts';
import type { OverlayInstallation } from './installation.ts';
import { InstallerRun } from './installer-run.ts';
import { type Files, memoryTree } from './memory-tree.testing.ts';
import { OverlayInstaller, type OverlayInstallerOptions, type SelectedOverlay } from './overlay-installer.ts';

const DISK = 64 << 20;
const NONE: OptionMap = new Map();

/** As root, both ways to a sandbox; others have one only. */
const CALLERS = process.getuid?.() === 0 ? (['root', 'unprivileged'] as const) : (['unprivileged'] as const);

interface Bench {
  readonly store: OpenLocalStore;
  readonly installer: OverlayInstaller;
  /** Lines of the log, as far as they are no debug lines. */
  readonly lines: readonly (readonly [string, LogFields | undefined])[];
}

async function bench(t: TestContext, options: Partial<OverlayInstallerOptions> = {}): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'overlay installer-'));
  const store = await openLocalStore({ directory, maxBytes: 1 << 30 });
  t.after(async () => {
    // Nothing is left of any run.
    assert.deepEqual(await readdir(join(directory, 'work')), []);
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  const lines: (readonly [string, LogFields | undefined])[] = [];
  const note = (message: string, fields?: LogFields): void => void lines.push([message, fields]);
  const log: Log = { ...silentLog, warn: note, error: note };
  return { store, installer: new OverlayInstaller({ store, arch: builderArch(), log, ...options }), lines };
}

/** An overlay whose installer is this shell script. */
function scripted(script: string, files: Files = {}, options: OptionMap = NONE): SelectedOverlay {
  const tree = memoryTree({
    'artifacts/a': 'artifact',
    ...files,
    'installers/board': `#!/bin/sh\n${script}\n`,
  });
  return { name: 'board', digest: tree.digest, options, open: async () => tree };
}

async function textOf(installed: OverlayInstallation, path: string): Promise<string> {
  const entry = installed.files.find((file) => file.path === path);
  assert.ok(entry?.type === 'file', `${path} among ${installed.files.map((file) => file.path)}`);
  return Buffer.from(await readAll(entry.content)).toString('utf8');
}

/** Runs `script` with its output in a file of the ESP, and gives that. */
async function report(installer: OverlayInstaller, script: string): Promise<string> {
  using installed = await installer.install(
    scripted(`exec >/tmp/report 2>&1\n${script}\ncp /tmp/report root/boot/EFI/report`),
    DISK,
  );
  return textOf(installed, 'EFI/report');
}

/** What an installation is, with contents. */
async function plain(installed: OverlayInstallation): Promise<unknown> {
  const hex = async (blob: Blob) => Buffer.from(await readAll(blob, 4 << 20)).toString('hex');
  return {
    key: installed.key,
    writes: await Promise.all(installed.rawWrites.map(async (w) => [w.offset, await hex(w.blob)])),
    files: await Promise.all(
      installed.files.map(async (f) => [f.path, f.mode, f.type === 'file' ? await hex(f.content) : f.type]),
    ),
  };
}

for (const caller of CALLERS) {
  test(`${caller}: an installer sees its files, and writes to its scratch directory alone`, async (t) => {
    const { installer } = await bench(t, { caller });
    // The sandbox has a /tmp of its own.
    const outside = await mkdtemp('/var/tmp/outside-');
    t.after(() => rm(outside, { recursive: true }));
    await chmod(outside, 0o777);
    await writeFile(join(outside, 'secret'), 'of the host', { mode: 0o666 });
    const overlay = scripted(
      `cat >root/boot/EFI/request; env | grep -v '^\\(PWD\\|OLDPWD\\|_\\)=' | sort >root/boot/EFI/environment; (pwd; uname -n) >root/boot/EFI/cwd
       for place in / /usr /usr/bin /etc /dev /proc /old /overlay /overlay/artifacts /home /var/tmp /run '${outside}' ..
       do mkdir -p "$place/made" && echo "$place" >>root/boot/EFI/made; done
       for file in '${outside}/secret' /usr/bin/env /overlay/artifacts/a /dev/full/../null
       do echo overwritten >>"$file" && echo "$file" >>root/boot/EFI/made; done
       cat '${outside}/secret' /etc/passwd >root/boot/EFI/seen
       kill -9 ${process.pid} && echo killed >>root/boot/EFI/made
       mount -o remount,bind,rw /usr && echo remounted >>root/boot/EFI/made
       mount -t tmpfs none /tmp && echo mounted >>root/boot/EFI/made
       mknod root/boot/EFI/sda b 8 0 && echo device >>root/boot/EFI/made
       echo x >/dev/null && cp /overlay/artifacts/a root/boot/EFI/ && cp root/boot/EFI/a /tmp/ && exit 0`,
      {},
      new Map([['a', 'b']]),
    );
    using installed = await installer.install(overlay, DISK);
    assert.deepEqual(
      installed.files.map(({ path, mode }) => [path, mode]),
      [
        ['EFI', 0o755],
        ...['a', 'cwd', 'environment', 'request', 'seen'].map((name) => [`EFI/${name}`, 0o644]),
      ],
    );
    assert.equal(await textOf(installed, 'EFI/seen'), '');
    assert.equal(await textOf(installed, 'EFI/cwd'), '/work\nlocalhost\n');
    assert.equal(
      await textOf(installed, 'EFI/environment'),
      'LC_ALL=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n',
    );
    assert.equal(
      await textOf(installed, 'EFI/request'),
      'installDisk: "/work/disk.img"\nmountPrefix: "/work/root"\nartifactsPath: "/overlay/artifacts"\n' +
        'extraOptions:\n    a: b\n',
    );
    assert.deepEqual(await readdir(outside), ['secret']);
    assert.equal(await readFile(join(outside, 'secret'), 'utf8'), 'of the host');
    await assert.rejects(access('/usr/made'), { code: 'ENOENT' });
  });

  test(`${caller}: no network`, async (t) => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const connect =
      `perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); ` +
      `print connect(S, pack_sockaddr_in(${address.port}, inet_aton("127.0.0.1"))) ? "connected" : "refused"'`;
    const { installer } = await bench(t, { caller });
    assert.equal(await report(installer, connect), 'refused');
    assert.equal(connections, 0);
    // The same without a sandbox, to see that it is the sandbox that refuses.
    const { installer: open } = await bench(t, { caller, isolation: 'limits' });
    const answer = await open.getOptions(scripted(`printf 'name: '; ${connect}`));
    assert.equal(answer.name, 'connected');
  });
}

/** Programs that run on this machine with that argument. */
async function running(argument: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.split('\0').includes(argument)) found.push(line);
  }
  return found;
}

test('an installer that fails is ended with all that it started, fails alone, and is heard in the log', async (t) => {
  const cases: readonly {
    readonly script: string;
    readonly message: RegExp;
    readonly stderr: RegExp;
    readonly timeout?: number;
  }[] = [
    { script: 'echo "no such board" >&2; exit 1', message: /ended with 1 /, stderr: /^no such board$/ },
    { script: 'sleep 31415926 & exit 3', message: /ended with 3 /, stderr: /^$/ },
    {
      script: 'perl -e "kill 9, getppid"; perl -e "kill 11, \\$\\$"; exit 7',
      message: /ended with 7 /,
      stderr: /^/,
    },
    {
      script: 'echo waiting >&2; sleep 31415926 & setsid sleep 31415926 & trap "" TERM HUP; wait',
      message: /did not end within 2 s /,
      stderr: /^waiting$/,
      timeout: 2000,
    },
    { script: 'echo flood >&2; yes', message: /printed more than 1048576 bytes /, stderr: /^flood$/ },
    {
      script: 'yes error >&2',
      message: /more than 1048576 bytes on standard error /,
      stderr: /^(r?or\n)?(error\n)+er?/,
    },
    { script: 'yes >/tmp/file; sleep 31415926', message: /wrote more than 10485760 bytes /, stderr: /^/ },
    {
      script: 'i=0; while :; do : >"/tmp/$i"; i=$((i+1)); done',
      message: /made more than 1000 files /,
      stderr: /^/,
    },
    {
      script: 'i=0; while [ $i -lt 200 ]; do sleep 31415926 & i=$((i+1)); done; exit 0',
      message: /ended with 2 /,
      stderr: /Cannot fork/,
    },
    {
      script: `exec perl -e '$x = "x" x 2e9; print length $x'`,
      message: /ended with /,
      stderr: /[Oo]ut of memory/,
    },
  ];
  const limits = { written: 10 << 20, files: 1000, processes: 64 };
  for (const { script, message, stderr, timeout = 60_000 } of cases) {
    const { installer, lines } = await bench(t, { limits: { ...limits, timeout } });
    const error = await installer.getOptions(scripted(script)).then(
      () => assert.fail(`${script} did not fail`),
      (reason: FactoryError) => reason,
    );
    assert.equal(error.code, 'OVERLAY_INSTALLER_FAILED', `${script}: ${error.message}`);
    assert.equal(error.kind, 'internal');
    assert.match(error.message, message);
    assert.match(
      error.message,
      /^overlay "board": its installer .* at get-options; what it said is in the log$/,
    );
    assert.deepEqual(await running('31415926'), [], script);
    const [line, ...more] = lines;
    assert.deepEqual(more, []);
    assert.equal(line?.[0], 'overlay installer failed');
    assert.equal(line?.[1]?.overlay, 'board');
    const said = String(line?.[1]?.stderr);
    assert.match(said, stderr, script);
    assert.ok(said.length <= 16 << 10);
    // The next one works.
    assert.equal((await installer.getOptions(scripted('echo "name: fine"'))).name, 'fine');
  }
});

test('closing the store ends installers', async (t) => {
  const { store, installer, lines } = await bench(t);
  const asked = assert.rejects(installer.getOptions(scripted('sleep 27182818 & wait')), {
    code: 'STORE_CLOSED',
  });
  while ((await running('27182818')).length === 0) await setTimeout(10);
  await store[Symbol.asyncDispose]();
  await asked;
  assert.deepEqual(await running('27182818'), []);
  assert.deepEqual(lines, []);
});

test('without namespaces there are limits still', async (t) => {
  const limits = { timeout: 2000, written: 10 << 20 };
  const { installer } = await bench(t, { isolation: 'limits', limits });
  using installed = await installer.install(
    scripted(`value() { sed -n "s/^$1: \\"\\(.*\\)\\"/\\1/p" /tmp/$$; }; cat >/tmp/$$
      printf abc | dd of="$(value installDisk)" bs=1 seek=512 conv=notrunc 2>/dev/null
      cp "$(value artifactsPath)/a" "$(value mountPrefix)/boot/EFI/"; rm /tmp/$$`),
    DISK,
  );
  assert.deepEqual(
    installed.rawWrites.map(({ offset, blob }) => [offset, blob.size]),
    [[512, 512]],
  );
  assert.equal(await textOf(installed, 'EFI/a'), 'artifact');
  const cases: readonly (readonly [string, RegExp])[] = [
    ['sleep 16180339 & wait', /did not end within 2 s/],
    ['sleep 16180339 & exit 1', /ended with 1/],
    ['yes >file; sleep 16180339', /wrote more than 10485760 bytes/],
  ];
  for (const [script, message] of cases) {
    await assert.rejects(installer.getOptions(scripted(script)), {
      code: 'OVERLAY_INSTALLER_FAILED',
      message,
    });
    assert.deepEqual(await running('16180339'), [], script);
  }
});

test('where there is no sandbox, nothing is run', async (t) => {
  const scratch = await mkdtemp(join(tmpdir(), 'no-sandbox-'));
  t.after(() => rm(scratch, { recursive: true }));
  const lines: (readonly [string, LogFields | undefined])[] = [];
  const run = new InstallerRun({
    log: { ...silentLog, error: (message, fields) => void lines.push([message, fields]) },
    isolation: 'namespaces',
    caller: CALLERS[0],
    limits: { timeout: 60_000, output: 100, written: 1 << 20, files: 10, processes: 64, memory: 1 << 30 },
  });
  // The sandbox cannot be put together of what is not there.
  const program = { name: 'board', files: join(scratch, 'missing'), path: 'installers/board', scratch };
  await assert.rejects(run.getOptions(program, Buffer.from('{}\n'), new AbortController().signal), {
    kind: 'internal',
    code: 'OVERLAY_SANDBOX_UNAVAILABLE',
    message: /^overlay "board": its installer was not run, since it cannot be confined here/,
  });
  assert.equal(lines[0]?.[0], 'no sandbox for overlay installers');
  assert.match(String(lines[0]?.[1]?.stderr), /missing does not exist/);
});

test('the architecture of this machine, or a word that there is none', () => {
  assert.equal(builderArch('x64'), 'amd64');
  assert.equal(builderArch('arm64'), 'arm64');
  assert.throws(() => builderArch('riscv64'), { code: 'OVERLAY_ARCH_UNSUPPORTED', message: /riscv64/ });
});

test('what an installer leaves is taken, or refused with the reason', async (t) => {
  const { installer } = await bench(t);
  using installed = await installer.install(
    scripted(`printf abc | dd of=disk.img bs=1 seek=32768 conv=notrunc 2>/dev/null
      printf x | dd of=disk.img bs=1 seek=${DISK - 1} conv=notrunc 2>/dev/null
      cp "$0" root/boot/EFI/run; echo k >root/boot/vmlinuz; ln -s run root/boot/EFI/link; chmod 0 root/boot/EFI`),
    DISK,
  );
  assert.deepEqual(
    installed.rawWrites.map(({ offset, blob }) => [offset, blob.size]),
    [
      [32768, 512],
      [DISK - 512, 512],
    ],
  );
  assert.deepEqual(
    installed.files.map(({ path, mode, type }) => [path, mode, type]),
    [
      ['EFI', 0o755, 'directory'],
      ['EFI/link', 0o755, 'file'],
      ['EFI/run', 0o755, 'file'],
      ['vmlinuz', 0o644, 'file'],
    ],
  );
  const refused: readonly (readonly [string, RegExp])[] = [
    ['ln -s /etc/passwd root/boot/EFI/passwd', /symbolic link .*EFI\/passwd/],
    ['ln -s ../../../../../../../../../../etc/passwd root/boot/EFI/passwd', /symbolic link .*EFI\/passwd/],
    ['rm -r root/boot; ln -s /etc root/boot', /removed or replaced boot/],
    ['rm -r root; ln -s / root', /removed or replaced root/],
    ['rm -r root', /removed or replaced root/],
    ['rm -r root/boot; : >root/boot', /removed or replaced boot/],
    ['rm disk.img; ln -s /etc/passwd disk.img', /removed or replaced disk\.img/],
    ['rm disk.img', /removed or replaced disk\.img/],
    ['truncate -s 1M disk.img', /changed the disk's size to 1048576 bytes/],
    [
      'cd root/boot; i=0; while [ $i -lt 500 ]; do mkdir directory && cd directory; i=$((i+1)); done; chmod 0 /work/root',
      /more than 64 directories/,
    ],
    ['mkfifo root/boot/pipe', /neither file nor directory: pipe/],
  ];
  for (const [script, message] of refused) {
    await assert.rejects(
      installer.install(scripted(script), DISK),
      { kind: 'upstream', code: 'OVERLAY_OUTPUT_INVALID', message },
      script,
    );
  }
});

test('an overlay without its installer, or with none that can be run', async (t) => {
  const { installer, lines } = await bench(t);
  const tree = memoryTree({
    'installers/board': 'not a program',
    'installers/dir/x': '',
    'artifacts/plain': '',
  });
  const overlay = { name: 'other', digest: tree.digest, options: NONE, open: async () => tree };
  for (const name of ['other', 'dir', '../artifacts/plain']) {
    await assert.rejects(installer.getOptions({ ...overlay, name }), { code: 'OVERLAY_FILE_MISSING' }, name);
  }
  const linked = memoryTree({ 'installers/board': { link: '../artifacts/plain' }, 'artifacts/plain': '' });
  await assert.rejects(
    installer.getOptions({ ...overlay, name: 'board', digest: linked.digest, open: async () => linked }),
    { code: 'OVERLAY_TREE_INVALID', message: /installers\/board of image sha256:\w+ is not executable/ },
  );
  await assert.rejects(installer.getOptions({ ...overlay, name: 'board' }), {
    code: 'OVERLAY_INSTALLER_FAILED',
  });
  assert.match(String(lines[0]?.[1]?.stderr), /Exec format error|not found/);
});

test('results are kept: by image, name, options and size, and no failure', async (t) => {
  const { installer } = await bench(t);
  let opened = 0;
  const tree = memoryTree({
    'installers/one': '#!/bin/sh\ncat\n',
    'installers/two': '#!/bin/sh\necho "name: two"\n',
  });
  const one: SelectedOverlay = {
    name: 'one',
    digest: tree.digest,
    options: new Map([['name', 'x']]),
    open: async () => {
      opened++;
      if (opened === 1) throw new Error('no network');
      return tree;
    },
  };
  await assert.rejects(installer.getOptions(one), { message: /no network/ });
  assert.equal((await installer.getOptions(one)).name, 'x');
  assert.equal((await installer.getOptions({ ...one, options: new Map([['name', 'y']]) })).name, 'y');
  assert.equal((await installer.getOptions({ ...one, name: 'two' })).name, 'two');
  assert.equal(opened, 2);
  const closed = {
    ...one,
    open: () => assert.fail('it is known already'),
  };
  assert.equal((await installer.getOptions(closed)).name, 'x');
  using first = await installer.install(one, DISK);
  using again = await installer.install(closed, DISK);
  using larger = await installer.install(one, DISK * 2);
  assert.equal(first.key, again.key);
  assert.notEqual(first.key, larger.key);
});

test('the boards of the sandbox release, twice the same', async (t) => {
  const upstream = await startUpstream(t);
  const releases = await upstream.releases();
  const overlays = await buildOverlays();
  const select = async (board: string, options: OptionMap): Promise<SelectedOverlay> => {
    const { repository, tag, image } = overlays.find(({ boards }) => boards.includes(board))!;
    const digest = await upstream.publish(repository.replace('siderolabs/', ''), tag, image);
    const wanted = {
      name: board,
      repository: parseRepositoryName(upstream.registry.name(repository)),
      digest,
    };
    return {
      name: board,
      digest,
      options,
      open: (signal) => releases.overlayImage(wanted, builderArch(), signal),
    };
  };
  const rock = await select('rock4cplus', NONE);
  const rpi = await select(
    'rpi_generic',
    new Map([
      ['configTxt', 'gpu_mem=128\ndtparam=i2c_arm=on\n'],
      ['configTxtAppend', 'x=1'],
    ]),
  );
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const results: unknown[] = [];
  for (const mask of [0o077, 0o022]) {
    process.umask(mask);
    const { installer } = await bench(t);
    const options = [await installer.getOptions(rock), await installer.getOptions(rpi)];
    using rockInstalled = await installer.install(rock, DISK);
    using rpiInstalled = await installer.install(rpi, DISK);
    assert.deepEqual(
      rockInstalled.rawWrites.map(({ offset, blob }) => [offset, blob.size]),
      [[32768, 65536]],
    );
    assert.deepEqual(rpiInstalled.rawWrites, []);
    assert.deepEqual(
      rockInstalled.files.map(({ path }) => path),
      ['EFI', 'EFI/dtb', 'EFI/dtb/rockchip', 'EFI/dtb/rockchip/rk3399-rock-4c-plus.dtb'],
    );
    assert.deepEqual(
      rpiInstalled.files.map(({ path }) => path),
      ['EFI', 'EFI/config.txt', 'EFI/fixup.dat', 'EFI/start4.elf', 'EFI/u-boot.bin'],
    );
    assert.equal(await textOf(rpiInstalled, 'EFI/config.txt'), 'gpu_mem=128\ndtparam=i2c_arm=on\nx=1\n');
    results.push([options, await plain(rockInstalled), await plain(rpiInstalled)]);
  }
  assert.deepEqual(results[0], results[1]);
  assert.deepEqual((results[0] as unknown[])[0], [
    {
      name: 'rock4cplus',
      kernelArgs: [
        'console=tty0',
        'console=ttyS2,1500000n8',
        'sysctl.kernel.kexec_load_disabled=1',
        'talos.dashboard.disabled=1',
      ],
      partitionOffset: 20480,
    },
    {
      name: 'rpi_generic',
      kernelArgs: [
        'console=tty0',
        'console=ttyAMA0,115200',
        'sysctl.kernel.kexec_load_disabled=1',
        'talos.dashboard.disabled=1',
      ],
      partitionOffset: 0,
    },
  ]);
});
