import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchDebian } from './debian.ts';

/** GRUB's modules of this machine's release, so that one `grub-mkimage` makes images of all platforms. */
const SUITE = 'bookworm';

/**
 * A directory for `build.grubDirectory` with the modules of all platforms: those of this machine, and those for
 * arm64, which Debian has for arm64 machines only.
 */
export async function grubDirectory(cache: string): Promise<string> {
  const { root } = await fetchDebian({
    cache: join(cache, 'debian'),
    suite: SUITE,
    arch: 'arm64',
    packages: ['grub-efi-arm64-bin'],
  });
  const directory = join(cache, 'grub');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  for (const platform of ['i386-pc', 'x86_64-efi']) {
    await symlink(join('/usr/lib/grub', platform), join(directory, platform));
  }
  await symlink(join(root, 'usr/lib/grub/arm64-efi'), join(directory, 'arm64-efi'));
  return directory;
}
