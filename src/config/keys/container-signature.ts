import { flag, section, text } from '../fields.ts';

export const containerSignature = section('Verification of the signatures of the images that are read.', {
  subjectRegExp: text(
    'seed',
    '(@siderolabs\\.com$|^releasemgr-svc@talos-production\\.iam\\.gserviceaccount\\.com$)',
    'Regular expression (Go syntax, may match anywhere) that the subject of a keyless signing certificate must match. Empty: no keyless verification.',
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
  trustedRootFile: text(
    'ours',
    '',
    'Sigstore `trusted_root.json` for keyless verification. Empty: that of the TUF repository, fetched when the first keyless signature is met, then once a day, and kept in `$TUF_ROOT` (default: `tuf` in the data directory, or else `~/.sigstore/root`); `$TUF_MIRROR` and `$TUF_ROOT_JSON` (its first root) name another repository than the public one. Set `$NODE_USE_ENV_PROXY` to `1` to fetch it through the proxy.',
  ),
  disabled: flag('seed', 'Accept images without verifying any signature. Not recommended.'),
});
