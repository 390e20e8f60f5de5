import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { writtenRanges } from './disk-writes.ts';

const { signal } = new AbortController();

async function temporary(t: { after(work: () => Promise<void>): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'disk-writes-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test('what was written is found, whatever the file system made of it', async (t) => {
  const directory = await temporary(t);
  let run = 0;
  const write = fc.record({
    at: fc.oneof(fc.nat(70_000), fc.nat((4 << 20) - 5000)),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 5000 }),
      fc.nat(5000).map((size) => new Uint8Array(size)),
      fc.nat(5000).map((size) => new Uint8Array(size).fill(1)),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 6 }), fc.constantFrom(0, 100), async (writes, odd) => {
      const path = join(directory, `disk ${run++}`);
      const size = (4 << 20) + odd;
      const expected = Buffer.alloc(size);
      {
        await using disk = await open(path, 'wx');
        await disk.truncate(size);
        for (const { at, bytes } of writes) {
          await disk.write(bytes, 0, bytes.length, at);
          expected.set(bytes, at);
        }
      }
      const found = Buffer.alloc(size);
      const content = await readFile(path);
      let end = -1;
      for (const range of await writtenRanges(path, 1000, signal)) {
        assert.ok(range.offset > end && range.offset % 512 === 0, 'in order, sectors, not adjacent');
        end = range.offset + range.size;
        for (let at = range.offset; at < end; at += 512) {
          assert.ok(
            content.subarray(at, Math.min(at + 512, end)).some((byte) => byte !== 0),
            'no zero sectors',
          );
        }
        content.copy(found, range.offset, range.offset, end);
      }
      assert.ok(found.equals(expected));
    }),
    { numRuns: 20 },
  );
});

test('a file without holes is read whole; links are not followed; too many places are refused', async (t) => {
  const directory = await temporary(t);
  const path = join(directory, 'disk');
  {
    await using disk = await open(path, 'wx');
    const bytes = Buffer.alloc(1 << 20);
    for (let at = 0; at < bytes.length; at += 1024) bytes[at + 511] = 7;
    await disk.writeFile(bytes);
  }
  const ranges = await writtenRanges(path, 1024, signal);
  assert.equal(ranges.length, 1024);
  assert.deepEqual(ranges[1], { offset: 1024, size: 512 });
  await assert.rejects(writtenRanges(path, 1023, signal), { name: 'UnusableFiles' });
  await symlink(path, join(directory, 'link'));
  await assert.rejects(writtenRanges(join(directory, 'link'), 1, signal), { code: 'ELOOP' });
});
