import { createHash } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { readAll } from '../blob/consume.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { isoUuid } from '../formats/iso9660-fields.ts';
import { runProgram } from '../process/run.ts';
import type { LocalStore } from '../store/store.ts';
import type { Arch } from '../talos/arch.ts';
import { moduleClosure } from './grub-modules.ts';

/** Directories of GRUB's modules, one for each platform that is there (Debian: below `/usr/lib/grub`). */
export interface GrubModules {
  readonly i386pc?: string;
  readonly x86_64Efi?: string;
  readonly arm64Efi?: string;
}

/** GRUB's images are made by `grub-mkimage` once and kept in the local store. */
export interface GrubSource {
  readonly modules: GrubModules;
  readonly store: Pick<LocalStore, 'obtain'>;
}

/** GRUB's BIOS boot code for an ISO. */
export interface GrubIsoBios {
  /** `boot_hybrid.img`, 512 bytes: starts the image from a USB stick. */
  readonly hybridMbr: Blob;
  /** cdboot and core image, format `i386-pc-eltorito`. */
  readonly elTorito: Blob;
}

/** GRUB's BIOS boot code for a disk, not yet told its place (`placeDiskBoot`). */
export interface GrubDiskBios {
  /** `boot.img`, 512 bytes. */
  readonly bootSector: Blob;
  readonly core: Blob;
}

interface Platform {
  readonly modules: keyof GrubModules;
  readonly package: string;
}

interface ImageSpec {
  readonly platform: Platform;
  /** Of `grub-mkimage --format`. */
  readonly format: string;
  readonly prefix: string;
  readonly modules: readonly string[];
  readonly config: string;
  /** A file of the module directory that is kept beside the image. */
  readonly beside?: string;
}

const PC: Platform = { modules: 'i386pc', package: 'grub-pc-bin' };
const EFI: Readonly<Record<Arch, Platform & { readonly format: string }>> = {
  amd64: { modules: 'x86_64Efi', package: 'grub-efi-amd64-bin', format: 'x86_64-efi' },
  arm64: { modules: 'arm64Efi', package: 'grub-efi-arm64-bin', format: 'arm64-efi' },
};

/** All that the menus use, inside of the image, so that no module has to be found on the medium. */
const MENU = [
  ...[
    'normal',
    'configfile',
    'linux',
    'gzio',
    'boot',
    'search',
    'search_fs_uuid',
    'search_fs_file',
    'search_label',
  ],
  ...['ls', 'cat', 'echo', 'test', 'help', 'sleep', 'reboot', 'halt', 'terminal', 'all_video'],
  ...['part_gpt', 'part_msdos', 'fat'],
];
const ISO_MODULES = [...MENU, 'iso9660'];
const DISK_MODULES = [...MENU, 'ext2', 'xfs'];

/** The device that GRUB was started from is looked at first; all of our ISOs have the same identifier. */
const ISO_CONFIG = `search --no-floppy --set=root --hint "$root" --fs-uuid ${isoUuid(SOURCE_DATE_EPOCH)}
set prefix=($root)/boot/grub
`;
/** By the fixed identifier of the BOOT file system, not by the order of disks (`spec/outputs-disk.md` §2.2, §4.3). */
const DISK_CONFIG = `search --no-floppy --set=root --hint "$root" --fs-uuid 24c73076-4092-85dd-9d98-686a2dbf6d81
set prefix=($root)/grub
`;
const DISK_PREFIX = '(hd0,gpt3)/grub';

/** Larger than any core image; BIOS ones must stay below 480 KiB anyway. */
const LARGEST_IMAGE = 16 << 20;
const IMAGE = 'grub.img';

/** BIOS boot code of ISOs. Throws `not-implemented` `GRUB_MISSING` with the Debian package to install. */
export async function grubIsoBios(source: GrubSource, signal?: AbortSignal): Promise<GrubIsoBios> {
  const { image, beside } = await grubImage(
    source,
    {
      platform: PC,
      format: 'i386-pc-eltorito',
      prefix: '/boot/grub',
      modules: [...ISO_MODULES, 'biosdisk'],
      config: ISO_CONFIG,
      beside: 'boot_hybrid.img',
    },
    signal,
  );
  return { elTorito: image, hybridMbr: beside };
}

/** GRUB as an EFI application for ISOs (about 1 MiB). Throws `not-implemented` `GRUB_MISSING`. */
export async function grubIsoEfi(source: GrubSource, arch: Arch, signal?: AbortSignal): Promise<Blob> {
  return grubEfi(source, arch, { prefix: '/boot/grub', modules: ISO_MODULES, config: ISO_CONFIG }, signal);
}

