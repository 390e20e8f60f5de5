import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { OCI_INDEX } from './media-types.ts';
import { type RepositoryName, registryHost, repositoryPath } from './names.ts';

const MARKER = '{"imageLayoutVersion":"1.0.0"}';
/** Leftovers of a crash: older temporaries than this (milliseconds) belong to nobody. */
const ABANDONED = 24 * 3600_000;

/** The files of a layout: whole or absent, never torn. */
export class LayoutFiles {
  readonly root: string;
  readonly #sync: boolean;

  constructor(root: string, sync: boolean) {
    this.root = root;
    this.#sync = sync;
  }

  async prepare(): Promise<void> {
    for (const directory of ['', 'tmp', 'blobs/sha256', 'blobs/sha512', 'repositories']) {
      await mkdir(join(this.root, directory), { recursive: true });
    }
    const marker = await this.read('oci-layout');
    if (marker === undefined) {
      await this.write('oci-layout', Buffer.from(MARKER));
      const empty = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });
      await this.write('index.json', Buffer.from(empty));
    } else if (!/"imageLayoutVersion"\s*:\s*"1\./.test(Buffer.from(marker).toString('utf8'))) {
      throw new FactoryError(
        'internal',
        'OCI_LAYOUT_INVALID',
        `${this.root} is not an OCI image layout of version 1: use another directory`,
      );
    }
    await this.#sweep();
  }

  /** The path of a new file that nobody else writes to; `publish` or `remove` it. */
  temporary(): string {
    return join(this.root, 'tmp', `${process.pid}-${randomUUID()}`);
  }

  /** The bytes of a small file, or `undefined` when it is absent. */
  async read(path: string): Promise<Uint8Array | undefined> {
    return absentAsUndefined(readFile(join(this.root, path)));
  }

  /** Size in bytes, or `undefined` when it is absent. */
  async size(path: string): Promise<number | undefined> {
    return (await absentAsUndefined(stat(join(this.root, path))))?.size;
  }

  /** Names in a directory, sorted; none when it is absent. */
  async list(path: string): Promise<readonly string[]> {
    return ((await absentAsUndefined(readdir(join(this.root, path)))) ?? []).sort();
  }

  /** Writes a small file: a temporary one, synced, renamed over what was there. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = this.temporary();
    try {
      await using file = await open(temporary, 'wx', 0o644);
      await file.writeFile(bytes);
      if (this.#sync) await file.sync();
    } catch (error) {
      await rm(temporary, { force: true });
      throw this.explained(error);
    }
    await this.publish(temporary, path);
  }

  /** Gives a synced temporary file its name. */
  async publish(temporary: string, path: string): Promise<void> {
    const target = join(this.root, path);
    try {
      await this.#makeDirectory(dirname(target));
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw this.explained(error);
    }
    await this.#syncDirectory(dirname(target));
  }

  /** A full disk or quota (`ENOSPC`, `EDQUOT` of write(2)) as an error that says so; others as they are. */
  explained(error: unknown): unknown {
    const full =
      error instanceof Error && 'code' in error && ['ENOSPC', 'EDQUOT'].includes(String(error.code));
    if (!full) return error;
    return new FactoryError(
      'unavailable',
      'OCI_LAYOUT_FULL',
      `no space left in the image layout directory ${this.root}: free some`,
      { cause: error, retryAfter: 60 },
    );
  }

  /** Syncs an open file, when this layout syncs at all. */
  async sync(file: { sync(): Promise<void> }): Promise<void> {
    if (this.#sync) await file.sync();
  }

  async remove(path: string): Promise<void> {
    const target = join(this.root, path);
    await absentAsUndefined(unlink(target));
    await absentAsUndefined(this.#syncDirectory(dirname(target)));
  }

  async repositories(): Promise<readonly RepositoryName[]> {
    const found: string[] = [];
    const walk = async (path: string): Promise<void> => {
      const names = await this.list(join('repositories', path));
      if (path !== '' && names.some((name) => name.startsWith('_'))) found.push(path);
      for (const name of names) {
        if (!name.startsWith('_')) await walk(path === '' ? name : `${path}/${name}`);
      }
    };
    await walk('');
    return found.sort() as RepositoryName[];
  }

  async #makeDirectory(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true });
    if (first === undefined) return;
    // Every new directory is an entry of the one above it, and that must last too.
    for (let at = path; at.length >= first.length; at = dirname(at)) await this.#syncDirectory(dirname(at));
  }

  async #syncDirectory(path: string): Promise<void> {
    if (!this.#sync) return;
    await using directory = await open(path, 'r');
    await directory.sync();
  }

  async #sweep(): Promise<void> {
    const now = systemClock.now();
    for (const name of await this.list('tmp')) {
      const path = join(this.root, 'tmp', name);
      const facts = await absentAsUndefined(stat(path));
      if (facts !== undefined && now - facts.mtimeMs > ABANDONED) await rm(path, { force: true });
    }
  }
}

export function repositoryDirectory(name: RepositoryName): string {
  return join('repositories', registryHost(name).toLowerCase(), repositoryPath(name));
}

async function absentAsUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return undefined;
    }
    throw error;
  }
}
