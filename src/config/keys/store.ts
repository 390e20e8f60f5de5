import { section, size, text } from '../fields.ts';

export const store = section('The local store of what was read from registries and of pieces made of it.', {
  dir: text(
    'ours',
    '',
    'Its directory. Empty: below the data directory, or a temporary directory that is gone after the end.',
  ),
  maxSize: size(
    'ours',
    20 * 2 ** 30,
    'Size up to which the store grows before it forgets what was used least recently, in bytes or with a unit (`20GiB`, `500MB`).',
  ),
});
