import { copyFile, link, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FilePart } from '../../blob/blob.ts';
import { writeBlob } from '../../blob/consume.ts';
import { fileBlob, openFileBlob } from '../../blob/file.ts';
import { FactoryError } from '../../errors.ts';
import { openSquashfs } from '../../formats/squashfs/reader.ts';
import type { TreeEntry } from '../../formats/tree.ts';
import { runProgram } from '../../process/run.ts';
import type { Codec } from '../codec.ts';
import { type LibraryPath, withParents } from '../extension-content.ts';
import { squashfsDecompressor } from '../squashfs-compression.ts';
import { writeSquashfsFile } from '../squashfs-file.ts';

export interface ModulesDepInput {
  /** Files of the release's own modules: names `<kernel release>/...`. */
  readonly kernelModules: readonly { readonly name: string; readonly path: string }[];
  /** Extensions that bring modules, in the order of their layers. */
  readonly extensions: readonly { readonly name: string; readonly squashfs: FilePart }[];
  readonly library: LibraryPath;
  readonly codec: Codec;
  readonly scratch: string;
  /** Empty directory for one file, whose name has the kernel release between `MODULES_DEP_PREFIX` and `_SUFFIX`. */
  readonly output: string;
}

export const MODULES_DEP_PREFIX = 'modules.dep-';
export const MODULES_DEP_SUFFIX = '.sqsh';

/** depmod's files, which tell modprobe where modules are. */
const INDEX = /^modules\./;

/**
 * Runs depmod over the release's modules and those of extensions and packs its files (`spec/initramfs.md` §5).
 * Throws `invalid` `MODULES_OTHER_KERNEL` when an extension was built for another kernel.
 */
export async function makeModulesDep(input: ModulesDepInput, signal: AbortSignal): Promise<void> {
  const release = input.kernelModules[0]?.name.split('/', 1)[0] ?? '';
  // depmod looks below `lib/modules` of its base directory, wherever the release keeps them.
  const modules = join(input.scratch, 'lib/modules');
  for (const { name, path } of input.kernelModules) {
    const target = join(modules, name);
    await mkdir(dirname(target), { recursive: true });
    // Index files are written again by depmod; modules are only read.
    if (INDEX.test(name.slice(release.length + 1))) await copyFile(path, target);
    else await link(path, target);
  }
  for (const extension of input.extensions) {
    await addModules(extension, release, modules, input.library, signal);
  }

  const config = join(input.scratch, 'depmod.conf');
  await writeFile(config, 'search extras built-in\n');
  await runProgram({
    program: 'depmod',
    args: ['--all', '--basedir', input.scratch, '--config', config, release],
    signal,
  });
  await pack(join(modules, release), `${input.library}/modules/${release}`, release, input, signal);
}

async function addModules(
  extension: ModulesDepInput['extensions'][number],
  release: string,
  modules: string,
  library: LibraryPath,
  signal: AbortSignal,
): Promise<void> {
  const blob = fileBlob(extension.squashfs.path, extension.squashfs);
  const squashfs = await openSquashfs(blob, squashfsDecompressor());
  const root = `${library}/modules/`;
  const others = new Set<string>();
  let found = false;
  for await (const entry of squashfs.entries()) {
    if (!entry.path.startsWith(root)) continue;
    const path = entry.path.slice(root.length);
    const kernel = path.split('/', 1)[0] ?? '';
    if (kernel !== release) {
      others.add(kernel);
      continue;
    }
    found = true;
    if (entry.type !== 'file') continue;
    const target = join(modules, path);
    await mkdir(dirname(target), { recursive: true });
    // Never into the file itself: it may be a link to the release's own.
    await rm(target, { force: true });
    await writeBlob(entry.content, target, signal);
  }
  if (found) return;
  const built = others.size === 0 ? 'none' : [...others].sort().join(', ');
  throw new FactoryError(
    'invalid',
    'MODULES_OTHER_KERNEL',
    `extension ${JSON.stringify(extension.name)} has no kernel modules for kernel ${release} (it has: ${built})`,
  );
}

async function pack(
  from: string,
  path: string,
  release: string,
  input: ModulesDepInput,
  signal: AbortSignal,
): Promise<void> {
  const files: TreeEntry[] = [];
  const names = await readdir(from, { withFileTypes: true });
  for (const { name } of names.filter((entry) => entry.isFile() && INDEX.test(entry.name))) {
    files.push({
      type: 'file',
      path: `${path}/${name}`,
      mode: 0o644,
      content: await openFileBlob(join(from, name)),
    });
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const entries: TreeEntry[] = [{ type: 'directory', path: '', mode: 0o755 }, ...withParents(files)];
  const target = join(input.output, `${MODULES_DEP_PREFIX}${release}${MODULES_DEP_SUFFIX}`);
  await writeSquashfsFile(entries, input.codec, target, signal);
}
