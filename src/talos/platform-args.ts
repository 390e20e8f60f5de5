import type { Arch } from './arch.ts';
import { gatesOf } from './gates.ts';
import type { PlatformName } from './platforms.ts';
import type { TalosVersion } from './version.ts';

const NVME_TIMEOUT = 'nvme_core.io_timeout=4294967295';
const CLOUD = ['console=tty1', 'console=ttyS0', 'net.ifnames=0'];
const NO_DASHBOARD = 'talos.dashboard.disabled=1';
const NO_KEXEC = 'sysctl.kernel.kexec_load_disabled=1';

/** What a platform adds after `talos.platform=` (`spec/initramfs.md` §11.3). */
export function platformArgs(platform: PlatformName, arch: Arch, version: TalosVersion): readonly string[] {
  const gates = gatesOf(version);
  switch (platform) {
    case 'metal':
      if (arch === 'arm64') return ['console=ttyAMA0', 'console=tty0'];
      return gates.metalSerialConsole ? ['console=ttyS0', 'console=tty0'] : ['console=tty0'];
    case 'aws':
      return gates.initOnAlloc ? CLOUD : [...CLOUD, NVME_TIMEOUT];
    case 'alibabacloud':
    case 'cloudstack':
    case 'exoscale':
    case 'hcloud':
    case 'nocloud':
    case 'opennebula':
    case 'openstack':
      return CLOUD;
    case 'oracle':
    case 'scaleway':
      return [...CLOUD, NO_DASHBOARD];
    case 'akamai':
    case 'digital-ocean':
      return ['console=ttyS0', 'console=tty0', 'console=tty1', 'net.ifnames=0'];
    case 'upcloud':
    case 'vultr':
      return ['net.ifnames=0'];
    case 'gcp':
      return ['console=ttyS0', 'net.ifnames=0', NO_DASHBOARD, NO_KEXEC];
    case 'azure':
      return [
        'console=ttyS0,115200n8',
        'earlyprintk=ttyS0,115200',
        'rootdelay=300',
        'net.ifnames=0',
        NO_DASHBOARD,
        NO_KEXEC,
      ];
    case 'vmware':
      return arch === 'arm64'
        ? ['talos.config=guestinfo', 'console=tty0', 'console=ttyAMA0', 'net.ifnames=0']
        : [
            'talos.config=guestinfo',
            'console=tty0',
            'console=ttyS0',
            'earlyprintk=ttyS0,115200',
            'net.ifnames=0',
          ];
    case 'equinixMetal':
      return [arch === 'arm64' ? 'console=ttyAMA0,115200' : 'console=ttyS1,115200n8'];
    case 'container':
      return [];
  }
}

/** What every machine gets (`spec/initramfs.md` §11.4). */
export function defaultArgs(version: TalosVersion): readonly string[] {
  const gates = gatesOf(version);
  return [
    ...(gates.initOnAlloc ? ['init_on_alloc=1'] : []),
    'slab_nomerge=',
    'pti=on',
    'consoleblank=0',
    ...(gates.initOnAlloc ? [NVME_TIMEOUT] : []),
    'printk.devkmsg=on',
    ...(gates.ima ? ['ima_template=ima-ng', 'ima_appraise=fix', 'ima_hash=sha512'] : []),
    ...(gates.selinux ? ['selinux=1'] : []),
    ...(gates.moduleSignatures ? ['module.sig_enforce=1'] : []),
    ...(gates.procMem ? ['proc_mem.force_override=never'] : []),
  ];
}
