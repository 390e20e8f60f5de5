import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { defaultConfig } from '../config/schema.ts';
import { readBuildInfo } from './build-info.ts';
import type { ComposeFactory, ComposeOptions, Factory } from './factory.ts';
import type { Io } from './io.ts';
import { runCommandLine } from './run.ts';

interface Harness {
  readonly io: Io;
  readonly out: () => string;
  readonly err: () => string;
  /** Messages of the log, in order. */
  readonly messages: () => readonly string[];
  readonly signal: (name: string) => void;
  readonly fault: (kind: 'rejection' | 'exception', error: unknown) => void;
  readonly exits: readonly number[];
  readonly closed: readonly number[];
  readonly options: () => ComposeOptions | undefined;
  /** Resolves when the factory listens. */
  readonly listening: Promise<void>;
  readonly fail: (error: Error) => void;
}

function harness(
  env: Io['env'] = {},
  parts: { compose?: ComposeFactory; listen?: Factory['listen']; close?: Factory['close'] } = {},
): Harness {
  const out: string[] = [];
  const err: string[] = [];
  let signal: (name: string) => void = () => assert.fail('nobody listens to signals');
  let fault: Harness['fault'] = () => assert.fail('nobody listens to faults');
  let options: ComposeOptions | undefined;
  const exits: number[] = [];
  const closed: number[] = [];
  const failed = Promise.withResolvers<Error>();
  const listening = Promise.withResolvers<void>();
  const compose: ComposeFactory = async (_, given) => {
    options = given;
    return {
      listen:
        parts.listen ??
        (async () => {
          setImmediate(listening.resolve);
          return { url: 'http://localhost:8080/', metricsUrl: 'http://localhost:2122/' };
        }),
      failed: failed.promise,
      close: async (graceMs) => {
        closed.push(graceMs);
        await parts.close?.(graceMs);
      },
    };
  };
  return {
    io: {
      env,
      stdout: { write: (text) => void out.push(text) },
      stderr: { write: (text) => void err.push(text) },
      clock: { now: () => new Date(2026, 0, 2, 3, 4, 5).getTime() },
      version: { name: 'Image Factory', tag: 'v1.2.3', sha: 'abc' },
      compose: async () => parts.compose ?? compose,
      onSignal: (listener) => {
        signal = listener;
        return { [Symbol.dispose]: () => {} };
      },
      onFault: (listener) => {
        fault = listener;
        return { [Symbol.dispose]: () => {} };
      },
      exit: (code) => void exits.push(code),
    },
    out: () => out.join(''),
    err: () => err.join(''),
    messages: () =>
      err
        .join('')
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line).msg),
    signal: (name) => signal(name),
    fault: (kind, error) => fault(kind, error),
    exits,
    closed,
    options: () => options,
    listening: listening.promise,
    fail: failed.resolve,
  };
}

/** SHA-256 of the usage of `spec/configuration.md` §1, from `Usage of` to `(default info)` and its newline. */
const REFERENCE_USAGE_SHA256 = 'e95323b53ea7240f297ed9b027223b8b338c5292d6967090c9121698e15cc6b4';

test('help prints the reference text, then ours, on standard error', async () => {
  const { io, out, err } = harness();
  assert.equal(await runCommandLine(['--help'], io), 0);
  assert.equal(out(), '');
  const end = err().indexOf('(default info)\n') + '(default info)\n'.length;
  assert.equal(createHash('sha256').update(err().slice(0, end)).digest('hex'), REFERENCE_USAGE_SHA256);
  assert.match(err().slice(end), /--data-dir DIR[\s\S]*config check/);
});

test('a mistake prints the usage, then the error, and exits with 2', async () => {
  const { io, out, err } = harness();
  assert.equal(await runCommandLine(['--nope'], io), 2);
  assert.equal(out(), '');
  assert.match(err(), /^Usage of image-factory:\n[\s\S]*\nunknown flag: --nope\n$/);
});

test('the version names program, tag and commit', async () => {
  const { io, out } = harness();
  assert.equal(await runCommandLine(['--version'], io), 0);
  assert.equal(out(), 'Image Factory v1.2.3 (abc)\n');
});

