import { createHash } from 'node:crypto';
import type { Blob } from '../../blob/blob.ts';
import { bytesBlob, textBlob } from '../../blob/bytes.ts';
import { readRange } from '../../blob/consume.ts';
import { FactoryError } from '../../errors.ts';
import { parseTalosVersion } from '../../talos/version.ts';
import type { AssetRequest, BootCommandLine, OpenAsset, Services } from '../services.ts';

export const SCHEMATIC = '376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba';
export const CANONICAL = 'customization: {}\n';

/** An open asset over a blob, which counts how often it is disposed. */
export class FakeAsset implements OpenAsset {
  readonly blob: Blob;
  readonly etag: string;
  readonly cached = true;
  immutable = true;
  known: string | undefined;
  disposed = 0;
  hashed = 0;
  location?: (filename: string) => Promise<string>;

  constructor(blob: Blob, etag = 'key-1') {
    this.blob = blob;
    this.etag = etag;
  }

  async digest(algorithm: 'sha256' | 'sha512'): Promise<string> {
    this.hashed++;
    const bytes = await readRange(this.blob, 0, this.blob.size);
    return createHash(algorithm).update(bytes).digest('hex');
  }

  [Symbol.dispose](): void {
    this.disposed++;
  }
}

/** Parts of `Services` that a test wants otherwise. */
export interface FakeOptions {
  readonly open?: (request: AssetRequest) => Promise<OpenAsset>;
  readonly commandLine?: (request: AssetRequest) => Promise<BootCommandLine>;
  readonly create?: Services['schematics']['create'];
  readonly get?: Services['schematics']['get'];
  readonly releases?: Partial<Services['releases']>;
  readonly keys?: Partial<Services['keys']>;
  readonly ready?: Services['ready'];
}

const TALOSCTL = ['talosctl-windows-amd64.exe', 'talosctl-linux-amd64'];

/** Services that know one schematic, one asset of eleven bytes and two versions. */
export function fakeServices(options: FakeOptions = {}): Services {
  const unavailable = (version: string): never => {
    throw new FactoryError('not-found', 'VERSION_NOT_AVAILABLE', `version ${version} is not available`);
  };
  return {
    schematics: {
      create: options.create ?? (async () => ({ id: SCHEMATIC, canonical: CANONICAL, existed: false })),
      async get(id, signal) {
        if (options.get !== undefined) return options.get(id, signal);
        if (id === SCHEMATIC) return { id, canonical: CANONICAL };
        throw new FactoryError(
          'not-found',
          'SCHEMATIC_NOT_FOUND',
          `schematic ID ${JSON.stringify(id)} not found`,
        );
      },
    },
    assets: {
      open: options.open ?? (async () => new FakeAsset(textBlob('hello world'))),
      commandLine:
        options.commandLine ??
        (async ({ version, path }) => ({
          arch: 'amd64',
          platform: 'metal',
          secureboot: path.endsWith('-secureboot'),
          cmdline: 'talos.platform=metal console=tty0',
          version,
        })),
    },
    releases: {
      versions: async () => ['1.10.0', '1.11.0-alpha.1', '1.11.0'].map(parseTalosVersion),
      brokenVersions: () => [parseTalosVersion('1.9.3')],
      extensions: async (version) =>
        version.minor === 5
          ? unavailable('1.5.0-alpha.0')
          : [{ name: 'siderolabs/gvisor', ref: 'r', digest: 'd', author: '<a>', description: 'x' }],
      overlays: async () => [{ name: 'rpi_generic', image: 'i', ref: 'r', digest: 'd' }],
      talosctl: async ({ minor }) => (minor === 3 ? unavailable('1.3.0') : minor < 11 ? [] : TALOSCTL),
      talosctlFile: async (_, name) => ({
        blob: bytesBlob(Buffer.from(`program ${name}`)),
        etag: `sha256:${name}`,
        [Symbol.dispose]: () => {},
      }),
      ...options.releases,
    },
    keys: {
      secureBootCertificate: async () => undefined,
      cosignPublicKey: async () => undefined,
      ...options.keys,
    },
    ready: options.ready ?? (() => ({ ready: true })),
  };
}
