import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { bytesBlob, textBlob, zeroBlob } from '../blob/bytes.ts';
import { readAll, sha256 } from '../blob/consume.ts';
import { syntheticStub } from './pe.testing.ts';
import { findSection, readPe, sectionContent } from './pe.ts';
import { appendSections } from './pe-assemble.ts';
import { authenticodeDigest } from './pe-digest.ts';

const run = promisify(execFile);
const stub = syntheticStub();

test('the synthetic stub is the one of the specification', async () => {
  assert.equal(stub.length, 1536);
  assert.equal(
    await sha256(bytesBlob(stub)),
    '031b0586f827247d660e0ce26e9b38ad49faae9db2f4154a44a4fe583c11e07c',
  );
});

test('appended sections are read back, in order, with their exact content', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          name: fc.stringMatching(/^\.[a-z]{1,7}$/),
          content: fc.uint8Array({ maxLength: 5000 }),
          alignment: fc.constantFrom(undefined, 512, 2048, 4096),
        }),
        { maxLength: 6 },
      ),
      async (added) => {
        const image = await appendSections(
          bytesBlob(stub),
          added.map(({ name, content, alignment }) => ({
            name,
            content: bytesBlob(content),
            ...(alignment === undefined ? {} : { alignment }),
          })),
          { timestamp: 1 },
        );
        const pe = await readPe(image);
        assert.deepEqual(
          pe.sections.map(({ name }) => name),
          ['.text', '.sbat', ...added.map(({ name }) => name)],
        );
        let end = pe.sizeOfHeaders;
        let address = 0;
        for (const [i, section] of pe.sections.entries()) {
          assert.equal(section.rawOffset, end);
          assert.equal(section.rawSize % 512, 0);
          assert.equal(section.virtualAddress % 4096, 0);
          assert.ok(section.virtualAddress >= address);
          end += section.rawSize;
          address = section.virtualAddress + section.virtualSize;
          const source = added[i - 2];
          if (source === undefined) continue;
          if (i > 2) assert.equal(section.rawOffset % (source.alignment ?? 512), 0);
          assert.deepEqual(await readAll(sectionContent(pe, section)), source.content);
        }
        assert.equal(end, image.size);
      },
    ),
    { numRuns: 50 },
  );
});

/** A change of the stub's bytes: offset and 32-bit little-endian value. */
const broken: readonly (readonly [string, number, number, RegExp])[] = [
  ['no MZ', 0, 0, /no MZ header/],
  ['PE signature far away', 0x3c, 0xfffffff0, /cut off/],
  ['PE signature beside', 0x3c, 0x48, /no PE signature/],
  ['symbols', 0x40 + 4 + 8, 1, /COFF symbols are not supported/],
  ['PE32', 0x40 + 24, 0x0201_010b, /failed to get optional header/],
  ['many sections', 0x40 + 4, 0xffff_8664, /65535 sections does not fit/],
  ['odd alignment', 0x40 + 24 + 36, 0x201, /alignments/],
  ['headers beyond the end', 0x40 + 24 + 60, 0x10000, /size of headers/],
  ['section beyond the end', 0x40 + 24 + 240 + 20, 0x600, /beyond the end of the file/],
  ['certificates beyond the end', 0x40 + 24 + 148, 0x700, /certificates lie beyond/],
];

test('broken images are refused with the reason', async (t) => {
  for (const [name, offset, value, reason] of broken) {
    await t.test(name, async () => {
      const bytes = Buffer.from(stub);
      bytes.writeUInt32LE(value, offset);
      await assert.rejects(readPe(bytesBlob(bytes)), { code: 'PE_INVALID', message: reason });
    });
  }
  await assert.rejects(readPe(bytesBlob(stub.subarray(0, 300))), { code: 'PE_INVALID' });
  await assert.rejects(readPe(zeroBlob(0)), { code: 'PE_INVALID' });
});

test('any change of a byte is either refused or read within bounds', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(stub.length - 1), fc.nat(255), async (offset, value) => {
      const bytes = Buffer.from(stub);
      bytes[offset] = value;
      try {
        const pe = await readPe(bytesBlob(bytes));
        for (const section of pe.sections) await readAll(sectionContent(pe, section));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'PE_INVALID');
      }
    }),
    { numRuns: 300 },
  );
});

