import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withContext } from '../errors.ts';
import { generateSigningKeyPem, type SigningKey, signingKey } from '../signing/signing-key.ts';
import { registryError } from './errors.ts';

export interface SigningKeyPlaces {
  /** `cache.signingKeyPath`; may be empty. */
  readonly path: string;
  /** Keeps a key of its own when no path is configured. */
  readonly dataDir: string | undefined;
}

/** In the data directory. */
const KEY_FILE = 'signing-key.pem';

/**
 * The key that images are signed with: the configured one, else that of the data directory, which is made when there
 * is none. `undefined` when there is no place for one. Throws `internal` `SIGNING_KEY_UNREADABLE`, `invalid`
 * `SIGNATURE_KEY_INVALID`.
 */
export async function openSigningKey({ path, dataDir }: SigningKeyPlaces): Promise<SigningKey | undefined> {
  if (path !== '') return readKey(path);
  if (dataDir === undefined) return undefined;
  const own = join(dataDir, KEY_FILE);
  try {
    return await readKey(own);
  } catch (error) {
    if (!(error instanceof Error) || !isCode(error.cause, 'ENOENT')) throw error;
  }
  await writeKey(dataDir, own);
  return readKey(own);
}

async function readKey(path: string): Promise<SigningKey> {
  let pem: string;
  try {
    pem = await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const message = `signing key ${path} cannot be read: ${reason}`;
    throw registryError('internal', 'SIGNING_KEY_UNREADABLE', message, error);
  }
  try {
    return signingKey(pem);
  } catch (error) {
    throw withContext(`signing key ${path}`, error);
  }
}

/** Whole or not at all; of two processes that come at once, the key of one is kept. */
async function writeKey(directory: string, path: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await using file = await open(temporary, 'wx', 0o600);
    await file.writeFile(generateSigningKeyPem());
    await file.sync();
    await link(temporary, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  await using handle = await open(directory, 'r');
  await handle.sync();
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
