import { promisify } from 'node:util';
import { deflate, inflate, zstdCompress, zstdDecompress } from 'node:zlib';
import fc from 'fast-check';
import { type Blob, type LeafBlob, leafExtents } from '../../blob/blob.ts';
import { bytesBlob, textBlob } from '../../blob/bytes.ts';
import { readRange } from '../../blob/consume.ts';
import type { TreeEntry } from '../tree.ts';
import type { BlockCompressor, BlockDecompressor, SquashfsSummary, SquashfsWriteOptions } from './types.ts';
import { writeSquashfs } from './writer.ts';

const zlibPack = promisify(deflate);
const zlibUnpack = promisify(inflate);
const zstdPack = promisify(zstdCompress);
const zstdUnpack = promisify(zstdDecompress);

/** Compressors that need nothing but zlib. */
export const gzipCompressor: BlockCompressor = {
  name: 'gzip',
  concurrency: 3,
  compress: async (block) => zlibPack(block),
};

export const zstdCompressor: BlockCompressor = {
  name: 'zstd',
  concurrency: 3,
  compress: async (block) => zstdPack(block),
  options: Uint8Array.of(3, 0, 0, 0),
};

export const zlibDecompressor: BlockDecompressor = async (name, block, limit) => {
  if (name === 'xz') throw new TypeError('no xz here');
  return name === 'gzip'
    ? zlibUnpack(block, { maxOutputLength: limit })
    : zstdUnpack(block, { maxOutputLength: limit });
};

/** The whole file system in memory; checks that it comes in order, and the superblock last. */
export async function squashfsBytes(
  entries: readonly TreeEntry[],
  options: Partial<SquashfsWriteOptions> = {},
): Promise<{ readonly bytes: Buffer; readonly summary: SquashfsSummary }> {
  const chunks: Uint8Array[] = [];
  let end = 96;
  let superblock: Uint8Array | undefined;
  const summary = await writeSquashfs(
    entries,
    { compressor: gzipCompressor, mtime: 1559424892, ...options },
    async (chunk, position) => {
      if (superblock !== undefined) throw new Error('something follows the superblock');
      if (position === 0) {
        superblock = chunk;
        return;
      }
      if (position !== end) throw new Error(`written at ${position} instead of ${end}`);
      chunks.push(chunk);
      end += chunk.length;
    },
  );
  return { bytes: Buffer.concat([superblock ?? new Uint8Array(0), ...chunks]), summary };
}

/** A byte that looks random (the finalizer of MurmurHash3). */
export function noise(n: number): number {
  let x = Math.imul(n ^ (n >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) & 0xff;
}

/** A blob of pseudo-random or repeated bytes that are made when they are read; counts what was read. */
export function generatedBlob(size: number, packable: boolean): LeafBlob & { taken: number } {
  const chunk = new Uint8Array(64 * 1024);
  const blob: LeafBlob & { taken: number } = {
    size,
    nature: 'plain',
    key: undefined,
    taken: 0,
    async *read(offset, length) {
      for (let at = offset; at < offset + length; ) {
        const part = chunk.slice(0, Math.min(chunk.length, offset + length - at));
        for (let i = 0; i < part.length; i++) {
          const n = at + i;
          part[i] = packable ? n >> 12 : noise(n);
        }
        at += part.length;
        blob.taken += part.length;
        yield part;
      }
    },
    extents: () => leafExtents(blob),
  };
  return blob;
}

const name = fc.oneof(
  { weight: 5, arbitrary: fc.stringMatching(/^[a-d]{1,2}$/) },
  { weight: 1, arbitrary: fc.stringMatching(/^[a-zäß ._+-]{1,80}x$/) },
);
const content: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.tuple(fc.nat(20_000), fc.nat(255)).map(([size, byte]) => new Uint8Array(size).fill(byte)),
  fc
    .tuple(fc.nat(20_000), fc.nat(3))
    .map(([size, seed]) =>
      Uint8Array.from({ length: size }, (_, i) => Math.imul(i + seed, 2654435761) >>> 24),
    ),
  fc.constantFrom(0, 4095, 4096, 4097, 8192).map((size) => new Uint8Array(size).fill(size & 1)),
);
const xattrs = fc.dictionary(
  fc.stringMatching(/^(user|trusted|security)\.[a-z]{1,8}$/),
  fc.uint8Array({ maxLength: 40 }),
  {
    maxKeys: 2,
  },
);

/** Trees with all directories, sorted as trees are, of files that fit blocks of 4 KiB in all ways. */
export const trees: fc.Arbitrary<TreeEntry[]> = fc
  .array(
    fc.record({
      parts: fc.array(name, { minLength: 1, maxLength: 4 }),
      kind: fc.constantFrom('file', 'file', 'symlink', 'directory'),
      mode: fc.nat(0o7777),
      content,
      target: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 }),
      xattrs: fc.option(xattrs, { freq: 3 }),
    }),
    { maxLength: 25 },
  )
  .map((drafts) => {
    const tree = new Map<string, TreeEntry>([['', { type: 'directory', path: '', mode: 0o755 }]]);
    for (const draft of drafts) {
      const path = draft.parts.join('/');
      const parents = draft.parts.slice(1).map((_, i) => draft.parts.slice(0, i + 1).join('/'));
      if (
        tree.has(path) ||
        parents.some((parent) => tree.has(parent) && tree.get(parent)?.type !== 'directory')
      )
        continue;
      for (const parent of parents) {
        if (!tree.has(parent)) tree.set(parent, { type: 'directory', path: parent, mode: 0o755 });
      }
      const base = {
        path,
        mode: draft.mode,
        ...(draft.xattrs === null ? {} : { xattrs: new Map(Object.entries(draft.xattrs)) }),
      };
      if (draft.kind === 'file') tree.set(path, { ...base, type: 'file', content: bytesBlob(draft.content) });
      else if (draft.kind === 'symlink')
        tree.set(path, { ...base, mode: 0o777, type: 'symlink', target: draft.target });
      else tree.set(path, { ...base, type: 'directory', mode: draft.mode | 0o700 });
    }
    return [...tree.values()];
  });

/** A plain form of entries, for comparing: everything but the order of attributes. */
export async function plainTree(
  entries: Iterable<TreeEntry> | AsyncIterable<TreeEntry>,
): Promise<Map<string, unknown>> {
  const result = new Map<string, unknown>();
  for await (const entry of entries) {
    const attributes = [...(entry.xattrs ?? [])].map(
      ([key, value]) => `${key}=${Buffer.from(value).toString('hex')}`,
    );
    const body =
      entry.type === 'file' ? await base64Of(entry.content) : entry.type === 'symlink' ? entry.target : '';
    result.set(entry.path, { type: entry.type, mode: entry.mode, body, xattrs: attributes.sort() });
  }
  return result;
}

async function base64Of(blob: Blob): Promise<string> {
  return Buffer.from(await readRange(blob, 0, blob.size)).toString('base64');
}

export const sampleTree: readonly TreeEntry[] = [
  { type: 'directory', path: '', mode: 0o755 },
  { type: 'directory', path: 'usr', mode: 0o1777 },
  { type: 'file', path: 'usr/a', mode: 0o4755, content: textBlob('content of a\n') },
  { type: 'symlink', path: 'usr/b', mode: 0o777, target: 'a' },
];
