import { z } from 'zod';
import { FactoryError, isAbort } from '../../errors.ts';
import { contentTypeOf, TEXT } from '../content-type.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import { attachment, safeFilename } from '../disposition.ts';
import { errorChain } from '../error-response.ts';
import type { ExternalUrls } from '../external-urls.ts';
import { html } from '../html.ts';
import type { RequestFacts } from '../request.ts';
import type { Message, Representation, Result } from '../result.ts';
import type { DigestAlgorithm, OpenAsset } from '../services.ts';
import { textRepresentation } from '../text-representation.ts';
import { DEFAULT_SCHEMATIC, schematicParam, versionParam } from './segments.ts';

const CHECKSUMS = [
  { suffix: '.sha256', algorithm: 'sha256', hexLength: 64 },
  { suffix: '.sha512', algorithm: 'sha512', hexLength: 128 },
] as const satisfies readonly { suffix: string; algorithm: DigestAlgorithm; hexLength: number }[];

type Checksum = (typeof CHECKSUMS)[number];

/** `spec/http-api.md` §6.4. */
export const imageRoutes: readonly CoreRoute[] = [
  coreRoute(
    {
      method: 'GET',
      path: '/image/:schematic/:version/:path',
      id: 'getImage',
      class: 'auth+token',
      tag: 'images',
      summary: 'Download a boot asset',
      description:
        'Builds the asset if no one has asked for it before; the request stays open while it is built, and a ' +
        'client that leaves does not stop the build. Paths: `kernel-<arch>`, `initramfs-<arch>.xz`, ' +
        '`cmdline-<platform>-<arch>[-secureboot]`, `<platform>-<arch>[-secureboot].iso`, ' +
        '`<platform>-<arch>[-secureboot]-uki.efi`, `<platform>-<arch>[-secureboot].<raw|qcow2|vhd|ova>' +
        '[.tar.gz|.gz|.xz|.zst]`, `installer-<arch>[-secureboot].tar`. Appending `.sha256` or `.sha512` to a path ' +
        'answers a checksum line for `sha256sum -c` or `sha512sum -c`.',
      params: z.object({
        schematic: schematicParam,
        version: versionParam,
        path: z.string().describe('Asset path, for example `metal-amd64.iso`.'),
      }),
      query: z.object({
        filename: z.string().optional().describe('Name for `Content-Disposition` and the checksum line.'),
      }),
      responses: [
        {
          status: 200,
          description: 'The asset.',
          content: { 'application/octet-stream': 'binary' },
          headers: {
            ETag: 'Names these bytes for ever.',
            'Repr-Digest':
              'SHA-256 of the whole asset (RFC 9530), when known or wanted by `Want-Repr-Digest`.',
            'Content-Disposition': '`attachment` with the file name.',
          },
        },
        {
          status: 206,
          description: 'The one range that was asked for.',
          content: { 'application/octet-stream': 'binary' },
        },
        { status: 302, description: 'The asset lies in a store that may be read directly.' },
        { status: 304, description: 'The tag of `If-None-Match` is current.' },
      ],
      errors: [400, 402, 404, 412, 416, 501, 502, 503],
    },
    async ({ request, params, query, context }) => {
      if (params.path.endsWith('.sigstore.json')) {
        throw new FactoryError(
          'not-enabled',
          'SIGNATURE_NOT_ENABLED',
          'enterprise signing is not enabled: signature endpoint is not available',
        );
      }
      const checksum = CHECKSUMS.find(({ suffix }) => params.path.endsWith(suffix));
      const path = checksum === undefined ? params.path : params.path.slice(0, -checksum.suffix.length);
      const override = query.filename === undefined || query.filename === '' ? undefined : query.filename;
      if (override !== undefined) request.log.info('using filename override', { filename: override });
      const filename = safeFilename(override ?? path);
      const asset = await context.services.assets.open({
        schematicId: params.schematic,
        version: params.version,
        path,
        signal: request.signal,
      });
      let keep = false;
      try {
        const result: Result =
          checksum === undefined
            ? ((await redirect(asset, filename, request, context.urls)) ?? download(asset, path, filename))
            : await checksumFile(asset, checksum, filename);
        keep = result.kind === 'representation' && result.release !== undefined;
        return result;
      } finally {
        if (!keep) asset[Symbol.dispose]();
      }
    },
  ),
];

export const EXAMPLE_IMAGE = `/image/${DEFAULT_SCHEMATIC}/v1.11.0/metal-amd64.iso`;

function download(asset: OpenAsset, path: string, filename: string): Representation {
  return {
    kind: 'representation',
    blob: asset.blob,
    contentType: contentTypeOf(path),
    cacheControl: cacheControl(asset),
    etag: asset.etag,
    immutable: asset.immutable,
    headers: { 'Content-Disposition': attachment(filename) },
    digest: { known: asset.known, compute: (algorithm) => asset.digest(algorithm) },
    release: () => asset[Symbol.dispose](),
  };
}

/** Other bytes may come under this URL when a signing key changes (§10). */
function cacheControl(asset: OpenAsset): string {
  return asset.immutable ? 'public, max-age=31536000, immutable' : 'no-cache';
}

async function checksumFile(asset: OpenAsset, checksum: Checksum, filename: string): Promise<Representation> {
  const hex = await asset.digest(checksum.algorithm);
  if (hex.length !== checksum.hexLength || !/^[0-9a-f]+$/.test(hex)) {
    throw new FactoryError(
      'internal',
      'HTTP_DIGEST',
      `asset service answered no ${checksum.algorithm} digest`,
    );
  }
  return textRepresentation(`${hex}  ${filename}\n`, {
    contentType: TEXT,
    cacheControl: cacheControl(asset),
    immutable: asset.immutable,
    headers: { 'Content-Disposition': attachment(`${filename}${checksum.suffix}`) },
  });
}

/** A redirect to the store of the asset, for clients that can follow one. */
async function redirect(
  asset: OpenAsset,
  filename: string,
  request: RequestFacts,
  urls: ExternalUrls,
): Promise<Message | undefined> {
  if (asset.location === undefined || request.method !== 'GET' || isFirmware(request, urls)) return undefined;
  try {
    const location = new URL(await asset.location(filename, request.signal)).href;
    return {
      kind: 'message',
      status: 302,
      headers: {
        Location: location,
        'Cache-Control': 'no-store',
        'Content-Type': 'text/html; charset=utf-8',
      },
      body: html`<a href="${location}">Found</a>.\n\n`,
    };
  } catch (error) {
    if (isAbort(error)) throw error;
    request.log.warn('no redirect, serving directly', { error: errorChain(error) });
    return undefined;
  }
}

/** iPXE cannot verify every store's certificate. Without a host of its own it is known by its name (§6.4 BETTER). */
function isFirmware(request: RequestFacts, urls: ExternalUrls): boolean {
  return urls.separatePxe
    ? request.host === urls.pxe.host
    : /^iPXE\//i.test(request.header('user-agent') ?? '');
}
