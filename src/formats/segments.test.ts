import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { anyDisk } from './disk-sample.testing.ts';
import { inOrder } from './in-order.ts';
import { planSegments } from './segments.ts';
import { combineCrc32, zeroCrc32 } from './zero-crc32.ts';

const limits = { minZero: 10, minPacked: 5, plain: 100, packed: 50, plainTotal: 1000 };

test('short runs join their neighbours, long ones are cut', () => {
  const cases: readonly [description: string, wanted: string][] = [
    ['', ''],
    ['z3', 'z3'],
    ['p20', 'p20'],
    ['p250', 'p100 p100 p50'],
    ['k120', 'k50 k50 k20'],
    ['z1000', 'z1000'],
    ['p20 z9 p20', 'p49'],
    ['p20 z10 p20', 'p20 z10 p20'],
    ['k20 z9 k20', 'k49'],
    ['k20 z9 p20', 'k20 p29'],
    ['p20 z9 k20', 'p29 k20'],
    ['k20 z9', 'k29'],
    ['z9 p20', 'p29'],
    ['p20 k4 p20', 'p44'],
    ['p20 k4 z20', 'p24 z20'],
    ['z20 k4 z20', 'z20 k4 z20'],
    ['p5 p6', 'p11'],
    ['z5 z6', 'z11'],
    // A large leaf is cut in the same places wherever it is.
    ['p20 p120 p30', 'p20 p100 p50'],
    ['k20 k120', 'k20 k50 k50 k20'],
    ['p20 z9 p120', 'p29 p100 p20'],
    // Beyond the limit of all plain bytes.
    ['p950 z20 p120', 'p100 p100 p100 p100 p100 p100 p100 p100 p100 p50 z20 k50 k50 k20'],
  ];
  for (const [description, wanted] of cases) {
    const blobs = description.split(' ').map((part) => {
      const length = Number(part.slice(1));
      if (part.startsWith('p')) return bytesBlob(new Uint8Array(length));
      return part.startsWith('k')
        ? bytesBlob(new Uint8Array(length), { nature: 'packed' })
        : zeroBlob(length);
    });
    const letters = { zero: 'z', packed: 'k', plain: 'p' } as const;
    const found = planSegments(concatBlobs(blobs), limits);
    assert.equal(found.map((run) => `${letters[run.kind]}${run.length}`).join(' '), wanted, description);
  }
});

test('segments cover the blob, and zero ones are zero', () => {
  fc.assert(
    fc.property(anyDisk, (disk) => {
      const extents = [...disk.extents()];
      let end = 0;
      for (const { kind, offset, length } of planSegments(disk, limits)) {
        assert.equal(offset, end);
        assert.ok(length > 0 && (kind === 'zero' || length <= limits[kind]));
        end += length;
        if (kind !== 'zero') continue;
        for (const extent of extents) {
          const apart = extent.offset >= end || extent.offset + extent.length <= offset;
          assert.ok(apart || extent.kind === 'zero');
        }
      }
      assert.equal(end, disk.size);
    }),
  );
});

test('CRC-32 of zero runs and of one text after another', () => {
  for (const length of [0, 1, 2, 3, 255, 65_536, 1_000_003]) {
    assert.equal(zeroCrc32(length), crc32(new Uint8Array(length)), `${length}`);
  }
  // 2^32 zero bytes and more, by going there in steps that zlib computes.
  const step = crc32(new Uint8Array(1 << 20));
  let crc = 0;
  for (let i = 0; i < 5000; i++) crc = combineCrc32(crc, step, 1 << 20);
  assert.equal(zeroCrc32(5000 * (1 << 20)), crc);
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (first, second) => {
      assert.equal(
        combineCrc32(crc32(first), crc32(second), second.length),
        crc32(Buffer.concat([first, second])),
      );
    }),
  );
});

test('results come in order, and no more is begun than the limit allows', async () => {
  let running = 0;
  let most = 0;
  const items = Array.from({ length: 50 }, (_, i) => i);
  const work = async (item: number): Promise<number> => {
    running++;
    most = Math.max(most, running);
    for (let i = 0; i < (item * 7) % 5; i++) await Promise.resolve();
    running--;
    return item;
  };
  const results = await Array.fromAsync(inOrder(items, work, { cost: () => 10, limit: 30 }));
  assert.deepEqual(results, items);
  assert.ok(most > 1 && most <= 3, `${most}`);
  const alone = await Array.fromAsync(inOrder([1, 2], work, { cost: () => 100, limit: 30 }));
  assert.deepEqual(alone, [1, 2], 'what is over the limit alone is worked on alone');
});

test('a failure and an early end stop what was begun, and wait for it', async () => {
  for (const early of [true, false]) {
    let open = 0;
    const work = async (item: number, signal: AbortSignal): Promise<number> => {
      if (item === 0) return item;
      if (item === 1 && !early) throw new Error('item 1');
      open++;
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => setImmediate(resolve), { once: true });
      });
      open--;
      return item;
    };
    const run = async (): Promise<void> => {
      for await (const _ of inOrder([0, 1, 2, 3], work, { cost: () => 1, limit: 10 })) if (early) break;
    };
    if (early) await run();
    else await assert.rejects(run(), /item 1/);
    assert.equal(open, 0);
  }
});
