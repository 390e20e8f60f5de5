import { z } from 'zod';
import { FactoryError } from '../../errors.ts';
import { negotiate } from '../accept.ts';
import { JSON_TYPE } from '../content-type.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import { jsonLine } from '../json-line.ts';
import { textRepresentation } from '../text-representation.ts';
import { schematicParam } from './segments.ts';

/** Schematics can carry machine configuration (`spec/schematic.md`); far more is an attack. */
const MAX_BODY = 4 * 1024 * 1024;
/** The name of a schematic is the hash of its text, so it cannot change. */
const CACHE_CONTROL = 'public, max-age=31536000, immutable';

const schematicBody = z.object({
  id: z.string().describe('Schematic id: SHA-256 of the canonical YAML.'),
  schematic: z.string().describe('Canonical YAML.'),
});

/** `spec/http-api.md` §6.2, §6.3. */
export const schematicRoutes: readonly CoreRoute[] = [
  coreRoute(
    {
      method: 'POST',
      path: '/schematics',
      id: 'createSchematic',
      class: 'auth',
      tag: 'schematics',
      summary: 'Store a schematic',
      description:
        'Stores the schematic of the body unless it is there already, and answers its id. The content type of the ' +
        'request is ignored; unknown fields are an error. Names of extensions and overlays are checked when an ' +
        'image is built, not here.',
      body: {
        mediaType: 'application/yaml',
        description: 'A schematic in YAML or JSON; only the first document is read.',
        example: 'customization:\n  extraKernelArgs:\n    - noapic\n    - nolapic\n',
        maxBytes: MAX_BODY,
      },
      responses: [
        {
          status: 201,
          description: 'Stored now or before.',
          content: { [JSON_TYPE]: schematicBody },
          headers: { Location: 'Where the schematic can be read.' },
        },
      ],
      errors: [400, 413, 502, 503],
    },
    async ({ request, context }) => {
      const body = await request.body(MAX_BODY);
      const { id, canonical } = await context.services.schematics.create(body, request.signal);
      return {
        kind: 'message',
        status: 201,
        headers: {
          'Content-Type': JSON_TYPE,
          'Cache-Control': 'no-store',
          Location: `/schematics/${encodeURIComponent(id)}`,
        },
        body: jsonLine({ id, schematic: canonical }),
      };
    },
  ),
  coreRoute(
    {
      method: 'GET',
      path: '/schematics/:schematic',
      id: 'getSchematic',
      class: 'auth',
      tag: 'schematics',
      summary: 'Read a schematic',
      description: 'The canonical YAML whose SHA-256 is the id; JSON when `Accept` prefers it.',
      params: z.object({ schematic: schematicParam }),
      responses: [
        {
          status: 200,
          description: 'The schematic.',
          content: { 'application/yaml': 'text', [JSON_TYPE]: schematicBody },
          headers: { ETag: 'The id.' },
        },
      ],
      errors: [404, 502, 503],
    },
    async ({ request, params, context }) => {
      const { id, canonical } = await context.services.schematics
        .get(params.schematic, request.signal)
        .catch(shortNotFound);
      const headers = { Vary: 'Accept' };
      const shared = { cacheControl: CACHE_CONTROL, immutable: true, headers };
      if (negotiate(request.header('accept'), ['application/yaml', JSON_TYPE]) === JSON_TYPE) {
        const text = jsonLine({ id, schematic: canonical });
        return textRepresentation(text, { ...shared, contentType: JSON_TYPE, etag: `${id}.json` });
      }
      return textRepresentation(canonical, { ...shared, contentType: 'application/yaml', etag: id });
    },
  ),
];

/** This route has its own text for an unknown schematic (§5.1). */
function shortNotFound(error: unknown): never {
  if (error instanceof FactoryError && error.kind === 'not-found') {
    throw new FactoryError('not-found', error.code, 'schematic not found', { cause: error });
  }
  throw error;
}