test('config print shows what the sources give, or the defaults', async () => {
  const env = { IF_METRICS_ADDR: ':9' };
  const given = harness(env);
  assert.equal(await runCommandLine(['config', 'print', '--format', 'env'], given.io), 0);
  assert.match(given.out(), /^IF_METRICS_ADDR=:9$/m);
  const defaults = harness(env);
  assert.equal(await runCommandLine(['config', 'print', '--defaults', '--format=json'], defaults.io), 0);
  assert.equal(JSON.parse(defaults.out()).metrics.addr, defaultConfig().metrics.addr);
});

test('config check tells what is wrong', async () => {
  const fine = harness({ IF_NOPE: '1', IF_SECUREBOOT_ENABLED: '1' });
  assert.equal(await runCommandLine(['config', 'check'], fine.io), 0);
  assert.equal(fine.out(), 'the configuration is valid\n');
  assert.equal(fine.err(), 'unknown key IF_NOPE in environment\nsecureBoot.enabled has no effect yet\n');
  for (const [env, problem] of [
    [
      { IF_HTTP_EXTERNALURL: 'ftp://x' },
      'invalid configuration: http.externalURL must have http or https scheme, got "ftp"',
    ],
    [{ IF_BUILD_MINTALOSVERSION: 'x' }, 'failed to parse minimum Talos version: "x"'],
  ] as const) {
    const wrong = harness(env);
    assert.equal(await runCommandLine(['config', 'check'], wrong.io), 1);
    assert.ok(wrong.err().startsWith(`2026/01/02 03:04:05 ${problem}`), wrong.err());
  }
});

test('a factory starts, serves until a signal and ends with 0', async () => {
  const h = harness({ IF_TYPO: 'x', IF_AUDIT_MODE: 'log' });
  const code = runCommandLine(['--data-dir', '/d', '--log-level', 'debug'], h.io);
  await h.listening;
  h.signal('SIGTERM');
  assert.equal(await code, 0);
  assert.deepEqual(h.closed, [5000]);
  assert.equal(h.options()?.dataDir, '/d');
  assert.equal(h.out(), '');
  assert.deepEqual(h.messages(), [
    'starting factory',
    'unknown configuration key',
    'starting',
    'configuration keys without effect yet',
    'serving',
    'serving metrics',
    'shutting down',
  ]);
  const starting = h
    .err()
    .split('\n')
    .find((line) => line.includes('"msg":"starting"'));
  const { ts: _, ...rest } = JSON.parse(starting ?? '');
  assert.deepEqual(rest, {
    level: 'info',
    msg: 'starting',
    name: 'Image Factory',
    version: 'v1.2.3',
    sha: 'abc',
    enterprise: false,
  });
});

test('a signal during the start ends it as soon as it listens', async () => {
  const listen: Factory['listen'] = async () => {
    h.signal('SIGINT');
    return { url: 'http://x/' };
  };
  const h = harness({}, { listen });
  assert.equal(await runCommandLine([], h.io), 0);
  assert.deepEqual(h.closed, [5000]);
});

test('a second signal exits at once', async () => {
  const closing = Promise.withResolvers<void>();
  const h = harness({}, { close: () => closing.promise });
  const code = runCommandLine([], h.io);
  await h.listening;
  h.signal('SIGINT');
  assert.deepEqual(h.exits, []);
  h.signal('SIGINT');
  assert.deepEqual(h.exits, [1]);
  closing.resolve();
  assert.equal(await code, 0);
});

test('what keeps it from starting is one line and exit code 1', async () => {
  const line = '2026/01/02 03:04:05 ';
  const busy = new Error('listen tcp :8080: bind: address already in use');
  const config = harness({ IF_BUILD_MAXCONCURRENCY: 'x' });
  assert.equal(await runCommandLine([], config.io), 1);
  assert.ok(config.err().startsWith(`${line}failed to initialize config: decoding failed`));
  const listen = harness({}, { listen: () => Promise.reject(busy) });
  assert.equal(await runCommandLine([], listen.io), 1);
  assert.ok(listen.err().endsWith(`${line}${busy.message}\n`));
  assert.deepEqual(listen.closed, [0]);
  const compose = harness({}, { compose: () => Promise.reject(new Error('failed to parse repository: x')) });
  assert.equal(await runCommandLine([], compose.io), 1);
  assert.ok(compose.err().endsWith(`${line}failed to parse repository: x\n`));
});

