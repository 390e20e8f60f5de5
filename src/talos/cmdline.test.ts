import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FactoryError } from '../errors.ts';
import type { Arch } from './arch.ts';
import { type CommandLineRequest, kernelCommandLine, MAX_COMMAND_LINE } from './cmdline.ts';
import type { PlatformName } from './platforms.ts';
import { parseTalosVersion } from './version.ts';

type Row = readonly [PlatformName, Arch, string, CommandLineRequest['kind'], boolean, string];

// spec/initramfs.md §11.5
const ROWS: readonly Row[] = [
  [
    'metal',
    'amd64',
    '1.5.0',
    'cmdline',
    false,
    'talos.platform=metal console=ttyS0 console=tty0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512',
  ],
  [
    'metal',
    'arm64',
    '1.7.0',
    'cmdline',
    false,
    'talos.platform=metal console=ttyAMA0 console=tty0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512',
  ],
  [
    'metal',
    'amd64',
    '1.8.0',
    'cmdline',
    false,
    'talos.platform=metal console=tty0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512',
  ],
  [
    'metal',
    'amd64',
    '1.9.5',
    'iso',
    true,
    'talos.platform=metal console=tty0 talos.halt_if_installed=1 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512 lockdown=confidentiality',
  ],
  [
    'metal',
    'amd64',
    '1.10.1',
    'cmdline',
    false,
    'talos.platform=metal console=tty0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512 selinux=1',
  ],
  [
    'metal',
    'amd64',
    '1.11.0',
    'cmdline',
    false,
    'talos.platform=metal console=tty0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1',
  ],
  [
    'metal',
    'amd64',
    '1.12.0',
    'uki',
    true,
    'talos.platform=metal console=tty0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1 lockdown=confidentiality',
  ],
  [
    'metal',
    'amd64',
    '1.13.0',
    'iso',
    true,
    'talos.platform=metal console=tty0 talos.halt_if_installed=1 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never lockdown=confidentiality',
  ],
  [
    'metal',
    'amd64',
    '1.14.0',
    'iso',
    true,
    'talos.platform=metal console=tty0 talos.halt_if_installed=1 slab_nomerge pti=on consoleblank=0 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  ],
  [
    'metal',
    'arm64',
    '1.14.0',
    'cmdline',
    false,
    'talos.platform=metal console=ttyAMA0 console=tty0 slab_nomerge pti=on consoleblank=0 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  ],
  [
    'aws',
    'amd64',
    '1.9.0',
    'image',
    false,
    'talos.platform=aws console=tty1 console=ttyS0 net.ifnames=0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512',
  ],
  [
    'aws',
    'amd64',
    '1.13.0',
    'image',
    false,
    'talos.platform=aws console=tty1 console=ttyS0 net.ifnames=0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  ],
  [
    'aws',
    'amd64',
    '1.14.0',
    'image',
    false,
    'talos.platform=aws console=tty1 console=ttyS0 net.ifnames=0 nvme_core.io_timeout=4294967295 slab_nomerge pti=on consoleblank=0 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  ],
  [
    'gcp',
    'amd64',
    '1.10.0',
    'image',
    false,
    'talos.platform=gcp console=ttyS0 net.ifnames=0 talos.dashboard.disabled=1 sysctl.kernel.kexec_load_disabled=1 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512 selinux=1',
  ],
  [
    'gcp',
    'amd64',
    '1.14.0',
    'image',
    false,
    'talos.platform=gcp console=ttyS0 net.ifnames=0 talos.dashboard.disabled=1 sysctl.kernel.kexec_load_disabled=1 slab_nomerge pti=on consoleblank=0 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  ],
  [
    'azure',
    'amd64',
    '1.12.3',
    'image',
    false,
    'talos.platform=azure console=ttyS0,115200n8 earlyprintk=ttyS0,115200 rootdelay=300 net.ifnames=0 talos.dashboard.disabled=1 sysctl.kernel.kexec_load_disabled=1 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1',
  ],
  [
    'vmware',
    'amd64',
    '1.11.2',
    'image',
    false,
    'talos.platform=vmware talos.config=guestinfo console=tty0 console=ttyS0 earlyprintk=ttyS0,115200 net.ifnames=0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1',
  ],
  [
    'vmware',
    'arm64',
    '1.14.0',
    'image',
    false,
    'talos.platform=vmware talos.config=guestinfo console=tty0 console=ttyAMA0 net.ifnames=0 slab_nomerge pti=on consoleblank=0 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  ],
  [
    'nocloud',
    'amd64',
    '1.13.1',
    'image',
    false,
    'talos.platform=nocloud console=tty1 console=ttyS0 net.ifnames=0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  ],
  [
    'digital-ocean',
    'amd64',
    '1.7.0',
    'image',
    false,
    'talos.platform=digital-ocean console=ttyS0 console=tty0 console=tty1 net.ifnames=0 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512',
  ],
  [
    'equinixMetal',
    'amd64',
    '1.5.0',
    'image',
    false,
    'talos.platform=equinixMetal console=ttyS1,115200n8 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512',
  ],
];

function request(wanted: Partial<CommandLineRequest> & { readonly release: string }): CommandLineRequest {
  const { release, ...rest } = wanted;
  return {
    platform: 'metal',
    arch: 'amd64',
    kind: 'cmdline',
    secureboot: false,
    overlayArgs: [],
    meta: [],
    extraKernelArgs: [],
    version: parseTalosVersion(release),
    ...rest,
  };
}

describe('kernelCommandLine', () => {
  for (const [platform, arch, release, kind, secureboot, expected] of ROWS) {
    it(`${platform}/${arch} ${release} ${kind}${secureboot ? ' with Secure Boot' : ''}`, () => {
      assert.equal(kernelCommandLine(request({ platform, arch, release, kind, secureboot })), expected);
    });
  }

  it('gives all of 1.5 to 1.7 the same, and an ISO of 1.7 no halt_if_installed', () => {
    const first = kernelCommandLine(request({ release: '1.5.0' }));
    for (const release of ['1.2.0', '1.6.4', '1.7.6'])
      assert.equal(kernelCommandLine(request({ release })), first);
    assert.equal(kernelCommandLine(request({ release: '1.7.6', kind: 'iso' })), first);
  });

  it('treats a pre-release as its release', () => {
    assert.equal(
      kernelCommandLine(request({ release: '1.14.0-alpha.1', platform: 'aws' })),
      kernelCommandLine(request({ release: '1.14.0', platform: 'aws' })),
    );
  });

  it('applies META and extra arguments', () => {
    assert.equal(
      kernelCommandLine(
        request({
          release: '1.10.1',
          kind: 'iso',
          meta: [
            { key: 10, value: 'foo' },
            { key: 11, value: 'bar' },
          ],
          extraKernelArgs: [
            'console=ttyS1,115200',
            'net.ifnames=0',
            '-pti',
            '-init_on_alloc=1',
            'foo',
            'foo=1',
          ],
        }),
      ),
      'talos.platform=metal console=ttyS1,115200 talos.halt_if_installed=1 slab_nomerge consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512 selinux=1 talos.environment=INSTALLER_META_BASE64=MHhhPWZvbzsweGI9YmFy net.ifnames=0 foo foo=1',
    );
  });

  it('lets overlay arguments replace, and keeps META out of disk images', () => {
    assert.equal(
      kernelCommandLine(
        request({
          release: '1.10.0',
          arch: 'arm64',
          kind: 'image',
          meta: [{ key: 10, value: 'foo;bar' }],
          overlayArgs: [
            'console=tty0',
            'console=ttyAMA0,115200',
            'sysctl.kernel.kexec_load_disabled=1',
            'talos.dashboard.disabled=1',
          ],
        }),
      ),
      'talos.platform=metal console=tty0 console=ttyAMA0,115200 sysctl.kernel.kexec_load_disabled=1 talos.dashboard.disabled=1 init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512 selinux=1',
    );
  });

  const TRAPS: readonly (readonly [readonly string[], string])[] = [
    [
      [
        'console=tty0',
        '-console',
        '-selinux=1',
        'x=1',
        'console=ttyS0',
        'x=2',
        '-',
        'talos.platform=nocloud',
        '--y',
      ],
      'talos.platform=nocloud slab_nomerge pti=on consoleblank=0 printk.devkmsg=on module.sig_enforce=1 proc_mem.force_override=never x=1 x=2 -',
    ],
    [
      ['-consoleblank=1', '-pti=on', 'pti=off'],
      'talos.platform=metal console=tty0 slab_nomerge pti=off consoleblank=0 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
    ],
  ];
  for (const [extraKernelArgs, expected] of TRAPS) {
    it(extraKernelArgs.join(' '), () => {
      assert.equal(kernelCommandLine(request({ release: '1.14.0', extraKernelArgs })), expected);
    });
  }

  it('drops extra arguments of installers and UKIs before 1.10 unless they are signed', () => {
    for (const kind of ['installer', 'uki'] as const) {
      const extra = { kind, extraKernelArgs: ['mark'], meta: [{ key: 10, value: 'x' }] };
      assert.equal(kernelCommandLine(request({ ...extra, release: '1.9.5' })).includes('mark'), false);
      assert.ok(kernelCommandLine(request({ ...extra, release: '1.10.0' })).endsWith(' mark'));
      const signed = kernelCommandLine(request({ ...extra, release: '1.9.5', secureboot: true }));
      assert.ok(signed.endsWith(' mark'));
      assert.equal(signed.includes('talos.environment'), false);
    }
  });

  it('refuses control characters, in overlay arguments too', () => {
    for (const bad of ['a\nb', 'a\rb', 'a\0b', 'a\x7fb']) {
      for (const part of [{ extraKernelArgs: ['ok', bad] }, { overlayArgs: [bad] }]) {
        assert.throws(
          () => kernelCommandLine(request({ release: '1.13.0', ...part })),
          (error) => error instanceof FactoryError && error.code === 'KERNEL_ARGS_INVALID',
        );
      }
    }
  });

  it('allows what a kernel takes and not a byte more', () => {
    const base = kernelCommandLine(request({ release: '1.13.0' })).length + ' x='.length;
    const fill = (bytes: number): CommandLineRequest =>
      request({ release: '1.13.0', extraKernelArgs: [`x=${'y'.repeat(bytes)}`] });
    assert.equal(kernelCommandLine(fill(MAX_COMMAND_LINE - base)).length, MAX_COMMAND_LINE);
    assert.throws(() => kernelCommandLine(fill(MAX_COMMAND_LINE - base + 1)), /2048 bytes long/);
  });
});
