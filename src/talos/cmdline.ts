import { FactoryError } from '../errors.ts';
import type { Arch } from './arch.ts';
import { gatesOf } from './gates.ts';
import { KernelArgs } from './kernel-args.ts';
import { encodeMeta, type MetaValue } from './meta.ts';
import { defaultArgs, platformArgs } from './platform-args.ts';
import type { PlatformName } from './platforms.ts';
import type { TalosVersion } from './version.ts';

export interface CommandLineRequest {
  readonly platform: PlatformName;
  readonly arch: Arch;
  readonly version: TalosVersion;
  /** What the command line is for; kernel and initramfs files have none. */
  readonly kind: 'cmdline' | 'iso' | 'image' | 'installer' | 'uki';
  readonly secureboot: boolean;
  /** From the overlay's installer; empty without one. */
  readonly overlayArgs: readonly string[];
  readonly meta: readonly MetaValue[];
  /** The overlay profile's, then the schematic's. */
  readonly extraKernelArgs: readonly string[];
}

/**
 * Bytes that a kernel takes: `COMMAND_LINE_SIZE` is 2048 on x86 and arm64, with the NUL at the end
 * (Linux, `arch/{x86/include/asm,arm64/include/uapi/asm}/setup.h`). What is beyond would be cut off silently.
 */
export const MAX_COMMAND_LINE = 2047;

const OVERWRITE: ReadonlySet<string> = new Set(['console', 'talos.platform']);

/**
 * The kernel command line, without a line end (`spec/initramfs.md` §11.2).
 * Throws `invalid` `KERNEL_ARGS_INVALID` for an argument with a control character and for a line the kernel
 * would cut; `META_INVALID` for META values that cannot be carried.
 */
export function kernelCommandLine(request: CommandLineRequest): string {
  const { kind, version, secureboot } = request;
  const gates = gatesOf(version);
  const args = new KernelArgs();
  args.append('talos.platform', request.platform);
  args.setAll(platformArgs(request.platform, request.arch, version));
  if (kind === 'iso' && gates.haltIfInstalled) args.append('talos.halt_if_installed', '1');
  args.setAll(checked(request.overlayArgs, 'overlay'));
  args.appendAll(defaultArgs(version));
  if (secureboot && gates.forcedLockdown) args.append('lockdown', 'confidentiality');
  if ((kind === 'iso' || kind === 'cmdline') && request.meta.length > 0) {
    args.append('talos.environment', `INSTALLER_META_BASE64=${encodeMeta(request.meta, version)}`);
  }
  const dropsExtra = (kind === 'installer' || kind === 'uki') && !secureboot && !gates.unifiedInstaller;
  if (!dropsExtra) {
    args.appendAll(checked(request.extraKernelArgs, 'customization.extraKernelArgs'), {
      overwrite: OVERWRITE,
      negation: true,
    });
  }
  const line = args.toString();
  const length = Buffer.byteLength(line);
  if (length > MAX_COMMAND_LINE) {
    throw invalid(
      `the kernel command line would be ${length} bytes long, but a kernel takes ${MAX_COMMAND_LINE} at most; ` +
        'shorten customization.extraKernelArgs or customization.meta',
    );
  }
  return line;
}

/** A line end would start a new line in boot menus and PXE scripts, a NUL would end the command line. */
function checked(args: readonly string[], field: string): readonly string[] {
  for (const [index, arg] of args.entries()) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (/[\0-\x08\n-\x1f\x7f]/.test(arg)) {
      throw invalid(
        `${field}: kernel argument ${index + 1} has a control character; write one argument an entry`,
      );
    }
  }
  return args;
}

function invalid(message: string): FactoryError {
  return new FactoryError('invalid', 'KERNEL_ARGS_INVALID', message);
}
