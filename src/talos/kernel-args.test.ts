import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KernelArgs } from './kernel-args.ts';

// spec/initramfs.md §11.6
const S = 'console=tty0 console=ttyS0 root=/dev/sdb';
const ROWS: readonly (readonly [string, string, boolean, boolean, string])[] = [
  [
    'ip=dhcp console=x root=/dev/sdc',
    'root=/dev/sda root=/dev/sdb',
    false,
    false,
    'ip=dhcp console=x root=/dev/sdc root=/dev/sda root=/dev/sdb',
  ],
  ['root=/dev/sdb', 'this=that=those', false, false, 'root=/dev/sdb this=that=those'],
  [
    S,
    'console=tty0 console=ttyS1,115200 nogui',
    false,
    false,
    'console=tty0 console=ttyS0 console=tty0 console=ttyS1,115200 root=/dev/sdb nogui',
  ],
  [
    S,
    'console=tty0 console=ttyS1,115200 nogui',
    true,
    false,
    'console=tty0 console=ttyS1,115200 root=/dev/sdb nogui',
  ],
  [S, '-console nogui', true, true, 'root=/dev/sdb nogui'],
  [
    'console=tty0 console=ttyS0,9600 root=/dev/sdb',
    '-console=ttyS0,9600 nogui',
    false,
    true,
    'console=tty0 root=/dev/sdb nogui',
  ],
  [S, '-console nogui console=ttyAMA0', true, true, 'root=/dev/sdb nogui console=ttyAMA0'],
  [
    S,
    '-console=tty0 nogui console=ttyAMA0',
    false,
    true,
    'console=ttyS0 console=ttyAMA0 root=/dev/sdb nogui',
  ],
  [S, '-console=tty0 nogui console=ttyAMA0', true, true, 'console=ttyAMA0 root=/dev/sdb nogui'],
  // §11.1
  ['a=1 b a=2', '', false, false, 'a=1 a=2 b'],
  ['a b', '-unknown -unknown=1 -', false, true, 'a b -'],
  ['a b', '-a= -b', false, false, 'a b -a -b'],
  ['k=1 x', '-k=1 k=2', false, true, 'k=2 x'],
  ['k=1 x', '-k k=2', false, true, 'x k=2'],
];

describe('KernelArgs', () => {
  for (const [initial, added, overwrite, negation, expected] of ROWS) {
    it(`${initial} + ${added}`, () => {
      const args = KernelArgs.parse(initial);
      args.appendAll(added.split(' '), {
        overwrite: new Set(overwrite ? ['console'] : []),
        negation,
      });
      assert.equal(args.toString(), expected);
    });
  }

  it('replaces with setAll, in place', () => {
    const args = KernelArgs.parse('root=/dev/sdb root=/dev/sdc aye=sir');
    args.setAll(['root=/dev/mmcblk0', 'new']);
    assert.equal(args.toString(), 'root=/dev/mmcblk0 aye=sir new');
  });

  it('splits an argument at its white space', () => {
    assert.equal(KernelArgs.parse(' a\t b=1\n  c= \u2028d').toString(), 'a b=1 c d');
  });

  it('prints what it reads as it prints it', () => {
    const word = fc.stringMatching(/^[a-z-]{1,3}(=[a-z=]{0,3})?$/);
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const once = KernelArgs.parse(words.join(' ')).toString();
        assert.equal(KernelArgs.parse(once).toString(), once);
      }),
    );
  });

  it('survives keys that objects have', () => {
    assert.equal(KernelArgs.parse('__proto__=1 constructor').toString(), '__proto__=1 constructor');
  });
});
