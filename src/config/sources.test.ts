import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigSource, parseSources } from './sources.ts';

const file = (path: string, format: 'json' | 'yaml' | 'dotenv'): ConfigSource => ({
  kind: 'file',
  path,
  format,
});

test('lists of sources', () => {
  const table: readonly (readonly [string, readonly ConfigSource[]])[] = [
    ['c.json', [file('c.json', 'json')]],
    ['env=', [{ kind: 'env', prefix: '' }]],
    ['env=A=B', [{ kind: 'env', prefix: 'A=B' }]],
    ['file.yaml,file.yml', [file('file.yaml', 'yaml'), file('file.yml', 'yaml')]],
    [
      'file=.env,file=new.json,file=foo/bar/baz.yaml',
      [file('.env', 'dotenv'), file('new.json', 'json'), file('foo/bar/baz.yaml', 'yaml')],
    ],
    ['file.env', [file('file.env', 'dotenv')]],
    ['/a.b/C.YAML', [file('/a.b/C.YAML', 'yaml')]],
    ['file=a=b.json', [file('a=b.json', 'json')]],
    [' x.json', [file(' x.json', 'json')]],
  ];
  for (const [value, sources] of table) assert.deepEqual(parseSources(value), sources, value);
});

test('what is no source says why', () => {
  for (const [value, message] of [
    ['', 'configs value must not be empty'],
    [' \t', 'configs value must not be empty'],
    ['a.json,', 'unsupported config format: '],
    ['a.toml', 'unsupported config format: .toml'],
    ['a.b/config', 'unsupported config format: '],
    ['a.JSON ', 'unsupported config format: .json '],
    ['vault=x', 'unsupported config provider: vault'],
    ['=x', 'unsupported config provider: '],
    ['Env=X', 'unsupported config provider: Env'],
  ] as const) {
    assert.throws(
      () => parseSources(value),
      { kind: 'invalid', code: 'CONFIG_SOURCE_INVALID', message },
      value,
    );
  }
});
