import { createHash } from 'node:crypto';
import { textBlob } from '../blob/bytes.ts';
import type { TreeEntry } from '../formats/tree.ts';
import { withParents } from './extension-content.ts';
import type { ExtensionMetadata } from './extension-manifest.ts';
import type { ConfigExtension, SchematicExtension } from './recipe.ts';

/** An extension that no image brings. */
export interface VirtualExtension {
  readonly metadata: ExtensionMetadata;
  readonly rootfs: readonly TreeEntry[];
}

export function virtualExtension(source: SchematicExtension | ConfigExtension): VirtualExtension {
  return source.type === 'schematic' ? schematicExtension(source) : configExtension(source);
}

/** An empty file named after the schematic; clients read the ID from the metadata (`spec/initramfs.md` §8). */
function schematicExtension(source: SchematicExtension): VirtualExtension {
  return {
    metadata: {
      name: 'schematic',
      version: source.id,
      author: source.author,
      description: 'Virtual extension which specifies the schematic of the image built with schematic.',
      constraint: '>= 1.0.0',
      extraInfo: source.extraInfo,
    },
    rootfs: withRoot([
      { type: 'file', path: `usr/local/share/schematic/${source.id}`, mode: 0o644, content: textBlob('') },
    ]),
  };
}

/** The machine configuration, readable by root alone and labelled as system state (`spec/initramfs.md` §9). */
function configExtension(source: ConfigExtension): VirtualExtension {
  const label = Buffer.from('system_u:object_r:system_state_t:s0');
  return {
    metadata: {
      name: 'embedded-config',
      version: createHash('sha256').update(source.config).digest('hex'),
      author: 'Imager',
      description: 'Virtual extension which embeds the machine configuration.',
      constraint: '>= 1.0.0',
      extraInfo: '',
    },
    rootfs: withRoot([
      {
        type: 'file',
        path: 'usr/local/etc/talos/config.yaml',
        mode: 0o400,
        content: textBlob(source.config),
        xattrs: new Map([['security.selinux', label]]),
      },
    ]),
  };
}

function withRoot(entries: readonly TreeEntry[]): readonly TreeEntry[] {
  return [{ type: 'directory', path: '', mode: 0o755 }, ...withParents(entries)];
}
