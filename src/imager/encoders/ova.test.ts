import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Blob, LeafBlob } from '../../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../../blob/bytes.ts';
import { concatBlobs } from '../../blob/compose.ts';
import { readRange, sha256, writeBlob } from '../../blob/consume.ts';
import { mixedDisk, noise } from '../../formats/disk-sample.testing.ts';
import { diskCompressors } from './compressors.ts';
import { encodeOva } from './ova.ts';

function wholeMiB(): Blob {
  const disk = mixedDisk();
  return concatBlobs([disk, zeroBlob((1 << 20) - (disk.size % (1 << 20)))]);
}

test('tar unpacks it, the manifest holds, the disk is the disk, the description says what it has to', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'ova-'));
  t.after(() => rm(dir, { recursive: true }));
  const disk = wholeMiB();
  const digests: string[] = [];
  for (const time of [1, 2]) {
    const ova = await encodeOva(disk, { compress: diskCompressors().grain, identity: 'test' });
    digests.push(await sha256(ova));
    if (time === 1) await writeBlob(ova, join(dir, 'ova'));
  }
  assert.equal(digests[0], digests[1], 'the same bytes every time');
  const listing = execFileSync('tar', ['-xvf', join(dir, 'ova'), '-C', dir], { encoding: 'utf8' });
  assert.equal(listing, 'disk.ovf\ndisk.mf\ndisk.vmdk\n');
  const digest = async (name: string): Promise<string> =>
    createHash('sha256')
      .update(await readFile(join(dir, name)))
      .digest('hex');
  assert.equal(
    await readFile(join(dir, 'disk.mf'), 'utf8'),
    `SHA256(disk.vmdk)= ${await digest('disk.vmdk')}\nSHA256(disk.ovf)= ${await digest('disk.ovf')}\n`,
  );
  await writeBlob(disk, join(dir, 'raw'));
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(dir, 'raw'), join(dir, 'disk.vmdk')]);

  const found = queries(join(dir, 'disk.ovf'));
  const size = (await stat(join(dir, 'disk.vmdk'))).size;
  assert.equal(found['References/File@size'], String(size));
  assert.equal(found['DiskSection/Disk@capacity'], String(disk.size / 2 ** 20));
  for (const [path, value] of Object.entries(FACTS)) assert.equal(found[path], value, path);
});

test('EFI firmware is said when asked for', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'ova-'));
  t.after(() => rm(dir, { recursive: true }));
  const disk = zeroBlob(1 << 20);
  const options = { compress: diskCompressors().grain, identity: 'test', firmware: 'efi' } as const;
  await writeBlob(await encodeOva(disk, options), join(dir, 'ova'));
  execFileSync('tar', ['-xf', join(dir, 'ova'), '-C', dir]);
  assert.equal(queries(join(dir, 'disk.ovf'))['VirtualSystem/VirtualHardwareSection/Config@firmware'], 'efi');
});

test('the size and any part but the manifest are there before the packed bytes have been read', async () => {
  let allowed = 0;
  const leaf = bytesBlob(noise(3 << 20, 1), { nature: 'packed' });
  const packed: LeafBlob = {
    ...leaf,
    read(offset, length, signal) {
      allowed -= length;
      if (allowed < 0) throw new Error('packed bytes were read');
      return leaf.read(offset, length, signal);
    },
    extents: () => [{ kind: 'data', offset: 0, length: leaf.size, source: packed, sourceOffset: 0 }],
  };
  const disk = concatBlobs([packed, zeroBlob(1 << 20)]);
  const ova = await encodeOva(disk, { compress: diskCompressors().grain, identity: 'test' });
  const head = await readRange(ova, 0, 600);
  // The last 100 KB, and the last MiB for their checksums.
  allowed = (1 << 20) + 100_000;
  const tail = await readRange(ova, ova.size - 100_000, 100_000);
  await assert.rejects(readRange(ova, 0, 65536), /packed bytes were read/);
  allowed = Number.MAX_SAFE_INTEGER;
  const whole = await readRange(ova, 0, ova.size);
  assert.deepEqual(head, whole.subarray(0, 600));
  assert.deepEqual(tail, whole.subarray(-100_000));
});

test('a disk of no whole MiB is refused', async () => {
  const options = { compress: diskCompressors().grain, identity: 'test' };
  await assert.rejects(encodeOva(zeroBlob(512), options), { code: 'OVA_SIZE_INVALID' });
});

