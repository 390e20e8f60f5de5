import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { FactoryError } from '../errors.ts';
import type { Log } from '../log.ts';
import { errorChain } from './error-response.ts';

export interface TlsFiles {
  /** PEM, the server's certificate first. */
  readonly certFile: string;
  /** PEM, unencrypted. */
  readonly keyFile: string;
}

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** `undefined` when neither file is configured; throws `TLS_INCOMPLETE` when only one is. */
export function tlsFiles(certFile: string, keyFile: string): TlsFiles | undefined {
  if (certFile === '' && keyFile === '') return undefined;
  if (certFile === '' || keyFile === '') {
    const missing = certFile === '' ? 'http.certFile' : 'http.keyFile';
    throw new FactoryError('invalid', 'TLS_INCOMPLETE', `failed to load certificate: ${missing} is not set`);
  }
  return { certFile, keyFile };
}

/** Reads both files and sees that they belong together. Throws `TLS_CERTIFICATE`. */
export async function loadKeyPair(files: TlsFiles): Promise<KeyPair> {
  try {
    const pair = await readPair(files);
    checkPair(pair);
    return pair;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FactoryError('invalid', 'TLS_CERTIFICATE', `failed to load certificate: ${reason}`, {
      cause: error,
    });
  }
}

async function readPair(files: TlsFiles): Promise<KeyPair> {
  const [cert, key] = await Promise.all([readFile(files.certFile, 'utf8'), readFile(files.keyFile, 'utf8')]);
  return { cert, key };
}

/** OpenSSL compares the key with the certificate when a context is made of them. */
function checkPair({ cert, key }: KeyPair): void {
  createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
}

/**
 * Calls `reload` with each new pair until disposed. The files are read again at every interval: renewals swap a
 * directory link (Kubernetes secrets) or rename files, which file watchers lose. A pair that does not load is
 * logged once, and the one before stays; half of a renewal mends itself at the next look.
 */
export function watchKeyPair(
  files: TlsFiles,
  current: KeyPair,
  reload: (pair: KeyPair) => void,
  log: Log,
  intervalMs: number,
): Disposable {
  let seen = current;
  let busy = false;
  let complaint = '';
  const look = async (): Promise<void> => {
    const pair = await readPair(files);
    if (pair.cert === seen.cert && pair.key === seen.key) return;
    seen = pair;
    checkPair(pair);
    reload(pair);
    complaint = '';
    log.info('TLS certificate reloaded', { file: files.certFile });
  };
  const tick = (): void => {
    if (busy) return;
    busy = true;
    look()
      .catch((error: unknown) => {
        const text = errorChain(error);
        if (text !== complaint) log.error('TLS certificate not reloaded', { error: text });
        complaint = text;
      })
      .finally(() => {
        busy = false;
      });
  };
  const timer = setInterval(tick, intervalMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
