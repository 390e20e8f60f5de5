import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesBlob } from '../../blob/bytes.ts';
import { readListing } from './directory-reader.ts';
import { type DirectoryItem, writeDirectory } from './directory-writer.ts';
import { MetadataReader } from './metadata-reader.ts';
import { MetadataWriter } from './metadata-writer.ts';
import { gzipCompressor, zlibDecompressor } from './squashfs.testing.ts';
import { INODE_TYPES, METADATA_SIZE } from './types.ts';

/** Items with names of these lengths, inodes spread over blocks, numbers far apart where `far`. */
function itemsOf(lengths: readonly number[], far: boolean): DirectoryItem[] {
  return lengths.map((length, i) => ({
    name: Buffer.from(
      String(i)
        .padStart(6, '0')
        .padEnd(6 + length, 'x'),
    ),
    type: INODE_TYPES.file,
    number: 1 + i * (far ? 9000 : 1),
    inode: { block: Math.floor(i / 300) * 77, offset: (i % 300) * 27 },
  }));
}

test('listings read as written, and every index entry points at a header whose first name it has', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(METADATA_SIZE - 1),
      fc.array(fc.nat(249), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 30 }),
      fc.boolean(),
      async (before, lengths, repeat, far) => {
        const items = itemsOf(new Array(repeat).fill(lengths).flat(), far);
        const table = new MetadataWriter(gzipCompressor);
        await table.write(new Uint8Array(before));
        const written = await writeDirectory(table, items);
        const { blocks } = await table.finish();
        const bytes = Buffer.concat(blocks);
        const reader = new MetadataReader({
          blob: bytesBlob(bytes),
          decompress: zlibDecompressor,
          compression: 'gzip',
          bytesUsed: bytes.length,
          blockSize: 131072,
        });
        const area = { start: 0, end: bytes.length };
        const { position, size, index } = written;
        const cursor = reader.cursor(area, position.block, position.offset);
        const names = await readListing(cursor, size, items.length);
        assert.deepEqual(
          names.map(({ name, block, offset }) => [name, block, offset]),
          items.map((item) => [item.name.toString(), item.inode.block, item.inode.offset]),
        );
        // fs/squashfs/namei.c: the offset in the block is that of the listing plus the index entry's, modulo 8 KiB.
        const blocksOfIndex = new Set([position.block]);
        for (const entry of index) {
          assert.ok(!blocksOfIndex.has(entry.block));
          blocksOfIndex.add(entry.block);
          const at = reader.cursor(area, entry.block, (position.offset + entry.offset) % METADATA_SIZE);
          const count = (await at.view(12)).getUint32(0, true) + 1;
          assert.ok(count >= 1 && count <= 256);
          const length = (await at.view(8)).getUint16(6, true) + 1;
          assert.deepEqual(Buffer.from(await at.take(length)), Buffer.from(entry.name));
        }
        // A header near the end of a block may push the next one a block further, no more.
        assert.ok(index.length >= Math.floor((position.offset + size) / METADATA_SIZE / 2) - 1);
      },
    ),
    { numRuns: 60 },
  );
});
