import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FactoryError } from '../errors.ts';
import { type Invocation, parseArguments } from './arguments.ts';

const NOTHING: Invocation = {
  command: 'serve',
  sources: [],
  logLevel: 'info',
  dataDir: undefined,
  defaults: false,
  format: 'yaml',
};

test('command lines', () => {
  const table: readonly (readonly [string, Partial<Invocation>])[] = [
    ['', {}],
    ['serve', {}],
    ['/image-factory --log-level=debug other', { logLevel: 'debug' }],
    ['--log-level WARNING --log-level Error', { logLevel: 'error' }],
    ['--log-level=', { logLevel: 'info' }],
    ['--data-dir d serve --data-dir=/e', { dataDir: '/e' }],
    ['config print', { command: 'config print' }],
    [
      '/image-factory config print --defaults --format env',
      { command: 'config print', defaults: true, format: 'env' },
    ],
    ['--format=json config --defaults=0 print', { command: 'config print', format: 'json' }],
    ['config check x', { command: 'config check' }],
    ['-- --config serve', {}],
    ['-- config check', { command: 'config check' }],
    ['-', {}],
    ['-h', { command: 'help' }],
    ['serve --help --nonsense', { command: 'help' }],
    ['-help', { command: 'help' }],
    ['--version', { command: 'version' }],
    ['--version=false', {}],
    ['config --version', { command: 'version' }],
  ];
  for (const [line, expected] of table) {
    const args = line === '' ? [] : line.split(' ');
    assert.deepEqual(parseArguments(args), { ...NOTHING, ...expected }, line);
  }
});

test('sources are collected in order', () => {
  const line =
    '--config env= --config file.json --config file.yaml,file.yml --config file.env --config file=.env,file=new.json,file=foo/bar/baz.yaml';
  assert.deepEqual(parseArguments(line.split(' ')).sources, [
    { kind: 'env', prefix: '' },
    { kind: 'file', path: 'file.json', format: 'json' },
    { kind: 'file', path: 'file.yaml', format: 'yaml' },
    { kind: 'file', path: 'file.yml', format: 'yaml' },
    { kind: 'file', path: 'file.env', format: 'dotenv' },
    { kind: 'file', path: '.env', format: 'dotenv' },
    { kind: 'file', path: 'new.json', format: 'json' },
    { kind: 'file', path: 'foo/bar/baz.yaml', format: 'yaml' },
  ]);
  assert.deepEqual(parseArguments(['--config=c.json']).sources, [
    { kind: 'file', path: 'c.json', format: 'json' },
  ]);
});

test('mistakes', () => {
  for (const [args, message] of [
    [['--foo'], 'unknown flag: --foo'],
    [['--foo=1', '--help'], 'unknown flag: --foo'],
    [['--toString'], 'unknown flag: --toString'],
    [['-x'], "unknown shorthand flag: 'x' in -x"],
    [['-xyz=1'], "unknown shorthand flag: 'x' in -xyz=1"],
    [['--=x'], 'bad flag syntax: --=x'],
    [['---x'], 'bad flag syntax: ---x'],
    [['--config'], 'flag needs an argument: --config'],
    [['x', '--log-level'], 'flag needs an argument: --log-level'],
    [['--config='], 'invalid argument "" for "--config" flag: configs value must not be empty'],
    [['--config', ' '], 'invalid argument " " for "--config" flag: configs value must not be empty'],
    [
      ['--config', 'a.toml'],
      'invalid argument "a.toml" for "--config" flag: unsupported config format: .toml',
    ],
    [['--config', 'a=b'], 'invalid argument "a=b" for "--config" flag: unsupported config provider: a'],
    [['--config', 'a.json,'], 'invalid argument "a.json," for "--config" flag: unsupported config format: '],
    [
      ['--log-level', 'loud'],
      'invalid argument "loud" for "--log-level" flag: unrecognized level: "loud": must be one of [debug info warn error dpanic panic fatal]',
    ],
    [['--data-dir='], 'invalid argument "" for "--data-dir" flag: a directory must not be empty'],
    [['--format=xml'], 'invalid argument "xml" for "--format" flag: must be one of [yaml env json]'],
    [
      ['--version=maybe'],
      'invalid argument "maybe" for "--version" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [['--defaults'], 'unknown flag: --defaults (it belongs to config print)'],
    [['config', 'check', '--format', 'json'], 'unknown flag: --format (it belongs to config print)'],
    [['config'], 'config needs one of its commands: print, check'],
    [['config', 'edit'], 'config needs one of its commands: print, check'],
  ] as const) {
    assert.throws(() => parseArguments(args), { code: 'USAGE', message }, args.join(' '));
  }
});

test('every command line is understood or refused with a line', () => {
  const words = fc.constantFrom(
    ...[
      '--',
      '-',
      '-h',
      '-x',
      '--=',
      '--config',
      '--config=',
      'env=',
      'a.yaml',
      '--format',
      '--defaults',
      'config',
    ],
    ...[
      'print',
      'check',
      'serve',
      '--version',
      '--data-dir',
      '--log-level',
      'info',
      '__proto__',
      '--constructor',
      '',
    ],
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(words, fc.string()), { maxLength: 6 }), (args) => {
      try {
        assert.ok(parseArguments(args).command.length > 0);
      } catch (error) {
        assert.ok(
          error instanceof FactoryError && error.code === 'USAGE' && error.message !== '',
          String(error),
        );
      }
    }),
  );
});
