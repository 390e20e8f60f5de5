import { FactoryError } from '../../errors.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import type { Representation } from '../result.ts';
import { textRepresentation } from '../text-representation.ts';

const PEM = 'application/x-pem-file';

/** `spec/http-api.md` §6.11, §6.12. */
export const keyRoutes: readonly CoreRoute[] = [
  coreRoute(
    {
      method: 'GET',
      path: '/secureboot/signing-cert.pem',
      id: 'getSecureBootCertificate',
      class: 'public',
      tag: 'keys',
      summary: 'Secure Boot signing certificate',
      description: 'Enrol it in firmware to boot the `-secureboot` assets of this factory.',
      responses: [{ status: 200, description: 'A PEM certificate.', content: { [PEM]: 'text' } }],
      errors: [404],
    },
    async ({ request, context }) =>
      pem(await context.services.keys.secureBootCertificate(request.signal), 'secure boot is disabled'),
  ),
  coreRoute(
    {
      method: 'GET',
      path: '/oci/cosign/signing-key.pub',
      id: 'getCosignKey',
      class: 'public',
      tag: 'keys',
      summary: 'Public key of container signatures',
      description: 'For `cosign verify --key` of the installer images of this factory.',
      responses: [{ status: 200, description: 'A PEM public key.', content: { [PEM]: 'text' } }],
      errors: [404],
    },
    async ({ request, context }) =>
      pem(await context.services.keys.cosignPublicKey(request.signal), 'this factory has no signing key'),
  ),
];

function pem(text: string | undefined, absent: string): Representation {
  if (text === undefined) throw new FactoryError('not-found', 'SIGNING_KEY_NOT_FOUND', absent);
  return textRepresentation(text, { contentType: PEM, cacheControl: 'no-cache' });
}
