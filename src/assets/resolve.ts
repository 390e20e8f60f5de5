import type { ExtensionRecord, OverlayRecord } from '../artifacts/catalogs.ts';
import { FactoryError, withContext } from '../errors.ts';
import type { OverlayFacts } from '../imager/overlay/overlays.ts';
import type { ExtensionSource, ImageRecipe, OverlaySource, Recipe } from '../imager/recipe.ts';
import type { Digest } from '../oci/names.ts';
import type { Schematic } from '../schematics/schematic.ts';
import type { Arch } from '../talos/arch.ts';
import { type Bootloader, selectBootloader } from '../talos/bootloader.ts';
import { type CommandLineRequest, kernelCommandLine } from '../talos/cmdline.ts';
import { diskSize } from '../talos/disk-size.ts';
import { type Gates, gatesOf } from '../talos/gates.ts';
import { type TalosVersion, versionTag } from '../talos/version.ts';
import type { AssetRequest, Target } from './request.ts';

/** What is known of releases, as far as a recipe needs it. */
export interface Catalogs {
  requireVersion(version: TalosVersion, signal?: AbortSignal): Promise<void>;
  /** Digest of the manifest of the image that boot files come from. */
  bootDigest(version: TalosVersion, signal?: AbortSignal): Promise<Digest>;
  /** By name or its alias; throws `invalid` with close names when there is none. */
  selectExtension(version: TalosVersion, name: string, signal?: AbortSignal): Promise<ExtensionRecord>;
  /** The image that installers are built on. */
  installerBase(
    version: TalosVersion,
    arch: Arch,
    signal?: AbortSignal,
  ): Promise<{ readonly digest: Digest }>;
  selectOverlay(version: TalosVersion, name: string, signal?: AbortSignal): Promise<OverlayRecord>;
}

/** Asks overlays what they want. */
export interface OverlayDescriber {
  describe(overlay: OverlaySource, arch: Arch, signal?: AbortSignal): Promise<OverlayFacts>;
}

/** An overlay and what it wants. */
type DescribedOverlay = OverlayFacts & { readonly source: OverlaySource };

export interface ResolveRequest {
  readonly request: AssetRequest;
  readonly version: TalosVersion;
  readonly schematicId: string;
  /** The canonical YAML, which the image carries from Talos 1.7. */
  readonly canonical: string;
  readonly schematic: Schematic;
}

/** Makes requests into recipes: every input by digest, every option explicit (`spec/profile.md` §3). */
export class Resolver {
  readonly #catalogs: Catalogs;
  readonly #overlays: OverlayDescriber;
  readonly #author: string;

  /** `externalUrl` is written into images as it is configured. */
  constructor(catalogs: Catalogs, overlays: OverlayDescriber, externalUrl: string) {
    this.#catalogs = catalogs;
    this.#overlays = overlays;
    this.#author = `Image Factory (${externalUrl})`;
  }

