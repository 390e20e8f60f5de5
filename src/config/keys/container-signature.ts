import { flag, section, text } from '../fields.ts';

export const containerSignature = section('Verification of the signatures of the images that are read.', {
  subjectRegExp: text(
    'seed',
    '(@siderolabs\\.com$|^releasemgr-svc@talos-production\\.iam\\.gserviceaccount\\.com$)',
    'Regular expression that the subject of a keyless signing certificate must match. Empty: no keyless verification.',
  ),
  issuerRegExp: text(
    'seed',
    '',
    'Regular expression that the OIDC issuer of the certificate must match. When set, `issuer` is not used.',
  ),
  issuer: text('seed', 'https://accounts.google.com', 'OIDC issuer of the certificate, compared exactly.'),
  publicKeyFile: text(
    'seed',
    '',
    'PEM file of a public key. When set, signatures are verified with this key, without a transparency log and without network.',
  ),
  publicKeyHashAlgo: text(
    'seed',
    'sha256',
    'Digest algorithm of signatures by that key: `sha224`, `sha256`, `sha384` or `sha512`.',
  ),
  disabled: flag('seed', 'Accept images without verifying any signature. Not recommended.'),
});
