import { chown, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '../../process/run.ts';
import { PATH } from './confined-process.ts';

/**
 * How an overlay's installer is kept from everything but its scratch directory:
 * `namespaces`: own mount, network, process, IPC and host name namespaces; only programs of the system and the
 * overlay's files are visible, only the scratch directory can be written, no capability is left;
 * `limits`: resource limits alone. It can read and write what the factory can, and reach the network.
 */
export type Isolation = 'namespaces' | 'limits';

/** Limits on what one process of an installer may use (setrlimit(2)). */
export interface ProcessLimits {
  /** Bytes of the largest file, which the disk has to fit into. */
  readonly fileSize: number;
  /** Processes and threads of the installer together. */
  readonly processes: number;
  /** Bytes of memory that a process may write to. */
  readonly memory: number;
  /** Seconds. */
  readonly cpu: number;
}

/** Paths as the installer sees them. */
export interface SeenPaths {
  readonly overlay: string;
  readonly work: string;
}

/** What the factory is to the kernel: root has to become someone else, others need a user namespace. */
export type Caller = 'root' | 'unprivileged';

/** Debian's `nobody`, who owns nothing. */
const NOBODY = 65534;
const SANDBOX = join(import.meta.dirname, 'sandbox.sh');

/** The directories of one run, below a scratch directory; nothing of them is left when it is disposed. */
export interface Workplace extends AsyncDisposable {
  /** Where the root of the sandbox is put together. */
  readonly root: string;
  /** All that the installer can write to. */
  readonly work: string;
  readonly disk: string;
  /** The prefix that the installer puts `boot` below. */
  readonly prefix: string;
}

/** Names within the directory of work. */
export const DISK_NAME = 'disk.img';
export const PREFIX_NAME = 'root';

/** Makes the directories of a run, and the disk as one hole of `diskSize` bytes when there is to be one. */
export async function makeWorkplace(
  scratch: string,
  diskSize: number | undefined,
  owner: Caller,
): Promise<Workplace> {
  const work = join(scratch, 'work');
  const place = {
    root: join(scratch, 'root'),
    work,
    disk: join(work, DISK_NAME),
    prefix: join(work, PREFIX_NAME),
    [Symbol.asyncDispose]: () => removeTree(work),
  };
  const made = [work, join(work, 'tmp')];
  if (diskSize !== undefined) {
    // Some installers write single files to boot/EFI without making it (`spec/outputs-installer.md` §2.5).
    made.push(place.prefix, join(place.prefix, 'boot'), join(place.prefix, 'boot/EFI'));
  }
  await mkdir(place.root);
  for (const directory of made) await mkdir(directory);
  if (diskSize !== undefined) {
    await using disk = await open(place.disk, 'wx', 0o644);
    await disk.truncate(diskSize);
    made.push(place.disk);
  }
  if (owner === 'root') for (const path of made) await chown(path, NOBODY, NOBODY);
  return place;
}

/**
 * Programs, since an installer may leave directories that are closed to their owner, or deeper than the longest path.
 */
async function removeTree(directory: string): Promise<void> {
  await runProgram({ program: 'chmod', args: ['--recursive', 'u+rwx', '--', directory] });
  await runProgram({ program: 'rm', args: ['--recursive', '--force', '--', directory] });
}

/** Where the installer finds its files. */
export function seenPaths(isolation: Isolation, overlay: string, place: Workplace): SeenPaths {
  return isolation === 'namespaces' ? { overlay: '/overlay', work: '/work' } : { overlay, work: place.work };
}

/** A program and its arguments; with namespaces it says `ready` on descriptor 3 before it executes `command`. */
export function confinedCommand(
  isolation: Isolation,
  caller: Caller,
  paths: { readonly overlay: string; readonly place: Workplace },
  limits: ProcessLimits,
  command: readonly string[],
): readonly [string, ...string[]] {
  const limited = [
    'prlimit',
    '--core=0',
    '--nofile=1024',
    `--fsize=${limits.fileSize}`,
    `--data=${limits.memory}`,
    `--cpu=${limits.cpu}`,
    // For other callers it would count what else they run.
    ...(isolation === 'namespaces' ? [`--nproc=${limits.processes}`] : []),
    '--',
    'env',
    '--ignore-environment',
    `PATH=${PATH}`,
    'LC_ALL=C',
    ...command,
  ];
  if (isolation === 'limits') return ['setpriv', '--no-new-privs', ...limited];
  return [
    'unshare',
    ...(caller === 'root' ? [] : ['--user', '--map-root-user']),
    '--mount',
    '--net',
    '--pid',
    '--ipc',
    '--uts',
    '--fork',
    '--kill-child=SIGKILL',
    'sh',
    SANDBOX,
    paths.place.root,
    paths.place.work,
    paths.overlay,
    'setpriv',
    ...(caller === 'root' ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : []),
    '--bounding-set=-all',
    '--inh-caps=-all',
    '--no-new-privs',
    // Changing the user has undone what --kill-child did (prctl(2), PR_SET_PDEATHSIG).
    '--pdeathsig=KILL',
    ...limited,
  ];
}