  /**
   * Throws `invalid` for combinations that cannot be, `not-found` for versions that are not offered,
   * `upstream` and `unavailable` for registry trouble.
   */
  async resolve(wanted: ResolveRequest, signal?: AbortSignal): Promise<Recipe> {
    const { request, version } = wanted;
    const gates = gatesOf(version);
    refuse(request, wanted.schematic, gates, versionTag(version));
    await explained('failed to get kernel', this.#catalogs.requireVersion(version, signal));
    const overlay = await this.#overlay(wanted, signal);
    if (request.kind === 'cmdline') {
      return { kind: 'cmdline', commandLine: commandLine(wanted, request, 'cmdline', overlay) };
    }
    const boot = await this.#catalogs.bootDigest(version, signal);
    const release = { version, arch: request.arch, boot };
    if (request.kind === 'kernel') return { kind: 'kernel', ...release };
    const extensions = await this.#extensions(wanted, gates, signal);
    switch (request.kind) {
      case 'initramfs':
        return { kind: 'initramfs', ...release, extensions };
      case 'uki':
        return {
          kind: 'uki',
          ...release,
          extensions,
          commandLine: commandLine(wanted, request, 'uki', overlay),
        };
      case 'iso':
        return {
          kind: 'iso',
          ...release,
          extensions,
          commandLine: commandLine(wanted, request, 'iso', overlay),
          bootloader: asked(wanted.schematic, overlay?.profile.iso.bootloader),
        };
      case 'image':
        return {
          ...imageLayout(request, wanted.schematic, version, overlay),
          ...release,
          extensions,
          commandLine: commandLine(wanted, request, 'image', overlay),
          container: request.format,
          outer: request.compression,
        };
      case 'installer': {
        const { digest: base } = await this.#catalogs.installerBase(version, request.arch, signal);
        return {
          kind: 'installer',
          ...release,
          base,
          extensions,
          ...(gates.unifiedInstaller
            ? { commandLine: commandLine(wanted, request, 'installer', overlay) }
            : {}),
          ...(overlay === undefined ? {} : { overlay: overlay.source }),
        };
      }
    }
  }

  /** Kernels do not care; everything else has to name an overlay that there is. */
  async #overlay(
    { request, version, schematic }: ResolveRequest,
    signal: AbortSignal | undefined,
  ): Promise<DescribedOverlay | undefined> {
    const { name, options } = schematic.overlay;
    if (name === '' || request.kind === 'kernel') return undefined;
    const record = await explained(SCHEMATIC, this.#catalogs.selectOverlay(version, name, signal));
    if (request.kind === 'initramfs') return undefined;
    const source: OverlaySource = { name, repository: record.repository, digest: record.digest, options };
    const facts = await explained(SCHEMATIC, this.#overlays.describe(source, request.arch, signal));
    return { ...facts, source };
  }

  async #extensions(
    wanted: ResolveRequest,
    gates: Gates,
    signal: AbortSignal | undefined,
  ): Promise<readonly ExtensionSource[]> {
    const { customization } = wanted.schematic;
    const extensions: ExtensionSource[] = [];
    for (const name of customization.systemExtensions.officialExtensions) {
      const record = await explained(SCHEMATIC, this.#catalogs.selectExtension(wanted.version, name, signal));
      extensions.push({
        type: 'official',
        name: record.name,
        repository: record.repository,
        digest: record.digest,
      });
    }
    extensions.push({
      type: 'schematic',
      id: wanted.schematicId,
      author: this.#author,
      extraInfo: gates.overlays ? wanted.canonical : '',
    });
    const config = customization.embeddedMachineConfiguration;
    if (config !== '') extensions.push({ type: 'embedded-config', config });
    return extensions;
  }
}

/** What no release and no catalog has to be asked for. */
function refuse(request: AssetRequest, schematic: Schematic, gates: Gates, tag: string): void {
  const { customization, overlay } = schematic;
  const hasInitramfs = request.kind !== 'cmdline' && request.kind !== 'kernel';
  if (hasInitramfs && customization.embeddedMachineConfiguration !== '' && !gates.embeddedConfig) {
    throw invalid(`embedding configuration is not supported for Talos version ${tag}`);
  }
  if ('secureboot' in request && request.secureboot) throw invalid('secure boot is disabled');
  if (overlay.name !== '' && !gates.overlays) {
    throw invalid(`overlay is not supported for Talos version ${tag}`);
  }
  if (request.kind === 'uki' && !gates.uki)
    throw invalid('UKI output is not supported in this Talos version');
  if (request.kind === 'image') refuseImage(request, schematic, gates, tag);
}

function refuseImage(request: Target, schematic: Schematic, gates: Gates, tag: string): void {
  const { bootloader, diskImage } = schematic.customization;
  if (diskImage.sectorSize !== 0n && diskImage.sectorSize !== 512n && diskImage.sectorSize !== 4096n) {
    throw invalid(`customization.diskImage.sectorSize must be 512 or 4096, not ${diskImage.sectorSize}`);
  }
  if (bootloader === 'dual-boot' && request.arch === 'arm64') {
    throw invalid(
      'customization.bootloader: dual-boot bootloader is not supported on arm64 architecture, either GRUB or sd-boot must be used',
    );
  }
  if (bootloader !== 'none' && bootloader !== 'grub' && !gates.uki) {
    throw invalid(
      `customization.bootloader: ${bootloader} is not supported for Talos version ${tag}, use grub`,
    );
  }
}

/** What decides where things lie on a disk. */
function imageLayout(
  { platform, arch, secureboot }: Target,
  schematic: Schematic,
  version: TalosVersion,
  overlay: DescribedOverlay | undefined,
): Pick<ImageRecipe, 'kind' | 'bootloader' | 'diskSize' | 'sectorSize' | 'meta' | 'overlay'> {
  const { diskImage, meta } = schematic.customization;
  const requested = asked(schematic, overlay?.profile.image.bootloader);
  const bootloader = selectBootloader({ requested, secureboot, arch, version });
  const ofOverlay = overlay?.profile.image.sectorSize ?? 512;
  return {
    kind: 'image',
    bootloader,
    diskSize: diskSize(platform, version, bootloader),
    sectorSize: diskImage.sectorSize === 0n ? ofOverlay : diskImage.sectorSize === 4096n ? 4096 : 512,
    meta,
    ...(overlay === undefined
      ? {}
      : { overlay: { ...overlay.source, partitionOffset: overlay.partitionOffset } }),
  };
}

/** The schematic's bootloader, else that of its overlay. */
function asked(schematic: Schematic, ofOverlay: Bootloader | undefined): Bootloader {
  const { bootloader } = schematic.customization;
  return bootloader === 'none' ? (ofOverlay ?? 'none') : bootloader;
}

function commandLine(
  wanted: ResolveRequest,
  target: Target,
  kind: CommandLineRequest['kind'],
  overlay: DescribedOverlay | undefined,
): string {
  try {
    return kernelCommandLine({
      platform: target.platform,
      arch: target.arch,
      version: wanted.version,
      kind,
      secureboot: target.secureboot,
      overlayArgs: overlay?.kernelArgs ?? [],
      meta: wanted.schematic.customization.meta,
      extraKernelArgs: [
        ...(overlay?.profile.extraKernelArgs ?? []),
        ...wanted.schematic.customization.extraKernelArgs,
      ],
    });
  } catch (error) {
    throw withContext(SCHEMATIC, error);
  }
}

const SCHEMATIC = 'error enhancing profile from schematic';

async function explained<T>(step: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw withContext(step, error);
  }
}

function invalid(message: string): FactoryError {
  return new FactoryError('invalid', 'PROFILE_INVALID', `${SCHEMATIC}: ${message}`);
}
