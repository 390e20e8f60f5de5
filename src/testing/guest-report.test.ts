import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGuestReport } from './guest-report.ts';

const LOG = [
  '\x1b[2JBooting from ROM...',
  'SANDBOX begin arch=x86_64 kernel=6.12.1-cloud-amd64\r',
  'SANDBOX version=v1.10.1\r',
  'SANDBOX cmdline=talos.platform=metal console=tty0 a=b=c \r',
  'SANDBOX boot=efi\r',
  'SANDBOX efi StubInfo=systemd-stub 257\r',
  'SANDBOX layer image=0.sqsh name=gvisor version=20250505.0\r',
  'SANDBOX layer image=1.sqsh name=schematic version=376567\r',
  'SANDBOX schematic=376567\r',
  'SANDBOX file /usr/local/a=first = line\r',
  '[    3.1] kernel talks SANDBOX module drbd=loaded\r',
  'SANDBOX module dummy=failed: not found\r',
  'SANDBOX firmware /lib/firmware/a=00ff\r',
  'SANDBOX microcode /kernel/x86/microcode/GenuineIntel.bin=11\r',
  'SANDBOX meta-argument 0xa=foo=1\r',
  'SANDBOX meta-disk digest=right copies=equal\r',
  'SANDBOX meta 0x11=dual-boot\r',
  'SANDBOX error layer 2.sqsh does not mount\r',
  'SANDBOX end\r',
];

test('every kind of line of the guest is read', () => {
  assert.deepEqual(parseGuestReport(LOG.join('\n')), {
    version: 'v1.10.1',
    machine: 'x86_64',
    kernel: '6.12.1-cloud-amd64',
    cmdline: 'talos.platform=metal console=tty0 a=b=c',
    boot: 'efi',
    efi: new Map([['StubInfo', 'systemd-stub 257']]),
    layers: [
      { image: '0.sqsh', name: 'gvisor', version: '20250505.0' },
      { image: '1.sqsh', name: 'schematic', version: '376567' },
    ],
    schematic: '376567',
    files: new Map([['/usr/local/a', 'first = line']]),
    modules: new Map([
      ['drbd', 'loaded'],
      ['dummy', 'failed: not found'],
    ]),
    firmware: new Map([['/lib/firmware/a', '00ff']]),
    microcode: new Map([['/kernel/x86/microcode/GenuineIntel.bin', '11']]),
    metaArgument: ['0xa=foo=1'],
    meta: new Map([['0x11', 'dual-boot']]),
    metaDisk: 'digest=right copies=equal',
    errors: ['layer 2.sqsh does not mount'],
  });
});

test('a log without an end, or whose last guest has not ended, has no report', () => {
  assert.equal(parseGuestReport(''), undefined);
  assert.equal(parseGuestReport('SANDBOX end\n'), undefined);
  assert.equal(parseGuestReport(LOG.slice(0, -1).join('\n')), undefined);
  assert.equal(parseGuestReport([...LOG, ...LOG.slice(0, 5)].join('\n')), undefined);
});
