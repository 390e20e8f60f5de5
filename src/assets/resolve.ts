import type { ExtensionRecord } from '../artifacts/catalogs.ts';
import { FactoryError, withContext } from '../errors.ts';
import type { ExtensionSource, Recipe } from '../imager/recipe.ts';
import type { Digest } from '../oci/names.ts';
import type { Schematic } from '../schematics/schematic.ts';
import type { Arch } from '../talos/arch.ts';
import { type CommandLineRequest, kernelCommandLine } from '../talos/cmdline.ts';
import { type Gates, gatesOf } from '../talos/gates.ts';
import type { PlatformName } from '../talos/platforms.ts';
import { type TalosVersion, versionTag } from '../talos/version.ts';
import type { AssetRequest, Target } from './request.ts';

/** What is known of releases, as far as a recipe needs it. */
export interface Catalogs {
  requireVersion(version: TalosVersion, signal?: AbortSignal): Promise<void>;
  /** Digest of the manifest of the image that boot files come from. */
  bootDigest(version: TalosVersion, signal?: AbortSignal): Promise<Digest>;
  /** By name or its alias; throws `invalid` with close names when there is none. */
  selectExtension(version: TalosVersion, name: string, signal?: AbortSignal): Promise<ExtensionRecord>;
}

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
  readonly #author: string;

  /** `externalUrl` is written into images as it is configured. */
  constructor(catalogs: Catalogs, externalUrl: string) {
    this.#catalogs = catalogs;
    this.#author = `Image Factory (${externalUrl})`;
  }

  /**
   * Throws `invalid` for combinations that cannot be, `not-found` for versions that are not offered,
   * `not-implemented` for what this build does not make, `upstream` and `unavailable` for registry trouble.
   */
  async resolve(wanted: ResolveRequest, signal?: AbortSignal): Promise<Recipe> {
    const { request, version } = wanted;
    const gates = gatesOf(version);
    refuse(request, wanted.schematic, gates, versionTag(version));
    await explained('failed to get kernel', this.#catalogs.requireVersion(version, signal));
    if (request.kind === 'cmdline') {
      return { kind: 'cmdline', commandLine: commandLine(wanted, request, 'cmdline') };
    }
    const boot = await this.#catalogs.bootDigest(version, signal);
    const release = { version, arch: request.arch, boot };
    if (request.kind === 'kernel') return { kind: 'kernel', ...release };
    const extensions = await this.#extensions(wanted, gates, signal);
    switch (request.kind) {
      case 'initramfs':
        return { kind: 'initramfs', ...release, extensions };
      case 'uki':
        return { kind: 'uki', ...release, extensions, commandLine: commandLine(wanted, request, 'uki') };
      case 'iso':
        return {
          kind: 'iso',
          ...release,
          extensions,
          commandLine: commandLine(wanted, request, 'iso'),
          bootloader: wanted.schematic.customization.bootloader,
        };
      default:
        throw notImplemented(request.kind);
    }
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
  if (overlay.name !== '') {
    if (!gates.overlays) throw invalid(`overlay is not supported for Talos version ${tag}`);
    if (request.kind !== 'kernel') throw notImplemented(`${request.kind} with an overlay`);
  }
  if (request.kind === 'uki' && !gates.uki)
    throw invalid('UKI output is not supported in this Talos version');
  if (request.kind === 'image' || request.kind === 'installer') throw notImplemented(request.kind);
}

function commandLine(wanted: ResolveRequest, target: Target, kind: CommandLineRequest['kind']): string {
  try {
    return kernelCommandLine({
      platform: target.platform satisfies PlatformName,
      arch: target.arch satisfies Arch,
      version: wanted.version,
      kind,
      secureboot: target.secureboot,
      overlayArgs: [],
      meta: wanted.schematic.customization.meta,
      extraKernelArgs: wanted.schematic.customization.extraKernelArgs,
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

function notImplemented(what: string): FactoryError {
  return new FactoryError(
    'not-implemented',
    'NOT_IMPLEMENTED',
    `this factory does not make ${what} assets yet; kernel, initramfs, cmdline, uki and iso are available`,
  );
}
