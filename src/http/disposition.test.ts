import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attachment, safeFilename } from './disposition.ts';

const vectors: readonly [string, string][] = [
  ['custom-filename.iso', 'attachment; filename="custom-filename.iso"'],
  ['a"b.iso', 'attachment; filename="a\\"b.iso"'],
  ['a\r\nSet-Cookie: x=1', 'attachment; filename="aSet-Cookie: x=1"'],
  ['a\u0000b\u007fc\u0085d', 'attachment; filename="abcd"'],
  ['../../etc/passwd', 'attachment; filename="....etcpasswd"'],
  ['C:\\boot.ini', 'attachment; filename="C:boot.ini"'],
  ['..', 'attachment; filename="download"'],
  ['/', 'attachment; filename="download"'],
  ['', 'attachment; filename="download"'],
  ['100%.iso', 'attachment; filename="100%.iso"'],
  ['a;b=c', 'attachment; filename="a;b=c"'],
  ['tälös.iso', `attachment; filename="t_l_s.iso"; filename*=UTF-8''t%C3%A4l%C3%B6s.iso`],
  ['€ rates(1).iso', `attachment; filename="_ rates(1).iso"; filename*=UTF-8''%E2%82%AC%20rates%281%29.iso`],
  ["it's*é", `attachment; filename="it's*_"; filename*=UTF-8''it%27s%2A%C3%A9`],
  ['😀.iso', `attachment; filename="_.iso"; filename*=UTF-8''%F0%9F%98%80.iso`],
  ['exe\u202egpj.iso', 'attachment; filename="exegpj.iso"'],
  ['\ud800x', `attachment; filename="_x"; filename*=UTF-8''%EF%BF%BDx`],
];

for (const [name, expected] of vectors) {
  test(JSON.stringify(name), () => assert.equal(attachment(name), expected));
}

test('long names are cut without splitting a character', () => {
  const name = safeFilename(`${'x'.repeat(254)}😀`);
  assert.equal(name, 'x'.repeat(254));
});

test('any name gives one well-formed field that a client reads back as the safe name', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const field = attachment(name);
      const match =
        /^attachment; filename="((?:[^"\\]|\\["\\])*)"(?:; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*))?$/.exec(
          field,
        );
      assert.ok(match, field);
      assert.match(field, /^[\x20-\x7e]*$/);
      const read = match[2] === undefined ? match[1]?.replace(/\\(.)/g, '$1') : decodeURIComponent(match[2]);
      assert.equal(read, safeFilename(name));
      assert.doesNotMatch(safeFilename(name), /[/\\\n\r]/);
      assert.equal(safeFilename(safeFilename(name)), safeFilename(name));
    }),
  );
});