test('an image beyond 4 GiB is refused', async () => {
  const huge = { name: '.initrd', content: zeroBlob(2 ** 32 - 4096) };
  await assert.rejects(appendSections(bytesBlob(stub), [huge], { timestamp: 0 }), { code: 'PE_TOO_LARGE' });
});

test('a signed stub is refused', async () => {
  const bytes = Buffer.from(stub);
  bytes.writeUInt32LE(0x400, 0x40 + 24 + 144);
  bytes.writeUInt32LE(8, 0x40 + 24 + 148);
  await assert.rejects(appendSections(bytesBlob(bytes), [], { timestamp: 0 }), /signed already/);
});

test('objcopy finds every section as it was appended, objdump no fault', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'pe-'));
  t.after(() => rm(dir, { recursive: true }));
  const contents = { '.osrel': 'ID=x\n', '.cmdline': 'console=ttyS0', '.linux': 'L'.repeat(3000) };
  const image = await appendSections(
    bytesBlob(stub),
    Object.entries(contents).map(([name, text]) => ({ name, content: textBlob(text) })),
    { timestamp: 1559424892 },
  );
  const file = join(dir, 'image.efi');
  await writeFile(file, await readAll(image));
  const dump = await run('objdump', ['-h', '-p', file]);
  assert.match(dump.stdout, /file format pei-x86-64/);
  assert.match(dump.stdout, /Time\/Date\s+Sat Jun\s+1 21:34:52 2019/);
  for (const [name, text] of Object.entries(contents)) {
    const out = join(dir, `section${name}`);
    await run('objcopy', ['--dump-section', `${name}=${out}`, file, join(dir, 'copy')]);
    assert.equal((await readFile(out, 'latin1')).replace(/\0+$/, ''), text);
  }
  const listed = await run('sbverify', ['--list', file]).catch((error: { stderr: string }) => error);
  assert.match(`${listed.stderr}`, /No signature table present/);
});

test('the digest leaves out checksum and certificates', async () => {
  const plain = await authenticodeDigest(bytesBlob(stub));
  const summed = Buffer.from(stub);
  summed.writeUInt32LE(0x1234, 0x40 + 24 + 64);
  assert.deepEqual(await authenticodeDigest(bytesBlob(summed)), plain);
  const signed = Buffer.concat([summed, Buffer.alloc(64, 7)]);
  signed.writeUInt32LE(stub.length, 0x40 + 24 + 144);
  signed.writeUInt32LE(64, 0x40 + 24 + 148);
  assert.deepEqual(await authenticodeDigest(bytesBlob(signed)), plain);
  const other = Buffer.from(stub);
  other[0x210] = 1;
  assert.notDeepEqual(await authenticodeDigest(bytesBlob(other)), plain);
  assert.ok(findSection(await readPe(bytesBlob(signed)), '.sbat'));
});

test('sbsign signs the digest, with and without bytes after the sections', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'pe-'));
  t.after(() => rm(dir, { recursive: true }));
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const subject = ['-subj', '/CN=test', '-days', '1'];
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    ...subject,
  ]);
  const image = await appendSections(bytesBlob(stub), [{ name: '.linux', content: textBlob('L') }], {
    timestamp: 1,
  });
  for (const rest of [0, 16]) {
    const [file, signed] = [join(dir, `${rest}.efi`), join(dir, `${rest}.signed`)];
    await writeFile(file, Buffer.concat([await readAll(image), Buffer.alloc(rest, 1)]));
    await run('sbsign', ['--key', key, '--cert', cert, '--output', signed, file]);
    const bytes = await readFile(signed);
    const { certificates } = await readPe(bytesBlob(bytes));
    const signature = bytes.subarray(certificates.offset, certificates.offset + certificates.size);
    assert.ok(signature.includes(Buffer.from(await authenticodeDigest(bytesBlob(bytes)))), `${rest} bytes`);
  }
});
