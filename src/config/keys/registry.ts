import { flag, number, section } from '../fields.ts';

export const registry = section('The clients of registries.', {
  jobs: number('newer', 'int', 64, 'Transfers of blobs at the same time for each registry; 0 is 64.'),
  debug: flag(
    'newer',
    'Log every 10 seconds how many answers of registries are being read, and which for more than 5 seconds.',
  ),
});
