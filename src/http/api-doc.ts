import { z } from 'zod';
import { coreRoutes } from './core-routes.ts';
import { ERROR_STATUSES, openapiPath, parametersOf } from './openapi.ts';
import type { ResponseDoc, RouteSpec } from './route.ts';

/** `docs/api.md`: the route table in words. */
export function apiDoc(): string {
  const routes = coreRoutes();
  const tags = [...new Set(routes.map((route) => route.tag))];
  const sections = tags.map((tag) => {
    const own = routes.filter((route) => route.tag === tag);
    return [`## ${tag}`, '', ...own.flatMap(routeSection)].join('\n');
  });
  return [INTRODUCTION, ...sections, errorSection()].join('\n');
}

const INTRODUCTION = `# HTTP interface

Generated from the route table in \`src/http\`; do not edit. A running factory publishes the same as OpenAPI 3.1
under \`/openapi.json\` and for language models under \`/llms.txt\`.

Every answer carries \`Server\`, \`X-Request-Id\` (the caller's when it has at most 128 harmless characters),
\`Vary: Origin\` and \`X-Content-Type-Options: nosniff\`. \`GET\` routes answer \`HEAD\` with the same headers. Lists,
schematics and assets have an \`ETag\` and answer \`If-None-Match\`; assets answer one \`Range\`, \`If-Range\`,
\`If-Match\` and \`Want-Repr-Digest\`. Trailing slashes, doubled slashes and the case of fixed path parts are mended
by a redirect (301 for GET, 307 for others).
`;

function routeSection(route: RouteSpec): readonly string[] {
  const parameters = [...parametersOf('path', route.params), ...parametersOf('query', route.query)];
  const methods = route.method === 'GET' ? 'GET, HEAD' : route.method;
  return [
    `### \`${methods} ${openapiPath(route.path)}\``,
    '',
    `${route.summary}.${route.description === undefined ? '' : ` ${route.description}`}`,
    '',
    ...table(
      ['parameter', 'in', 'meaning'],
      parameters.map((parameter) => [
        `\`${String(parameter.name)}\``,
        String(parameter.in),
        String(parameter.description ?? ''),
      ]),
    ),
    ...(route.body === undefined ? [] : bodySection(route.body)),
    ...table(
      ['status', 'type', 'meaning'],
      [
        ...route.responses.map(responseRow),
        ...(route.errors.length === 0 ? [] : [[route.errors.join(', '), '', 'see [errors](#errors)']]),
      ],
    ),
  ];
}

function bodySection(body: NonNullable<RouteSpec['body']>): readonly string[] {
  return [
    `Body (\`${body.mediaType}\`, at most ${body.maxBytes / 1024 / 1024} MiB): ${body.description}`,
    '',
    '```yaml',
    body.example.trimEnd(),
    '```',
    '',
  ];
}

function responseRow(response: ResponseDoc): readonly string[] {
  const types = Object.entries(response.content ?? {}).map(([type, schema]) =>
    schema instanceof z.ZodType ? `\`${type}\`: ${shapeOf(schema)}` : `\`${type}\``,
  );
  const headers = Object.entries(response.headers ?? {}).map(([name, text]) => `\`${name}\`: ${text}`);
  return [String(response.status), types.join('<br>'), [response.description, ...headers].join('<br>')];
}

/** `[{name, ref}]` */
function shapeOf(schema: z.ZodType): string {
  if (schema instanceof z.ZodArray) return `array of ${shapeOf(schema.element as z.ZodType)}`;
  if (schema instanceof z.ZodObject) {
    return `object with ${Object.keys(schema.shape)
      .map((name) => `\`${name}\``)
      .join(', ')}`;
  }
  return 'string';
}

function errorSection(): string {
  const rows = Object.entries(ERROR_STATUSES).map(([status, meaning]) => [status, meaning]);
  return [
    '## errors',
    '',
    'One line of plain text unless `Accept` prefers `application/json` (`{"error":{"code","message","requestId"}}`),',
    '`application/problem+json` (RFC 9457 with `code`, `stage`, `requestId`, `retryable`) or `text/html`. `code` is',
    'stable. `502` and `503` carry `Retry-After`. `500` says `internal server error`; the request id leads to the log.',
    '',
    ...table(['status', 'meaning'], rows),
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''];
}
