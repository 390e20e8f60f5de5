import { z } from 'zod';
import { FactoryError } from '../../errors.ts';
import { formatVersion, parseTolerantVersion, type TalosVersion } from '../../talos/version.ts';
import { BINARY, JSON_TYPE } from '../content-type.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import { attachment } from '../disposition.ts';
import { joinUrl } from '../external-urls.ts';
import { LIST_CACHE_CONTROL } from '../text-representation.ts';
import { jsonList } from './releases.ts';
import { versionParam } from './segments.ts';

/** `spec/http-api.md` §6.9, §6.10. */
export const talosctlRoutes: readonly CoreRoute[] = [
  coreRoute(
    {
      method: 'GET',
      path: '/talosctl/:version',
      id: 'listTalosctl',
      class: 'public',
      tag: 'talosctl',
      summary: 'Builds of the command line client',
      description: 'Empty before Talos 1.11.',
      params: z.object({ version: versionParam }),
      responses: [
        { status: 200, description: 'Absolute URLs, sorted.', content: { [JSON_TYPE]: z.array(z.string()) } },
      ],
      errors: [400, 404, 502, 503],
    },
    async ({ request, params, context }) => {
      const version = parseClientVersion(params.version);
      const names = await context.services.releases.talosctl(version, request.signal);
      const tag = `v${params.version.trim().replace(/^v/, '')}`;
      const sorted = [...names].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
      return jsonList(sorted.map((name) => joinUrl(context.urls.external, 'talosctl', tag, name)));
    },
  ),
  coreRoute(
    {
      method: 'GET',
      path: '/talosctl/:version/:path',
      id: 'getTalosctl',
      class: 'public',
      tag: 'talosctl',
      summary: 'Download the command line client',
      params: z.object({
        version: versionParam,
        path: z.string().describe('`talosctl-<os>-<arch>[.exe]`, one of the list.'),
      }),
      responses: [
        { status: 200, description: 'The program.', content: { [BINARY]: 'binary' } },
        { status: 206, description: 'The one range that was asked for.', content: { [BINARY]: 'binary' } },
      ],
      errors: [400, 404, 412, 416, 502, 503],
    },
    async ({ request, params, context }) => {
      const { releases } = context.services;
      const version = parseClientVersion(params.version);
      const names = await releases.talosctl(version, request.signal);
      if (names.length === 0) {
        const message = `version ${formatVersion(version)} is not available`;
        throw new FactoryError('not-found', 'VERSION_NOT_AVAILABLE', message);
      }
      if (!names.includes(params.path)) {
        const message = `talosctl has no file ${JSON.stringify(params.path)} in version ${formatVersion(version)}`;
        throw new FactoryError('not-found', 'RELEASE_FILE_NOT_FOUND', message);
      }
      const file = await releases.talosctlFile(version, params.path, request.signal);
      return {
        kind: 'representation',
        blob: file.blob,
        contentType: BINARY,
        cacheControl: LIST_CACHE_CONTROL,
        etag: file.etag,
        headers: { 'Content-Disposition': attachment(params.path) },
        release: () => file[Symbol.dispose](),
      };
    },
  ),
];

/** §5.2: these two routes read `1.11` as 1.11.0; what no version is, or has build metadata, is the caller's fault. */
function parseClientVersion(text: string): TalosVersion {
  const version = text.length <= 128 ? parseTolerantVersion(text) : undefined;
  if (version === undefined || version.build.length > 0) {
    throw new FactoryError('invalid', 'VERSION_INVALID', `invalid Talos version: ${JSON.stringify(text)}`);
  }
  return version;
}
