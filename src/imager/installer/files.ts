import type { ImageTree } from '../../artifacts/image-tree.ts';
import type { Blob } from '../../blob/blob.ts';
import { textBlob } from '../../blob/bytes.ts';
import { FactoryError } from '../../errors.ts';
import type { TreeEntry } from '../../formats/tree.ts';
import type { OptionMap } from '../../schematics/schematic.ts';
import type { Arch } from '../../talos/arch.ts';
import { overlayOptionsYaml } from '../overlay/options-yaml.ts';
import { follow } from '../overlay/tree-links.ts';

/** What an installer writes to the disk's boot partitions. */
export type InstallerBoot =
  /** From Talos 1.10. */
  | { readonly kind: 'uki'; readonly systemdBoot: Blob; readonly uki: Blob }
  | { readonly kind: 'kernel'; readonly kernel: Blob; readonly initramfs: Blob };

const MODE = 0o644;

/** The artifacts layer: no parent directories, in byte order (`spec/outputs-installer.md` §1.2, §1.3). */
export function bootEntries(arch: Arch, boot: InstallerBoot): readonly TreeEntry[] {
  const file = (name: string, content: Blob): TreeEntry => ({
    type: 'file',
    path: `usr/install/${arch}/${name}`,
    mode: MODE,
    content,
  });
  return boot.kind === 'uki'
    ? [file('systemd-boot.efi', boot.systemdBoot), file('vmlinuz.efi', boot.uki)]
    : [file('initramfs.xz', boot.initramfs), file('vmlinuz', boot.kernel)];
}

const ARTIFACTS = 'artifacts';
const MOST_ENTRIES = 50_000;
/** Directories in directories; also what ends a link to a directory above it. */
const DEEPEST = 64;

/**
 * The overlay layer: artifacts, options and the installer of `name`. Symbolic links become what they lead to, devices
 * and links that lead nowhere are left out (§1.3). Throws `upstream` `OVERLAY_INSTALLER_MISSING`,
 * `OVERLAY_TREE_INVALID`.
 */
export function overlayEntries(tree: ImageTree, name: string, options: OptionMap): readonly TreeEntry[] {
  const installer = follow(tree, `installers/${name}`);
  if (installer?.type !== 'file') {
    throw badOverlay('OVERLAY_INSTALLER_MISSING', `has no installer ${JSON.stringify(name)}`);
  }
  return [
    ...artifactEntries(tree),
    {
      type: 'file',
      path: 'overlay/extra-options',
      mode: MODE,
      content: textBlob(overlayOptionsYaml(options)),
    },
    {
      type: 'file',
      path: 'overlay/installers/default',
      // A program, whatever the image says.
      mode: (installer.mode & 0o777) | 0o111,
      content: installer.content,
    },
  ];
}

function artifactEntries(tree: ImageTree): readonly TreeEntry[] {
  const names = childrenOf(tree);
  const entries: TreeEntry[] = [];
  const add = (source: string, target: string, depth: number): void => {
    const entry = follow(tree, source);
    if (entry?.type !== 'file' && entry?.type !== 'directory') return;
    if (entries.length >= MOST_ENTRIES) throw badOverlay('OVERLAY_TREE_INVALID', 'has too many files');
    const mode = entry.mode & 0o777;
    if (entry.type === 'file') {
      entries.push({ type: 'file', path: target, mode, content: entry.content });
      return;
    }
    if (depth > DEEPEST) throw badOverlay('OVERLAY_TREE_INVALID', 'has directories nested too deeply');
    entries.push({ type: 'directory', path: target, mode });
    for (const name of names.get(entry.path) ?? []) {
      add(`${entry.path}/${name}`, `${target}/${name}`, depth + 1);
    }
  };
  add(ARTIFACTS, `overlay/${ARTIFACTS}`, 0);
  return entries;
}

/** Names in each directory, in tree order. */
function childrenOf(tree: ImageTree): ReadonlyMap<string, readonly string[]> {
  const children = new Map<string, string[]>();
  for (const { path } of tree.entries) {
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? '' : path.slice(0, slash);
    const names = children.get(parent);
    if (names === undefined) children.set(parent, [path.slice(slash + 1)]);
    else names.push(path.slice(slash + 1));
  }
  return children;
}

function badOverlay(code: string, what: string): FactoryError {
  return new FactoryError('upstream', code, `the image of the overlay ${what}`, { retryAfter: 60 });
}
