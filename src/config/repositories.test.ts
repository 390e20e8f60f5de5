import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEmptyRepository, parseRepository, repositoriesAtDefault, repositoryName } from './repositories.ts';
import { configSchema, defaultConfig } from './schema.ts';

test('repositories written as one string', () => {
  for (const [text, registry, namespace, repository, name] of [
    ['docker.io/library/golang', 'docker.io', 'library', 'golang', 'docker.io/library/golang'],
    ['library/golang', '', 'library', 'golang', 'index.docker.io/library/golang'],
    ['nginx', '', '', 'nginx', 'index.docker.io/library/nginx'],
    ['127.0.0.1:5000/nginx', '127.0.0.1:5000', '', 'nginx', '127.0.0.1:5000/nginx'],
    ['example.com/foo/bar/baz/nginx', 'example.com', 'foo/bar/baz', 'nginx', 'example.com/foo/bar/baz/nginx'],
    ['localhost/foo', '', 'localhost', 'foo', 'localhost/foo'],
  ] as const) {
    const parsed = parseRepository(text);
    assert.deepEqual(parsed, { registry, namespace, repository, insecure: false }, text);
    assert.equal(repositoryName(parsed), name, text);
  }
  assert.ok(isEmptyRepository(parseRepository('')));
  assert.ok(!isEmptyRepository(parseRepository('x')));
});

test('names that are none are refused', () => {
  for (const text of ['', 'a.b/', 'a.b/UPPER', 'a.b/../c']) {
    assert.throws(() => repositoryName(parseRepository(text)), { code: 'OCI_NAME_INVALID' }, text);
  }
});

test('which repositories are at their defaults', () => {
  const none = { schematic: true, cache: true, installer: true, spdx: true };
  assert.deepEqual(repositoriesAtDefault(defaultConfig()), none);
  const config = configSchema.parse({
    cache: { oci: { insecure: true } },
    artifacts: { schematic: { registry: 'r:5' }, installer: { internal: { repository: 'x' } } },
  });
  assert.deepEqual(repositoriesAtDefault(config), {
    schematic: false,
    cache: false,
    installer: false,
    spdx: true,
  });
});
