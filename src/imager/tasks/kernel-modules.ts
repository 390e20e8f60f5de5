import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FilePart, LeafBlob } from '../../blob/blob.ts';
import { writeBlob } from '../../blob/consume.ts';
import { fileBlob, openFileBlob } from '../../blob/file.ts';
import { FactoryError } from '../../errors.ts';
import { readCpio } from '../../formats/cpio-reader.ts';
import { openSquashfs } from '../../formats/squashfs/reader.ts';
import { decompress } from '../../process/decompress.ts';
import type { LibraryPath } from '../extension-content.ts';
import { squashfsDecompressor } from '../squashfs-compression.ts';

export interface KernelModulesInput {
  /** The initramfs of the release. */
  readonly initramfs: FilePart;
  readonly library: LibraryPath;
  readonly scratch: string;
  /** Empty directory for `<kernel release>/...`. */
  readonly output: string;
}

const ROOTFS = 'rootfs.sqsh';
/** The most bytes that an initramfs unpacks to. */
const INITRAMFS_LIMIT = 8 * 2 ** 30;
/** A kernel release as a directory name (`uname -r`). */
export const KERNEL_RELEASE = /^[0-9A-Za-z][0-9A-Za-z._+~-]{0,127}$/;

/**
 * Takes the kernel's modules out of the root file system in an initramfs (`spec/initramfs.md` §5, 1-3).
 * Throws `upstream` `KERNEL_MODULES_INVALID` when there is no such file system or not one kernel in it.
 */
export async function extractKernelModules(input: KernelModulesInput, signal: AbortSignal): Promise<void> {
  const rootfs = join(input.scratch, ROOTFS);
  await extractRootfs(fileBlob(input.initramfs.path, input.initramfs), rootfs, signal);
  const squashfs = await openSquashfs(await openFileBlob(rootfs), squashfsDecompressor());
  const root = `${input.library}/modules/`;
  const releases = new Set<string>();
  for await (const entry of squashfs.entries()) {
    if (!entry.path.startsWith(root)) continue;
    const path = entry.path.slice(root.length);
    const release = path.split('/', 1)[0] ?? '';
    if (!KERNEL_RELEASE.test(release)) throw invalid(`${JSON.stringify(release)} is no kernel release`);
    if (entry.type === 'directory') {
      releases.add(release);
      await mkdir(join(input.output, path), { recursive: true });
    } else if (entry.type === 'file') {
      await mkdir(dirname(join(input.output, path)), { recursive: true });
      await writeBlob(entry.content, join(input.output, path), signal);
    }
  }
  if (releases.size !== 1) {
    throw invalid(`${root} has modules of ${releases.size} kernels, and has to have those of one`);
  }
}

async function extractRootfs(initramfs: LeafBlob, path: string, signal: AbortSignal): Promise<void> {
  const archive = decompress(initramfs.read(0, initramfs.size), { limit: INITRAMFS_LIMIT, signal });
  for await (const member of readCpio(archive)) {
    if (member.name !== ROOTFS) continue;
    await using file = await open(path, 'wx');
    for await (const chunk of member.content) await file.write(chunk);
    return;
  }
  throw invalid(`the initramfs has no ${ROOTFS}`);
}

function invalid(message: string): FactoryError {
  return new FactoryError('upstream', 'KERNEL_MODULES_INVALID', `invalid kernel modules: ${message}`);
}
