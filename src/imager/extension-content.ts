import type { Blob } from '../blob/blob.ts';
import { readAll } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import type { FileEntry, TreeEntry } from '../formats/tree.ts';
import { type ExtensionMetadata, MANIFEST_LIMIT, parseExtensionManifest } from './extension-manifest.ts';

/** Where a Talos version keeps modules and firmware: `usr/lib` from 1.10, `lib` before. */
export type LibraryPath = 'usr/lib' | 'lib';

/** What an extension's tree is made of, told apart by where it goes (`spec/initramfs.md` §3). */
export interface ExtensionContent {
  readonly metadata: ExtensionMetadata;
  /** For the squashfs: the root file system without microcode and firmware, relative to `rootfs/`. */
  readonly rootfs: readonly TreeEntry[];
  /** For the initramfs itself, with full paths and parents; drivers load it before layers are mounted. */
  readonly firmware: readonly TreeEntry[];
  /** CPU microcode by vendor, to be appended to one file for the kernel's early archive. */
  readonly microcode: Readonly<Record<MicrocodeVendor, readonly Blob[]>>;
  /** True when it brings kernel modules, so that `modules.dep` has to be made anew. */
  readonly hasModules: boolean;
}

export const MICROCODE_FILES = {
  intel: 'kernel/x86/microcode/GenuineIntel.bin',
  amd: 'kernel/x86/microcode/AuthenticAMD.bin',
} as const;
export type MicrocodeVendor = keyof typeof MICROCODE_FILES;

const ROOTFS = 'rootfs';

/**
 * Sorts the entries of an extension image (in tree order) by destination.
 * Throws `invalid` `EXTENSION_INVALID` or `EXTENSION_MANIFEST_INVALID` for a tree that is no extension.
 */
export async function extensionContent(
  entries: readonly TreeEntry[],
  library: LibraryPath,
): Promise<ExtensionContent> {
  let manifest: FileEntry | undefined;
  let hasRootfs = false;
  const inner: TreeEntry[] = [];
  for (const entry of entries) {
    if (entry.path === '') continue;
    if (entry.path === 'manifest.yaml' && entry.type === 'file') manifest = entry;
    else if (entry.path === ROOTFS && entry.type === 'directory') {
      hasRootfs = true;
      inner.push({ ...entry, path: '' });
    } else if (entry.path.startsWith(`${ROOTFS}/`)) {
      hasRootfs = true;
      inner.push({ ...entry, path: entry.path.slice(ROOTFS.length + 1) });
    } else {
      throw invalid(`unexpected file ${JSON.stringify(entry.path.split('/', 1)[0])}`);
    }
  }
  if (manifest === undefined) throw invalid('extension manifest is missing');
  if (manifest.content.size > MANIFEST_LIMIT)
    throw invalid(`extension manifest is larger than ${MANIFEST_LIMIT} bytes`);
  const metadata = parseExtensionManifest(Buffer.from(await readAll(manifest.content)).toString('utf8'));
  if (!hasRootfs) throw invalid('extension rootfs is missing');
  return { metadata, ...divide(inner.map(plain), library) };
}

function divide(entries: readonly TreeEntry[], library: LibraryPath): Omit<ExtensionContent, 'metadata'> {
  const firmwareRoot = `${library}/firmware`;
  const intel = new RegExp(`^${firmwareRoot}/intel-ucode/[^/]+$`);
  const amd = new RegExp(`^${firmwareRoot}/amd-ucode/microcode_amd[^/]*\\.bin$`);
  const rootfs: TreeEntry[] = [];
  const firmware: TreeEntry[] = [];
  const microcode: Record<MicrocodeVendor, Blob[]> = { intel: [], amd: [] };
  let hasModules = false;
  for (const entry of entries) {
    if (entry.path === `${library}/modules` && entry.type === 'directory') hasModules = true;
    if (entry.type === 'file' && intel.test(entry.path)) microcode.intel.push(entry.content);
    else if (entry.type === 'file' && amd.test(entry.path)) microcode.amd.push(entry.content);
    else if (entry.path === firmwareRoot || entry.path.startsWith(`${firmwareRoot}/`)) firmware.push(entry);
    else rootfs.push(entry);
  }
  // Directories that only held microcode are of no use in the initramfs.
  return { rootfs, firmware: withParents(withoutEmptyDirectories(firmware)), microcode, hasModules };
}

/** Directories are always accessible to their owner (mode | 0700); what is no file, directory or link is refused. */
function plain(entry: TreeEntry): TreeEntry {
  switch (entry.type) {
    case 'directory':
      return { ...entry, mode: entry.mode | 0o700 };
    case 'file':
    case 'symlink':
      return entry;
    default:
      throw invalid(`${JSON.stringify(entry.path)} is a ${entry.type}, which an extension cannot bring`);
  }
}

function withoutEmptyDirectories(entries: readonly TreeEntry[]): TreeEntry[] {
  const needed = new Set<string>();
  for (const entry of entries) {
    if (entry.type !== 'directory') for (const parent of parents(entry.path)) needed.add(parent);
  }
  return entries.filter((entry) => entry.type !== 'directory' || needed.has(entry.path));
}

/** The same entries with every missing parent directory before its first child. */
export function withParents(entries: readonly TreeEntry[]): TreeEntry[] {
  const known = new Set(entries.filter((entry) => entry.type === 'directory').map((entry) => entry.path));
  const result: TreeEntry[] = [];
  for (const entry of entries) {
    for (const parent of parents(entry.path)) {
      if (known.has(parent)) continue;
      known.add(parent);
      result.push({ type: 'directory', path: parent, mode: 0o755 });
    }
    result.push(entry);
  }
  return result;
}

/** `a`, `a/b` of `a/b/c`. */
function* parents(path: string): Iterable<string> {
  for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
    yield path.slice(0, slash);
  }
}

function invalid(message: string): FactoryError {
  return new FactoryError('invalid', 'EXTENSION_INVALID', message);
}
