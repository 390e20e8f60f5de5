import { chmod, lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Log } from '../../log.ts';
import type { OptionMap } from '../../schematics/schematic.ts';
import { type ProgramEnd, runConfined } from './confined-process.ts';
import {
  type Caller,
  confinedCommand,
  DISK_NAME,
  type Isolation,
  makeWorkplace,
  PREFIX_NAME,
  seenPaths,
  type Workplace,
} from './confinement.ts';
import { writtenRanges } from './disk-writes.ts';
import { badOverlay, failedOverlay } from './errors.ts';
import { writeInstallation } from './installation.ts';
import { type InstalledLimits, installedFiles, UnusableFiles, usage } from './installed-files.ts';
import { installRequestYaml } from './options-yaml.ts';

export interface InstallerLimits {
  /** Milliseconds for one command. */
  readonly timeout: number;
  /** Bytes on standard output. */
  readonly output: number;
  /** Bytes on the disk, of the image's and of all files. */
  readonly written: number;
  readonly files: number;
  /** Processes and threads. */
  readonly processes: number;
  /** Bytes that one process may use. */
  readonly memory: number;
}

export interface InstallerRunOptions {
  readonly log: Log;
  readonly isolation: Isolation;
  readonly caller: Caller;
  readonly limits: InstallerLimits;
}

/** An installer and where it runs. */
export interface InstallerProgram {
  /** Of the overlay. */
  readonly name: string;
  /** The overlay's files. */
  readonly files: string;
  /** Path of the installer below `files`. */
  readonly path: string;
  /** Empty, and of this run alone. */
  readonly scratch: string;
}

/** Places of the disk that an installer may write to; a boot loader has some hundred runs of sectors. */
const MOST_RANGES = 65_536;
/** Largest file that is no disk. */
const SMALLEST_FILE_LIMIT = 64 << 20;

/** One run of an overlay's installer, confined. */
export class InstallerRun {
  readonly #options: InstallerRunOptions;

  constructor(options: InstallerRunOptions) {
    this.#options = options;
  }

  /** What the installer prints. */
  async getOptions(program: InstallerProgram, input: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    await using place = await makeWorkplace(program.scratch, undefined, this.#options.caller);
    return await this.#run(program, 'get-options', input, place, SMALLEST_FILE_LIMIT, signal);
  }

  /** Writes what the installer leaves into `output`, a directory that becomes an entry of the store. */
  async install(
    program: InstallerProgram,
    wanted: { readonly options: OptionMap; readonly diskSize: number; readonly output: string },
    signal: AbortSignal,
  ): Promise<void> {
    await using place = await makeWorkplace(program.scratch, wanted.diskSize, this.#options.caller);
    const seen = seenPaths(this.#options.isolation, program.files, place);
    const paths = {
      disk: join(seen.work, DISK_NAME),
      root: join(seen.work, PREFIX_NAME),
      artifacts: join(seen.overlay, 'artifacts'),
    };
    const input = Buffer.from(installRequestYaml(paths, wanted.options));
    const largest = Math.max(wanted.diskSize, SMALLEST_FILE_LIMIT);
    await this.#run(program, 'install', input, place, largest, signal);
    try {
      const { size } = await unreplaced(place.disk, 'isFile');
      await unreplaced(place.prefix, 'isDirectory');
      // It may have closed it to its owner, too.
      await chmod(place.prefix, 0o755);
      await unreplaced(join(place.prefix, 'boot'), 'isDirectory');
      if (size !== wanted.diskSize) throw new UnusableFiles(`it changed the disk's size to ${size} bytes`);
      const ranges = await writtenRanges(place.disk, MOST_RANGES, signal);
      const files = await installedFiles(join(place.prefix, 'boot'), this.#usable());
      await writeInstallation(wanted.output, place.disk, ranges, files, signal);
    } catch (error) {
      if (!(error instanceof UnusableFiles)) throw error;
      throw badOverlay(
        program.name,
        'OVERLAY_OUTPUT_INVALID',
        `what its installer left cannot be used: ${error.message}`,
        error,
      );
    }
  }

  async #run(
    program: InstallerProgram,
    command: 'get-options' | 'install',
    stdin: Uint8Array,
    place: Workplace,
    fileSize: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { isolation, caller, limits } = this.#options;
    const seen = seenPaths(isolation, program.files, place);
    const [first, ...args] = confinedCommand(
      isolation,
      caller,
      { overlay: program.files, place },
      {
        fileSize,
        processes: limits.processes,
        memory: limits.memory,
        cpu: Math.ceil(limits.timeout / 1000),
      },
      [join(seen.overlay, program.path), command],
    );
    const watch = () => this.#exceeded(place.work);
    const end = await runConfined({
      program: first,
      args,
      stdin,
      cwd: place.work,
      timeout: limits.timeout,
      maxOutput: limits.output,
      signal,
      watch,
    });
    const failure = end.failure ?? (await watch());
    this.#report(program.name, command, end, failure);
    if (failure !== undefined) {
      throw failedOverlay(
        program.name,
        'OVERLAY_INSTALLER_FAILED',
        `its installer ${failure} at ${command}; what it said is in the log`,
      );
    }
    return end.stdout;
  }

  /** Tells the log how it went; throws when the installer was not even started. */
  #report(overlay: string, command: string, end: ProgramEnd, failure: string | undefined): void {
    const { isolation, log } = this.#options;
    const fields = { overlay, command, stderr: end.stderr.trim() };
    if (isolation === 'namespaces' && !end.isStopped && end.status.trim() !== 'ready') {
      log.error('no sandbox for overlay installers', { ...fields, failure });
      throw failedOverlay(
        overlay,
        'OVERLAY_SANDBOX_UNAVAILABLE',
        'its installer was not run, since it cannot be confined here (the log says why): the factory needs user ' +
          'namespaces that its user may make, or root with CAP_SYS_ADMIN, and the programs of util-linux',
      );
    }
    if (failure !== undefined) log.warn('overlay installer failed', { ...fields, failure });
    else if (fields.stderr !== '') log.debug('overlay installer said', fields);
  }

  #usable(): InstalledLimits {
    return { entries: this.#options.limits.files, bytes: this.#options.limits.written };
  }

  async #exceeded(work: string): Promise<string | undefined> {
    const limits = this.#usable();
    const { bytes, entries } = await usage(work, limits);
    if (bytes > limits.bytes) return `wrote more than ${limits.bytes} bytes`;
    return entries > limits.entries ? `made more than ${limits.entries} files` : undefined;
  }
}

/** Nothing behind a link that the installer has put in the place of what it was given. */
async function unreplaced(path: string, is: 'isFile' | 'isDirectory'): Promise<{ readonly size: number }> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.[is]() !== true) throw new UnusableFiles(`it removed or replaced ${basename(path)}`);
  return found;
}
