import { duration, flag, number, section, text } from '../fields.ts';
import { repository } from './repository.ts';

export const cache = section('Where finished assets are kept.', {
  oci: repository('seed', 'The repository that keeps finished assets.', [
    'ghcr.io',
    'siderolabs/image-factory',
    'cache',
  ]),
  signingKeyPath: text(
    'seed',
    '',
    'PEM file of an ECDSA P-256 private key (SEC1 or PKCS#8, not encrypted) that signs what is written to the cache. Required unless `cache.gsa` is used or the data directory holds one.',
  ),
  gsa: section('Keyless signing of the cache with a Google service account.', {
    serviceAccountEmail: text(
      'newer',
      '',
      'E-mail address of the service account. When set, `cache.signingKeyPath` is not used.',
    ),
    keyFile: text(
      'newer',
      '',
      'JSON key file of the service account. Empty: application default credentials.',
    ),
    fulcioURL: text(
      'newer',
      '',
      'Certificate authority. With all three URLs empty the public instances are used.',
    ),
    rekorURL: text('newer', '', 'Transparency log, version 2; needs `tsaURL`.'),
    tsaURL: text('newer', '', 'Timestamp authority.'),
  }),
  cdn: section('Redirection of downloads to a CDN in front of the cache.', {
    enabled: flag('seed', 'Redirect downloads of cached assets to the CDN.'),
    host: text('seed', '', 'Host of the CDN. Required when enabled.'),
    trimPrefix: text('seed', '', 'Prefix that is removed from the path of an asset. Required when enabled.'),
  }),
  s3: section('Keeping assets in S3 or a compatible object store.', {
    enabled: flag('seed', 'Keep assets in the bucket.'),
    bucket: text('seed', 'image-factory', 'Name of the bucket, which must exist.'),
    endpoint: text('seed', '', '`host[:port]` of the object store, without a scheme.'),
    region: text('seed', '', 'Region of the bucket. Empty: asked from the object store.'),
    insecure: flag('seed', 'Use plain HTTP.'),
    presignedURLTTL: duration('newer', '1h0m0s', 'Lifetime of the links that downloads are redirected to.'),
  }),
  schematic: section('The schematics kept in memory.', {
    capacity: number('newer', 'uint64', 100000, 'Number of schematics.'),
    negativeTTL: duration('newer', '30s', 'How long it is remembered that a schematic does not exist.'),
  }),
});