/** BIOS boot code of disks (`spec/outputs-disk.md` §4.3). Throws `not-implemented` `GRUB_MISSING`. */
export async function grubDiskBios(source: GrubSource, signal?: AbortSignal): Promise<GrubDiskBios> {
  const { image, beside } = await grubImage(
    source,
    {
      platform: PC,
      format: 'i386-pc',
      prefix: DISK_PREFIX,
      modules: [...DISK_MODULES, 'biosdisk'],
      config: DISK_CONFIG,
      beside: 'boot.img',
    },
    signal,
  );
  return { core: image, bootSector: beside };
}

/** GRUB as an EFI application for disks. Throws `not-implemented` `GRUB_MISSING`. */
export async function grubDiskEfi(source: GrubSource, arch: Arch, signal?: AbortSignal): Promise<Blob> {
  return grubEfi(source, arch, { prefix: DISK_PREFIX, modules: DISK_MODULES, config: DISK_CONFIG }, signal);
}

async function grubEfi(
  source: GrubSource,
  arch: Arch,
  spec: Pick<ImageSpec, 'prefix' | 'modules' | 'config'>,
  signal: AbortSignal | undefined,
): Promise<Blob> {
  const platform = EFI[arch];
  const { image } = await grubImage(source, { ...spec, platform, format: platform.format }, signal);
  return image;
}

async function grubImage(
  source: GrubSource,
  spec: ImageSpec,
  signal: AbortSignal | undefined,
): Promise<{ readonly image: Blob; readonly beside: Blob }> {
  const directory = source.modules[spec.platform.modules];
  if (directory === undefined) throw missing(spec.platform.package, `no GRUB modules for ${spec.format}`);
  const key = await imageKey(directory, spec, signal);
  using entry = await source.store.obtain(
    key,
    (to, making) => makeImage(directory, spec, to, making),
    signal,
  );
  // Small, so they are read at once: nobody has to hold the entry.
  const load = async (name: string): Promise<Blob> =>
    bytesBlob(await readAll(entry.blob(name), LARGEST_IMAGE, signal), {
      nature: 'packed',
      key: `${key}/${name}`,
    });
  const image = await load(IMAGE);
  return { image, beside: spec.beside === undefined ? image : await load(spec.beside) };
}

async function makeImage(directory: string, spec: ImageSpec, to: string, signal: AbortSignal): Promise<void> {
  const config = join(to, 'embedded.cfg');
  await writeFile(config, spec.config);
  await runMkimage(
    ['--directory', directory, '--format', spec.format, '--prefix', spec.prefix, '--config', config]
      .concat(['--output', join(to, IMAGE)])
      .concat(spec.modules),
    signal,
  );
  if (spec.beside !== undefined) await copyFile(join(directory, spec.beside), join(to, spec.beside));
}

/** Hash of all that decides the image: the program, its arguments, and the modules with what they depend on. */
async function imageKey(
  directory: string,
  spec: ImageSpec,
  signal: AbortSignal | undefined,
): Promise<string> {
  const version = Buffer.from(await runMkimage(['--version'], signal))
    .toString()
    .split('\n', 1)[0];
  const { format, prefix, modules, config, beside } = spec;
  const hash = createHash('sha256').update(
    JSON.stringify({ version, format, prefix, modules, config, beside }),
  );
  try {
    const dependencies = await readFile(join(directory, 'moddep.lst'), 'utf8');
    const images = format.startsWith('i386-pc')
      ? ['cdboot.img', 'diskboot.img', 'lzma_decompress.img', spec.beside ?? 'boot.img']
      : [];
    const files = [
      'kernel.img',
      ...images,
      ...moduleClosure(dependencies, modules).map((name) => `${name}.mod`),
    ];
    for (const name of files)
      hash.update(
        createHash('sha256')
          .update(await readFile(join(directory, name)))
          .digest(),
      );
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw missing(
        spec.platform.package,
        `the GRUB modules in ${directory} are not complete (${error.message})`,
      );
    throw error;
  }
  return `grub-${hash.digest('hex')}`;
}

async function runMkimage(args: readonly string[], signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    const run = await runProgram({
      program: 'grub-mkimage',
      args,
      timeout: 60_000,
      ...(signal === undefined ? {} : { signal }),
    });
    return run.stdout;
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'PROGRAM_MISSING')
      throw missing('grub-common', 'the program grub-mkimage is not installed');
    throw error;
  }
}

function missing(debianPackage: string, reason: string): FactoryError {
  return new FactoryError(
    'not-implemented',
    'GRUB_MISSING',
    `${reason}: install the Debian package ${debianPackage} on the machine that builds images`,
  );
}
