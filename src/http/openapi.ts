import { z } from 'zod';
import type { ResponseDoc, RouteSpec } from './route.ts';

export interface OpenApiInfo {
  readonly version: string;
  readonly serverUrl: string;
}

type Json = Readonly<Record<string, unknown>>;

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** Descriptions of the error statuses; bodies are the same for all (`error-response.ts`). */
export const ERROR_STATUSES: Readonly<Record<number, string>> = {
  400: 'The request cannot be served as it is; the message says what to change.',
  402: 'A feature that is not enabled.',
  404: 'No such schematic, version or file.',
  412: 'A precondition of the request does not hold.',
  413: 'The request body is too large.',
  416: 'The range lies outside of the asset.',
  501: 'A capability that this build does not have.',
  502: 'A registry answered wrongly; try again after `Retry-After` seconds.',
  503: 'Not available now; try again after `Retry-After` seconds.',
};

/** OpenAPI 3.1.1 of a route table. */
export function openapiDocument(routes: readonly RouteSpec[], info: OpenApiInfo): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = openapiPath(route.path);
    const item = paths[path] ?? {};
    item[route.method.toLowerCase()] = operation(route);
    paths[path] = item;
  }
  return {
    openapi: '3.1.1',
    jsonSchemaDialect: DIALECT,
    info: {
      title: 'Image Factory',
      version: info.version === '' ? 'unversioned' : info.version,
      description: 'Bootable images of Talos Linux from schematics, built on demand.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: info.serverUrl }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: { schemas: { Problem: PROBLEM, Error: ERROR }, responses: errorResponses(routes) },
  };
}

export function openapiPath(pattern: string): string {
  return pattern.replace(/[:*]([A-Za-z]+)/g, '{$1}');
}

function operation(route: RouteSpec): Json {
  const responses: Record<string, unknown> = {};
  for (const response of route.responses) responses[response.status] = responseObject(response);
  for (const status of route.errors) responses[status] = { $ref: `#/components/responses/Error${status}` };
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    parameters: [...parametersOf('path', route.params), ...parametersOf('query', route.query)],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            description: route.body.description,
            content: {
              [route.body.mediaType]: { schema: { type: 'string' }, example: route.body.example },
            },
          },
        }),
    responses,
  };
}

/** The documented fields of a parameter schema, in order. */
export function parametersOf(place: 'path' | 'query', schema: z.ZodObject | undefined): readonly Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema) as {
    readonly properties?: Readonly<Record<string, Json>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property;
    const needed = place === 'path' || required.includes(name);
    return {
      name,
      in: place,
      required: needed,
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
}

function responseObject(response: ResponseDoc): Json {
  const headers = Object.entries(response.headers ?? {}).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ]);
  const content = Object.entries(response.content ?? {}).map(([type, schema]) => [
    type,
    // OpenAPI 3.1: raw bytes are a media type without a schema.
    schema === 'binary' ? {} : { schema: schema === 'text' ? { type: 'string' } : jsonSchema(schema) },
  ]);
  return {
    description: response.description,
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }),
    ...(content.length === 0 ? {} : { content: Object.fromEntries(content) }),
  };
}

function jsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema);
  return rest;
}

function errorResponses(routes: readonly RouteSpec[]): Json {
  const statuses = [...new Set(routes.flatMap((route) => route.errors))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => [
      `Error${status}`,
      {
        description: ERROR_STATUSES[status] ?? 'Error.',
        content: {
          'text/plain': { schema: { type: 'string' } },
          'application/json': { schema: { $ref: '#/components/schemas/Error' } },
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
      },
    ]),
  );
}

const STRING = { type: 'string' } as const;

const ERROR: Json = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'requestId'],
      properties: { code: STRING, message: STRING, requestId: STRING },
    },
  },
};

/** RFC 9457 with our members. */
const PROBLEM: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'stage', 'requestId', 'retryable'],
  properties: {
    type: STRING,
    title: STRING,
    status: { type: 'integer' },
    detail: STRING,
    code: { type: 'string', description: 'Stable; for programs.' },
    stage: {
      type: 'string',
      enum: ['request', 'schematic', 'release', 'fetch', 'verify', 'build', 'internal'],
    },
    requestId: STRING,
    retryable: { type: 'boolean', description: 'The same request may succeed later.' },
  },
};
