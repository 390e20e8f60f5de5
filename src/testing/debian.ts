import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FactoryError } from '../errors.ts';
import { runProgram } from '../process/run.ts';
import type { Arch } from '../talos/arch.ts';

/** Unpacked packages of one architecture. */
export interface DebianTree {
  /** Directory that looks like `/` of a machine that has the packages. */
  readonly root: string;
  /** File names of the packages, sorted: they name version and architecture, and so the bytes. */
  readonly packages: readonly string[];
}

export interface DebianRequest {
  /** Where downloads are kept between runs. */
  readonly cache: string;
  readonly suite: string;
  readonly arch: Arch;
  /** Package names. A name with `*` in front stands for the package that this metapackage depends on first. */
  readonly packages: readonly string[];
}

/**
 * Packages of another suite or architecture than the machine's, downloaded and unpacked, never installed. The
 * machine's own apt state is only asked where its archive is; lists and state live in a private directory.
 * What is in the cache is used as it is, without network.
 */
export async function fetchDebian(request: DebianRequest): Promise<DebianTree> {
  const asked = createHash('sha256').update(request.packages.join('\n')).digest('hex').slice(0, 8);
  const place = join(request.cache, `${request.suite}-${request.arch}-${asked}`);
  const kept = await keptTree(place);
  if (kept !== undefined) return kept;
  const made = `${place}.${process.pid}.tmp`;
  await rm(made, { recursive: true, force: true });
  try {
    await download(made, request);
    await rename(made, place).catch(async (error: unknown) => {
      // Another process was first: what it made is as good.
      if ((await keptTree(place)) === undefined) throw error;
    });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  const tree = await keptTree(place);
  if (tree === undefined) throw new Error(`the packages in ${place} cannot be read`);
  return tree;
}

async function keptTree(place: string): Promise<DebianTree | undefined> {
  let text: string;
  try {
    text = await readFile(join(place, 'packages.json'), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  return { root: join(place, 'root'), packages: JSON.parse(text) as readonly string[] };
}

async function download(directory: string, request: DebianRequest): Promise<void> {
  for (const part of ['lists/partial', 'archives/partial', 'debs', 'root']) {
    await mkdir(join(directory, part), { recursive: true });
  }
  await writeFile(join(directory, 'status'), '');
  await writeFile(
    join(directory, 'sources.list'),
    `deb [arch=${request.arch} signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ` +
      `${await archiveUri()} ${request.suite} main\n`,
  );
  const options = [
    `Dir::State=${directory}`,
    `Dir::State::lists=${join(directory, 'lists')}`,
    `Dir::State::status=${join(directory, 'status')}`,
    `Dir::Cache=${directory}`,
    `Dir::Etc::sourcelist=${join(directory, 'sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    `APT::Architecture=${request.arch}`,
    `APT::Architectures=${request.arch}`,
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::Retries=3',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
  ].flatMap((option) => ['-o', option]);
  await runProgram({ program: 'apt-get', args: [...options, '-q', 'update'] });
  const names: string[] = [];
  for (const name of request.packages) {
    names.push(name.startsWith('*') ? await firstDependency(options, name.slice(1)) : name);
  }
  await runProgram({
    program: 'apt-get',
    args: [...options, '-q', 'download', ...names],
    cwd: join(directory, 'debs'),
  });
  const packages = (await readdir(join(directory, 'debs'))).sort();
  for (const name of packages) {
    await runProgram({
      program: 'dpkg',
      args: ['-x', join(directory, 'debs', name), join(directory, 'root')],
    });
  }
  for (const part of ['lists', 'archives', 'pkgcache.bin', 'srcpkgcache.bin', 'debs']) {
    await rm(join(directory, part), { recursive: true, force: true });
  }
  await writeFile(join(directory, 'packages.json'), JSON.stringify(packages));
}

/** The archive of this machine's own release, which has the other suites and architectures too. */
async function archiveUri(): Promise<string> {
  const { stdout } = await runProgram({
    program: 'apt-get',
    args: ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'],
  });
  const uris = Buffer.from(stdout)
    .toString('utf8')
    .split('\n')
    .map((uri) => uri.trim());
  const uri = uris.find((candidate) => /\/debian\/?$/.test(candidate));
  if (uri === undefined) {
    throw new FactoryError(
      'internal',
      'SANDBOX_NO_ARCHIVE',
      'the apt sources of this machine name no Debian archive: the sandbox is made from Debian packages',
    );
  }
  return uri;
}

async function firstDependency(options: readonly string[], name: string): Promise<string> {
  const { stdout } = await runProgram({
    program: 'apt-cache',
    args: [...options, 'show', '--no-all-versions', name],
  });
  const dependency = /^Depends: ([a-z0-9+.-]+)/m.exec(Buffer.from(stdout).toString('utf8'))?.[1];
  if (dependency === undefined) {
    throw new FactoryError('internal', 'SANDBOX_NO_PACKAGE', `package ${name} names no dependency`);
  }
  return dependency;
}
