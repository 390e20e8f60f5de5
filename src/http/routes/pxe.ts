import { z } from 'zod';
import { FactoryError } from '../../errors.ts';
import { TEXT } from '../content-type.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import { joinUrl } from '../external-urls.ts';
import type { BootCommandLine } from '../services.ts';
import { textRepresentation } from '../text-representation.ts';
import { schematicParam, versionParam } from './segments.ts';

/** `spec/http-api.md` §6.5. */
export const pxeRoutes: readonly CoreRoute[] = [
  coreRoute(
    {
      method: 'GET',
      path: '/pxe/:schematic/:version/:path',
      id: 'getPxeScript',
      class: 'auth',
      tag: 'pxe',
      summary: 'iPXE script that boots Talos',
      description:
        'Chain it from iPXE with its `buildarch` setting as the architecture; `x86_64` and `i386` mean `amd64`.',
      params: z.object({
        schematic: schematicParam,
        version: versionParam,
        path: z.string().describe('`<platform>-<arch>[-secureboot]`, for example `metal-amd64`.'),
      }),
      responses: [{ status: 200, description: 'An iPXE script.', content: { 'text/plain': 'text' } }],
      errors: [400, 404, 501, 502, 503],
    },
    async ({ request, params, context }) => {
      const boot = await context.services.assets.commandLine({
        schematicId: params.schematic,
        version: params.version,
        path: params.path,
        signal: request.signal,
      });
      const url = (file: string): string =>
        joinUrl(context.urls.pxe, 'image', params.schematic, boot.version, file);
      return textRepresentation(pxeScript(boot, url), { contentType: TEXT, cacheControl: 'no-cache' });
    },
  ),
];

/** `url` gives the address of an asset of the same schematic and version. */
export function pxeScript(boot: BootCommandLine, url: (file: string) => string): string {
  // A line end would start another iPXE command.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\u0000-\u001f\u007f]/.test(boot.cmdline)) {
    throw new FactoryError(
      'invalid',
      'PXE_COMMAND_LINE_INVALID',
      'the kernel command line has control characters, which an iPXE script cannot carry',
    );
  }
  const files = boot.secureboot
    ? [`kernel ${url(`${boot.platform}-${boot.arch}-secureboot-uki.efi`)} ${boot.cmdline}`]
    : [`kernel ${url(`kernel-${boot.arch}`)} ${boot.cmdline}`, `initrd ${url(`initramfs-${boot.arch}.xz`)}`];
  return ['#!ipxe', '', 'imgfree', ...files, 'boot', ''].join('\n');
}
