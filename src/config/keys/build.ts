import { list, number, section, text } from '../fields.ts';

export const build = section('What is built, and how much of it at once.', {
  minTalosVersion: text(
    'seed',
    '1.2.0',
    'Oldest Talos version that is offered: a full semantic version without `v`.',
  ),
  brokenTalosVersions: list(
    'newer',
    [],
    'Talos versions that are not offered because they are known to be broken: full semantic versions without `v`.',
  ),
  maxConcurrency: number(
    'seed',
    'int',
    6,
    'Builds that run at the same time; at least 1. Further ones wait for their turn.',
  ),
  queueLimit: number(
    'ours',
    'int',
    256,
    'Builds that may wait for their turn. Beyond that requests are answered with 503 and `Retry-After`.',
  ),
  grubDirectory: text(
    'ours',
    '/usr/lib/grub',
    'Where the modules of GRUB are: directories `i386-pc`, `x86_64-efi` and `arm64-efi`, as Debian names them.',
  ),
});