test('a listener that fails, and an end that fails, are exit code 1', async () => {
  const listener = harness();
  const first = runCommandLine([], listener.io);
  await listener.listening;
  listener.fail(new Error('accept: too many open files'));
  assert.equal(await first, 1);
  assert.match(listener.err(), / accept: too many open files\n$/);
  const end = harness({}, { close: () => Promise.reject(new Error('no end')) });
  const second = runCommandLine([], end.io);
  await end.listening;
  end.signal('SIGTERM');
  assert.equal(await second, 1);
  assert.match(end.err(), / no end\n$/);
});

test('a forgotten rejection is logged; an exception ends the process', async () => {
  const h = harness();
  const code = runCommandLine([], h.io);
  await h.listening;
  h.fault('rejection', new Error('forgotten'));
  assert.deepEqual(h.exits, []);
  h.fault('exception', new Error('thrown'));
  assert.deepEqual(h.exits, [1]);
  assert.deepEqual(h.messages().slice(-2), ['unhandled rejection', 'uncaught exception']);
  h.signal('SIGTERM');
  assert.equal(await code, 0);
});

test('the build info is read from the checkout or said by the environment', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'build-info-'));
  t.after(() => rm(root, { recursive: true }));
  const name = 'Image Factory';
  assert.deepEqual(await readBuildInfo({}, root), { name, tag: 'v0.0.0', sha: 'unknown' });
  await writeFile(join(root, 'package.json'), '{"name": "x", "version": "1.2.3"}');
  await mkdir(join(root, '.git/refs/heads'), { recursive: true });
  await writeFile(join(root, '.git/HEAD'), 'ref: refs/heads/main\n');
  await writeFile(
    join(root, '.git/packed-refs'),
    '# pack-refs\nfeed refs/heads/other\nbeef refs/heads/main\n',
  );
  assert.deepEqual(await readBuildInfo({}, root), { name, tag: 'v1.2.3', sha: 'beef' });
  await writeFile(join(root, '.git/refs/heads/main'), 'cafe\n');
  assert.deepEqual(await readBuildInfo({}, root), { name, tag: 'v1.2.3', sha: 'cafe' });
  await writeFile(join(root, '.git/HEAD'), 'abcd\n');
  assert.equal((await readBuildInfo({}, root)).sha, 'abcd');
  const env = { IMAGE_FACTORY_TAG: 'v9.0.0', IMAGE_FACTORY_SHA: 'bad value\r\n' };
  assert.deepEqual(await readBuildInfo(env, root), { name, tag: 'v9.0.0', sha: 'abcd' });
});

test('the program itself runs', () => {
  const program = fileURLToPath(new URL('../../bin/image-factory.js', import.meta.url));
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { env: { IF_METRICS_ADDR: ':7' }, encoding: 'utf8' });
  const printed = run('config', 'print', '--format=env');
  assert.equal(printed.stderr, '');
  assert.equal(printed.status, 0);
  assert.match(printed.stdout, /^IF_METRICS_ADDR=:7$/m);
  const wrong = run('-q');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /\nunknown shorthand flag: 'q' in -q\n$/);
});

test('releases of Node.js that are too old or too new are told apart before anything is loaded', () => {
  const program = fileURLToPath(new URL('../../bin/image-factory.js', import.meta.url));
  for (const [version, status] of [
    ['18.20.0', 1],
    ['24.14.9', 1],
    ['27.0.0', 1],
    ['24.15.0', 0],
    ['26.0.0', 0],
  ] as const) {
    const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
    const args = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, program, '--version'];
    const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(run.status, status, version + run.stderr);
    assert.match(status === 0 ? run.stdout : run.stderr, /^Image Factory v|needs Node\.js 24\.15 or newer/);
  }
});