/** `spec/outputs-disk.md` §8.4, as an XML parser finds it: paths without namespaces, items by their number. */
const SYSTEM = 'VirtualSystem/VirtualHardwareSection';
const FACTS: Readonly<Record<string, string>> = {
  'References/File@href': 'disk.vmdk',
  'References/File@id': 'file1',
  'DiskSection/Disk@capacityAllocationUnits': 'byte * 2^20',
  'DiskSection/Disk@diskId': 'vmdisk1',
  'DiskSection/Disk@fileRef': 'file1',
  'DiskSection/Disk@format': 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized',
  'NetworkSection/Network@name': 'VM Network',
  'NetworkSection/Network/Description': 'The VM Network network',
  'VirtualSystem@id': 'vm',
  'VirtualSystem/Name': 'talos',
  'VirtualSystem/ProductSection@required': 'false',
  'VirtualSystem/ProductSection/Info': 'Talos Virtual Appliance',
  'VirtualSystem/ProductSection/Property@key': 'talos.config',
  'VirtualSystem/ProductSection/Property@type': 'string',
  'VirtualSystem/ProductSection/Property@userConfigurable': 'true',
  'VirtualSystem/ProductSection/Property@value': '',
  'VirtualSystem/ProductSection/Property/Label': 'Talos config data',
  'VirtualSystem/ProductSection/Property/Description': 'Inline Talos config',
  'VirtualSystem/OperatingSystemSection@id': '101',
  'VirtualSystem/OperatingSystemSection@osType': 'other3xLinux64Guest',
  [`${SYSTEM}@transport`]: 'com.vmware.guestInfo',
  [`${SYSTEM}/System/InstanceID`]: '0',
  [`${SYSTEM}/System/VirtualSystemIdentifier`]: 'talos',
  [`${SYSTEM}/System/VirtualSystemType`]: 'vmx-15',
  [`${SYSTEM}/1/ResourceType`]: '3',
  [`${SYSTEM}/1/VirtualQuantity`]: '2',
  [`${SYSTEM}/1/AllocationUnits`]: 'hertz * 10^6',
  [`${SYSTEM}/1/ElementName`]: '2 virtual CPU(s)',
  [`${SYSTEM}/2/ResourceType`]: '4',
  [`${SYSTEM}/2/VirtualQuantity`]: '2048',
  [`${SYSTEM}/2/AllocationUnits`]: 'byte * 2^20',
  [`${SYSTEM}/2/ElementName`]: '2048MB of memory',
  [`${SYSTEM}/3/ResourceType`]: '6',
  [`${SYSTEM}/3/ResourceSubType`]: 'VirtualSCSI',
  [`${SYSTEM}/3/ElementName`]: 'scsiController0',
  [`${SYSTEM}/3/Address`]: '0',
  [`${SYSTEM}/4/ResourceType`]: '17',
  [`${SYSTEM}/4/HostResource`]: 'ovf:/disk/vmdisk1',
  [`${SYSTEM}/4/Parent`]: '3',
  [`${SYSTEM}/4/AddressOnParent`]: '0',
  [`${SYSTEM}/5/ResourceType`]: '10',
  [`${SYSTEM}/5/ResourceSubType`]: 'VmxNet3',
  [`${SYSTEM}/5/ElementName`]: 'ethernet0',
  [`${SYSTEM}/5/AutomaticAllocation`]: 'true',
  [`${SYSTEM}/5/Connection`]: 'VM Network',
  [`${SYSTEM}/5/AddressOnParent`]: '2',
  [`${SYSTEM}/5/Config@slotInfo.pciSlotNumber`]: '32',
  [`${SYSTEM}/5/Config@wakeOnLanEnabled`]: 'false',
  [`${SYSTEM}/5/Config@connectable.allowGuestControl`]: 'false',
  [`${SYSTEM}/6/ResourceType`]: '24',
  [`${SYSTEM}/6@required`]: 'false',
  [`${SYSTEM}/7/ResourceType`]: '1',
  [`${SYSTEM}/7/ResourceSubType`]: 'vmware.vmci',
  [`${SYSTEM}/7@required`]: 'false',
  [`${SYSTEM}/Config@tools.syncTimeWithHost`]: 'false',
  [`${SYSTEM}/Config@tools.afterPowerOn`]: 'true',
  [`${SYSTEM}/Config@tools.afterResume`]: 'true',
  [`${SYSTEM}/Config@tools.beforeGuestShutdown`]: 'true',
  [`${SYSTEM}/Config@tools.beforeGuestStandby`]: 'true',
  [`${SYSTEM}/Config@tools.toolsUpgradePolicy`]: 'manual',
  [`${SYSTEM}/Config@powerOpInfo.suspendType`]: 'soft',
  [`${SYSTEM}/ExtraConfig@nvram`]: 'talos.nvram',
  [`${SYSTEM}/ExtraConfig@disk.EnableUUID`]: 'true',
};

/** Attributes and texts of an OVF by their paths, as Python's XML parser (expat) reads them; namespaces checked. */
function queries(path: string): Record<string, string> {
  const script = `
import json, sys
from xml.etree import ElementTree
OVF = '{http://schemas.dmtf.org/ovf/envelope/1}'
CIM = '{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_'
VMW = '{http://www.vmware.com/schema/ovf}'
found = {}
def local(name):
    namespace = name[:name.index('}') + 1]
    assert namespace in (OVF, VMW, CIM + 'ResourceAllocationSettingData}', CIM + 'VirtualSystemSettingData}'), name
    return name[len(namespace):]
def walk(element, path):
    for child in element:
        name = local(child.tag)
        number = child.find(CIM + 'ResourceAllocationSettingData}InstanceID')
        key = '/'.join(path + [number.text if number is not None else name])
        if VMW + 'key' in child.attrib:
            found[key + '@' + child.get(VMW + 'key')] = child.get(VMW + 'value')
            continue
        for attribute, value in child.attrib.items():
            found[key + '@' + local(attribute)] = value
        found[key] = (child.text or '').strip()
        walk(child, key.split('/'))
root = ElementTree.parse(sys.argv[1]).getroot()
assert root.tag == OVF + 'Envelope' and root.get(VMW + 'buildId') == 'build-7948156'
walk(root, [])
print(json.dumps(found))
`;
  return JSON.parse(execFileSync('/usr/bin/python3', ['-c', script, path], { encoding: 'utf8' }));
}
