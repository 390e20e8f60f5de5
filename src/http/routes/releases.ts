import { z } from 'zod';
import { parseTalosVersion, versionTag } from '../../talos/version.ts';
import { JSON_TYPE } from '../content-type.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import { jsonLine } from '../json-line.ts';
import type { Representation } from '../result.ts';
import { LIST_CACHE_CONTROL, textRepresentation } from '../text-representation.ts';
import { versionParam } from './segments.ts';

/** `spec/http-api.md` §6.6. */
const versionsRoute = coreRoute(
  {
    method: 'GET',
    path: '/versions',
    id: 'listVersions',
    class: 'public',
    tag: 'releases',
    summary: 'Talos versions',
    description: 'Ascending. Pre-releases are listed for the newest minor version only.',
    query: z.object({
      broken: z
        .string()
        .optional()
        .describe('`true`: the versions that are withheld because they are known to be broken.'),
    }),
    responses: [
      {
        status: 200,
        description: 'Versions with `v`.',
        content: { [JSON_TYPE]: z.array(z.string()) },
      },
    ],
    errors: [502, 503],
  },
  async ({ request, query, context }) => {
    const { releases } = context.services;
    const versions =
      query.broken === 'true' ? releases.brokenVersions() : await releases.versions(request.signal);
    return jsonList(versions.map(versionTag));
  },
);

/** §6.7 */
const extensionsRoute = coreRoute(
  {
    method: 'GET',
    path: '/version/:version/extensions/official',
    id: 'listExtensions',
    class: 'public',
    tag: 'releases',
    summary: 'Official system extensions of a version',
    params: z.object({ version: versionParam }),
    responses: [
      {
        status: 200,
        description: 'In catalog order.',
        content: {
          [JSON_TYPE]: z.array(
            z.object({
              name: z.string(),
              ref: z.string(),
              digest: z.string(),
              author: z.string(),
              description: z.string(),
            }),
          ),
        },
      },
    ],
    errors: [400, 404, 502, 503],
  },
  async ({ request, params, context }) => {
    const version = parseTalosVersion(params.version);
    const list = await context.services.releases.extensions(version, request.signal);
    return jsonList(
      list.map(({ name, ref, digest, author, description }) => ({ name, ref, digest, author, description })),
    );
  },
);

/** §6.8 */
const overlaysRoute = coreRoute(
  {
    method: 'GET',
    path: '/version/:version/overlays/official',
    id: 'listOverlays',
    class: 'public',
    tag: 'releases',
    summary: 'Official overlays of a version',
    description: 'Overlays add support for single-board computers. Empty before Talos 1.7.',
    params: z.object({ version: versionParam }),
    responses: [
      {
        status: 200,
        description: 'In catalog order.',
        content: {
          [JSON_TYPE]: z.array(
            z.object({ name: z.string(), image: z.string(), ref: z.string(), digest: z.string() }),
          ),
        },
      },
    ],
    errors: [400, 404, 502, 503],
  },
  async ({ request, params, context }) => {
    const version = parseTalosVersion(params.version);
    const list = await context.services.releases.overlays(version, request.signal);
    return jsonList(list.map(({ name, image, ref, digest }) => ({ name, image, ref, digest })));
  },
);

export const releaseRoutes: readonly CoreRoute[] = [versionsRoute, extensionsRoute, overlaysRoute];

export function jsonList(list: readonly unknown[]): Representation {
  return textRepresentation(jsonLine(list), { contentType: JSON_TYPE, cacheControl: LIST_CACHE_CONTROL });
}
