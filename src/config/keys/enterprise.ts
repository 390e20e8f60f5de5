import { duration, number, section, text } from '../fields.ts';
import { repository } from './repository.ts';

export const enterprise = section('Extra extensions, bills of materials and vulnerability reports.', {
  extraExtensions: section('Extensions beside the official ones.', {
    manifest: repository('newer', 'Catalog of the extra extensions. Empty: none.', ['', '', '']),
  }),
  spdx: section('Software bills of materials.', {
    cache: repository('newer', 'The repository that keeps them.', [
      'ghcr.io',
      'siderolabs/image-factory',
      'spdx-cache',
    ]),
  }),
  vex: section('Statements about vulnerabilities.', {
    data: repository('newer', 'The repository they are read from (tag `latest`).', [
      'ghcr.io',
      'siderolabs/talos-vex',
      'talos-vex-data',
    ]),
    cache: section('Documents kept in memory.', {
      ttl: duration('newer', '15m0s', 'How long.'),
      capacity: number('newer', 'uint64', 65536, 'How many.'),
    }),
  }),
  scanner: section('Vulnerability reports.', {
    databaseURL: text(
      'newer',
      'https://grype.anchore.io/databases',
      'Listing of the vulnerability databases.',
    ),
    databaseUpdateAt: text(
      'newer',
      '07:00',
      'Local time of day, `HH:MM`, at which the database is updated. Empty: never.',
    ),
    databaseRootDir: text('newer', '/var/lib/grype', 'Directory of the database.'),
    cache: section('Reports kept in memory.', {
      ttl: duration('newer', '15m0s', 'How long.'),
      capacity: number('newer', 'uint64', 4096, 'How many.'),
    }),
  }),
});
