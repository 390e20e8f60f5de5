import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageTree } from '../../artifacts/image-tree.ts';
import { readAll } from '../../blob/consume.ts';
import { type Log, silentLog } from '../../log.ts';
import type { Digest } from '../../oci/names.ts';
import type { OptionMap } from '../../schematics/schematic.ts';
import type { LocalStore } from '../../store/store.ts';
import type { Arch } from '../../talos/arch.ts';
import { hashKey } from '../recipe.ts';
import type { Caller, Isolation } from './confinement.ts';
import { badOverlay } from './errors.ts';
import { INSTALLATION_FORM, type OverlayInstallation, openInstallation } from './installation.ts';
import { type OverlayOptions, parseInstallerAnswer } from './installer-answer.ts';
import { type InstallerLimits, type InstallerProgram, InstallerRun } from './installer-run.ts';
import { overlayOptionsYaml } from './options-yaml.ts';
import { TREE_FORM, writeOverlayTree } from './overlay-tree.ts';

/** The overlay of a schematic, as the catalog of its release has it. */
export interface SelectedOverlay {
  readonly name: string;
  /** Of its image, by the catalog. */
  readonly digest: Digest;
  readonly options: OptionMap;
  /** Its image for the architecture of this machine: asked for only when nothing is known yet. */
  readonly open: (signal: AbortSignal) => Promise<ImageTree>;
}

export interface OverlayInstallerOptions {
  readonly store: LocalStore;
  /** Of this machine (`builderArch`): the installers that it can run. */
  readonly arch: Arch;
  readonly log?: Log;
  /** `namespaces` unless told. */
  readonly isolation?: Isolation;
  /** Who this process is to the kernel; found out when absent. */
  readonly caller?: Caller;
  readonly limits?: Partial<InstallerLimits>;
}

const DEFAULT_LIMITS: InstallerLimits = {
  timeout: 5 * 60_000,
  output: 1 << 20,
  written: 512 << 20,
  files: 10_000,
  // Go's runtime wants a thread for each of the machine's processors.
  processes: 512,
  memory: 1 << 30,
};

/** Names in entries of the store. */
const FILES = 'tree';
const OPTIONS_FILE = 'options.json';

/**
 * Runs the installers of overlay images, which are programs of others, on this machine: confined, and once for the
 * same image, architecture, name, options and size of disk. Results are kept in the local store.
 *
 * Throws `upstream` for what is wrong with the overlay, `internal` `OVERLAY_INSTALLER_FAILED` (with what it said on
 * standard error in the log) and `OVERLAY_SANDBOX_UNAVAILABLE`. Failures are not kept.
 */
export class OverlayInstaller {
  readonly #store: LocalStore;
  readonly #arch: Arch;
  readonly #run: InstallerRun;

  constructor(options: OverlayInstallerOptions) {
    this.#store = options.store;
    this.#arch = options.arch;
    this.#run = new InstallerRun({
      log: options.log ?? silentLog,
      isolation: options.isolation ?? 'namespaces',
      caller: options.caller ?? (process.getuid?.() === 0 ? 'root' : 'unprivileged'),
      limits: { ...DEFAULT_LIMITS, ...options.limits },
    });
  }

  /** What the overlay wants with these options. */
  async getOptions(overlay: SelectedOverlay, signal?: AbortSignal): Promise<OverlayOptions> {
    const input = overlayOptionsYaml(overlay.options);
    const key = `piece-${hashKey('overlay-options', '', { ...this.#inputs(overlay), options: input })}`;
    using entry = await this.#store.obtain(
      key,
      async (directory, deadline) => {
        await using scratch = await this.#store.scratch();
        using program = await this.#program(overlay, deadline);
        const run = { ...program, scratch: scratch.path };
        const answer = await this.#run.getOptions(run, Buffer.from(input), deadline);
        const found = parseInstallerAnswer(answer, overlay.name);
        await writeFile(join(directory, OPTIONS_FILE), JSON.stringify(found));
      },
      signal,
    );
    const text = Buffer.from(await readAll(entry.blob(OPTIONS_FILE), 4 << 20)).toString('utf8');
    return JSON.parse(text) as OverlayOptions;
  }

  /** What the overlay writes to a disk of `diskSize` bytes, and the files it puts beside. */
  async install(
    overlay: SelectedOverlay,
    diskSize: number,
    signal?: AbortSignal,
  ): Promise<OverlayInstallation> {
    const inputs = {
      ...this.#inputs(overlay),
      options: overlayOptionsYaml(overlay.options),
      diskSize,
      form: INSTALLATION_FORM,
    };
    const entry = await this.#store.obtain(
      `piece-${hashKey('overlay-installation', '', inputs)}`,
      async (directory, deadline) => {
        await using scratch = await this.#store.scratch();
        using program = await this.#program(overlay, deadline);
        const run = { ...program, scratch: scratch.path };
        await this.#run.install(run, { options: overlay.options, diskSize, output: directory }, deadline);
      },
      signal,
    );
    return openInstallation(entry);
  }

  #inputs(overlay: SelectedOverlay) {
    return { image: overlay.digest, arch: this.#arch, name: overlay.name };
  }

  /** The overlay's files in a directory of the store, and its installer's path in there; pinned until disposed. */
  async #program(overlay: SelectedOverlay, signal: AbortSignal): Promise<PinnedProgram> {
    const { name, digest } = overlay;
    const inputs = { image: digest, arch: this.#arch, form: TREE_FORM };
    const entry = await this.#store.obtain(
      `piece-${hashKey('overlay-tree', '', inputs)}`,
      async (directory, deadline) => {
        using tree = await overlay.open(deadline);
        await writeOverlayTree(tree, name, join(directory, FILES), deadline);
      },
      signal,
    );
    try {
      const path = `installers/${name}`;
      if (!entry.has(`${FILES}/${path}`)) {
        throw badOverlay(
          name,
          'OVERLAY_FILE_MISSING',
          `image ${digest} has no file ${path} for ${this.#arch}`,
        );
      }
      const program = entry.path(`${FILES}/${path}`);
      if (((await stat(program)).mode & 0o111) === 0) {
        throw badOverlay(name, 'OVERLAY_TREE_INVALID', `${path} of image ${digest} is not executable`);
      }
      const files = program.slice(0, -path.length - 1);
      return { name, files, path, [Symbol.dispose]: () => entry[Symbol.dispose]() };
    } catch (error) {
      entry[Symbol.dispose]();
      throw error;
    }
  }
}

type PinnedProgram = Omit<InstallerProgram, 'scratch'> & Disposable;
