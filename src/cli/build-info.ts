import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../config/environment.ts';
import type { BuildInfo } from './factory.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What may stand in a header and in a log. */
const WORD = /^[0-9A-Za-z._+-]{1,128}$/;

/**
 * Which program this is: version from `package.json`, commit from the checkout. Packages without a checkout say it in
 * `IMAGE_FACTORY_TAG` and `IMAGE_FACTORY_SHA`.
 */
export async function readBuildInfo(env: Environment, root: string = ROOT): Promise<BuildInfo> {
  const [manifest, commit] = await Promise.all([readOptional(join(root, 'package.json')), readCommit(root)]);
  const version = /"version":\s*"([^"]+)"/.exec(manifest ?? '')?.[1] ?? '0.0.0';
  return {
    name: 'Image Factory',
    tag: word(env.IMAGE_FACTORY_TAG) ?? `v${version}`,
    sha: word(env.IMAGE_FACTORY_SHA) ?? word(commit) ?? 'unknown',
  };
}

function word(value: string | undefined): string | undefined {
  return value !== undefined && WORD.test(value) ? value : undefined;
}

/** The commit that `HEAD` denotes, without running git (gitrepository-layout(5)). */
async function readCommit(root: string): Promise<string | undefined> {
  const git = join(root, '.git');
  const head = (await readOptional(join(git, 'HEAD')))?.trim();
  const ref = /^ref: (refs\/[0-9A-Za-z._/-]+)$/.exec(head ?? '')?.[1];
  if (ref === undefined || ref.includes('..')) return head;
  const loose = (await readOptional(join(git, ref)))?.trim();
  if (loose !== undefined) return loose;
  const packed = await readOptional(join(git, 'packed-refs'));
  return packed
    ?.split('\n')
    .find((line) => line.endsWith(` ${ref}`))
    ?.split(' ')[0];
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    // Whatever keeps it from being read, it says nothing about the version then.
    return undefined;
  }
}
