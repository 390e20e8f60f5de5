import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiDoc } from './api-doc.ts';
import { coreRoutes } from './core-routes.ts';
import { openapiDocument, openapiPath } from './openapi.ts';

type Node = { readonly [key: string]: unknown };

const routes = coreRoutes();
const document = openapiDocument(routes, { version: 'v1.2.3', serverUrl: 'https://factory.example' });

const object = (value: unknown, where: string): Node => {
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), `${where} is no object`);
  return value as Node;
};

test('every route is there once, with its parameters and at least one answer', () => {
  const paths = object(document.paths, 'paths');
  const ids = new Set<string>();
  let operations = 0;
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(object(item, path))) {
      operations++;
      const where = `${method} ${path}`;
      const { operationId, responses, parameters } = object(operation, where);
      assert.match(String(operationId), /^[a-z][A-Za-z]+$/);
      assert.ok(!ids.has(String(operationId)), `${operationId} is there twice`);
      ids.add(String(operationId));
      const statuses = Object.keys(object(responses, where));
      assert.ok(
        statuses.some((status) => /^2\d\d$/.test(status)),
        where,
      );
      assert.ok(
        statuses.every((status) => /^[1-5]\d\d$/.test(status)),
        where,
      );
      const inPath = (parameters as readonly Node[]).filter((parameter) => parameter.in === 'path');
      assert.deepEqual(
        inPath.map((parameter) => `{${parameter.name}}`),
        path.match(/\{[^}]+\}/g) ?? [],
        where,
      );
      for (const parameter of parameters as readonly Node[]) {
        assert.equal(object(parameter.schema, where).type, 'string');
        assert.ok(
          String(parameter.description ?? '').length > 0,
          `${where} ${parameter.name} is not described`,
        );
        if (parameter.in === 'path') assert.equal(parameter.required, true);
      }
    }
  }
  assert.equal(operations, routes.length);
  for (const route of routes) {
    object(object(paths[openapiPath(route.path)], route.path)[route.method.toLowerCase()], route.path);
  }
});

test('the fixed fields are those of OpenAPI 3.1', () => {
  assert.match(String(document.openapi), /^3\.1\.\d+$/);
  const { title, version } = object(document.info, 'info');
  assert.ok(title && version);
  const allowed = ['openapi', 'jsonSchemaDialect', 'info', 'servers', 'tags', 'paths', 'components'];
  assert.deepEqual(
    Object.keys(document).filter((key) => !allowed.includes(key)),
    [],
  );
});

test('every reference leads somewhere, and every answer is described', () => {
  const visit = (value: unknown, where: string): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, child] of Object.entries(value)) {
      if (key === '$ref') {
        const target = String(child)
          .replace(/^#\//, '')
          .split('/')
          .reduce<unknown>((at, part) => object(at, String(child))[part], document);
        object(target, `${where} -> ${child}`);
      }
      visit(child, `${where}/${key}`);
    }
  };
  visit(document, '#');
  const { responses } = object(document.components, 'components');
  for (const [name, response] of Object.entries(object(responses, 'responses'))) {
    assert.ok(String(object(response, name).description).length > 10, name);
    assert.notEqual(object(response, name).description, 'Error.', `${name} has no text`);
  }
});

test('the document in words names every route, and is the same each time', () => {
  const text = apiDoc();
  for (const route of routes) assert.ok(text.includes(`${openapiPath(route.path)}\``), route.path);
  assert.equal(apiDoc(), text);
  assert.ok(text.endsWith('\n'));
});
