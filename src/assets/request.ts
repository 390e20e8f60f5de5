import { FactoryError } from '../errors.ts';
import { type Arch, parseArch } from '../talos/arch.ts';
import { type PlatformName, parsePlatform } from '../talos/platforms.ts';

/** What `/image/<schematic>/<version>/<path>` asks for, from the path alone (`spec/profile.md` §1). */
export type AssetRequest =
  | { readonly kind: 'kernel'; readonly arch: Arch }
  | { readonly kind: 'initramfs'; readonly arch: Arch }
  | ({ readonly kind: 'cmdline' | 'iso' | 'uki' | 'installer' } & Target)
  | ({ readonly kind: 'image'; readonly format: DiskFormat; readonly compression: Compression } & Target);

export interface Target {
  readonly platform: PlatformName;
  readonly arch: Arch;
  readonly secureboot: boolean;
}

export type OutputKind = AssetRequest['kind'];

export const DISK_FORMATS = ['raw', 'qcow2', 'vhd', 'ova'] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

export const COMPRESSIONS = ['none', 'tar.gz', 'gz', 'xz', 'zst'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/**
 * Parses a path. Rules are tried in the order of `spec/profile.md` §1.
 * Throws `invalid` `PATH_INVALID`, `ARCH_INVALID`, `PLATFORM_INVALID`.
 */
export function parseAssetPath(path: string): AssetRequest {
  const kernel = after(path, 'kernel-');
  if (kernel !== undefined) return { kind: 'kernel', arch: parseArch(kernel) };
  const cmdline = after(path, 'cmdline-');
  if (cmdline !== undefined) return { kind: 'cmdline', ...parseTarget(cmdline) };
  const initramfs = after(before(path, '.xz'), 'initramfs-');
  if (initramfs !== undefined) return { kind: 'initramfs', arch: parseArch(initramfs) };
  const iso = before(path, '.iso');
  if (iso !== undefined) return { kind: 'iso', ...parseTarget(iso) };
  const uki = before(path, '-uki.efi');
  if (uki !== undefined) return { kind: 'uki', ...parseTarget(uki) };
  const installer = before(path, '.tar');
  if (installer !== undefined) {
    const metal = after(installer, 'installer-');
    if (metal !== undefined) return { kind: 'installer', ...parseTarget(`metal-${metal}`) };
    const infix = installer.indexOf('-installer-');
    if (infix >= 0) {
      const right = installer.slice(infix + '-installer-'.length);
      return { kind: 'installer', ...parseTarget(`${installer.slice(0, infix)}-${right}`) };
    }
  }
  return parseDiskImage(path);
}

/** `<platform>-<arch>[-secureboot]`, cut at the first `-` but for `digital-ocean`. */
export function parseTarget(text: string): Target {
  const plain = before(text, '-secureboot');
  const secureboot = plain !== undefined;
  const rest = plain ?? text;
  const dash = rest.startsWith('digital-ocean-') ? 'digital-ocean'.length : rest.indexOf('-');
  if (dash < 0) throw invalid(`invalid platform-arch: ${JSON.stringify(rest)}`);
  const arch = parseArch(rest.slice(dash + 1));
  return { platform: parsePlatform(rest.slice(0, dash)), arch, secureboot };
}

function parseDiskImage(path: string): AssetRequest {
  let rest = path;
  let compression: Compression = 'none';
  for (const candidate of COMPRESSIONS) {
    const cut = candidate === 'none' ? undefined : before(path, `.${candidate}`);
    if (cut !== undefined) {
      rest = cut;
      compression = candidate;
      break;
    }
  }
  for (const format of DISK_FORMATS) {
    const target = before(rest, `.${format}`);
    if (target !== undefined) return { kind: 'image', format, compression, ...parseTarget(target) };
  }
  throw invalid(`invalid profile path: ${JSON.stringify(rest)}`);
}

function before(text: string, suffix: string): string | undefined {
  return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : undefined;
}

function after(text: string | undefined, prefix: string): string | undefined {
  return text?.startsWith(prefix) ? text.slice(prefix.length) : undefined;
}

function invalid(message: string): FactoryError {
  return new FactoryError('invalid', 'PATH_INVALID', message);
}
