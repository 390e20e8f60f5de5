/** The OVF envelope of the virtual appliance (DMTF DSP0243 1.x; all values of `spec/outputs-disk.md` §8.4). */

export interface OvfSpec {
  /** Bytes of the VMDK file. */
  readonly vmdkSize: number;
  /** Of the disk in MiB. */
  readonly capacity: number;
  /** What the machine starts with; BIOS when absent, which is what vSphere takes then. */
  readonly firmware?: 'efi';
}

interface Item {
  readonly required?: false;
  /** In the order of the schema: by name. */
  readonly fields: Readonly<Record<string, string>>;
  readonly configs?: readonly (readonly [key: string, value: string])[];
}

const SCHEMA = 'http://schemas.dmtf.org';
const CIM = `${SCHEMA}/wbem/wscim/1/cim-schema/2`;
const NETWORK = 'VM Network';

/** XML, with a line end at its end. */
export function ovfDescriptor({ vmdkSize, capacity, firmware }: OvfSpec): string {
  const items = ITEMS.map(formatItem).join('\n');
  const configs = firmware === undefined ? CONFIGS : [...CONFIGS, ['firmware', firmware] as const];
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope vmw:buildId="build-7948156" xmlns="${SCHEMA}/ovf/envelope/1" xmlns:cim="${SCHEMA}/wbem/wscim/1/common" xmlns:ovf="${SCHEMA}/ovf/envelope/1" xmlns:rasd="${CIM}/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vssd="${CIM}/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
    <File ovf:href="disk.vmdk" ovf:id="file1" ovf:size="${vmdkSize}"/>
  </References>
  <DiskSection>
    <Info>Virtual disk information</Info>
    <Disk ovf:capacity="${capacity}" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The list of logical networks</Info>
    <Network ovf:name="${NETWORK}">
      <Description>The ${NETWORK} network</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="vm">
    <Info>A virtual machine</Info>
    <Name>talos</Name>
    <ProductSection ovf:required="false">
      <Info>Talos Virtual Appliance</Info>
      <Property ovf:key="talos.config" ovf:type="string" ovf:userConfigurable="true" ovf:value="">
        <Label>Talos config data</Label>
        <Description>Inline Talos config</Description>
      </Property>
    </ProductSection>
    <OperatingSystemSection ovf:id="101" vmw:osType="other3xLinux64Guest">
      <Info>The kind of installed guest operating system</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection ovf:transport="com.vmware.guestInfo">
      <Info>Virtual hardware requirements</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>talos</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-15</vssd:VirtualSystemType>
      </System>
${items}
${configs.map(formatConfig('Config', '      ')).join('\n')}
${EXTRA_CONFIGS.map(formatConfig('ExtraConfig', '      ')).join('\n')}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`;
}

const ITEMS: readonly Item[] = [
  {
    fields: {
      AllocationUnits: 'hertz * 10^6',
      Description: 'Number of Virtual CPUs',
      ElementName: '2 virtual CPU(s)',
      InstanceID: '1',
      ResourceType: '3',
      VirtualQuantity: '2',
    },
  },
  {
    fields: {
      AllocationUnits: 'byte * 2^20',
      Description: 'Memory Size',
      ElementName: '2048MB of memory',
      InstanceID: '2',
      ResourceType: '4',
      VirtualQuantity: '2048',
    },
  },
  {
    fields: {
      Address: '0',
      Description: 'SCSI Controller',
      ElementName: 'scsiController0',
      InstanceID: '3',
      ResourceSubType: 'VirtualSCSI',
      ResourceType: '6',
    },
  },
  {
    fields: {
      AddressOnParent: '0',
      ElementName: 'disk0',
      HostResource: 'ovf:/disk/vmdisk1',
      InstanceID: '4',
      Parent: '3',
      ResourceType: '17',
    },
  },
  {
    fields: {
      AddressOnParent: '2',
      AutomaticAllocation: 'true',
      Connection: NETWORK,
      Description: `VmxNet3 ethernet adapter on "${NETWORK}"`,
      ElementName: 'ethernet0',
      InstanceID: '5',
      ResourceSubType: 'VmxNet3',
      ResourceType: '10',
    },
    configs: [
      ['slotInfo.pciSlotNumber', '32'],
      ['wakeOnLanEnabled', 'false'],
      ['connectable.allowGuestControl', 'false'],
    ],
  },
  {
    required: false,
    fields: { AutomaticAllocation: 'false', ElementName: 'video', InstanceID: '6', ResourceType: '24' },
  },
  {
    required: false,
    fields: {
      AutomaticAllocation: 'false',
      ElementName: 'vmci',
      InstanceID: '7',
      ResourceSubType: 'vmware.vmci',
      ResourceType: '1',
    },
  },
];

const CONFIGS = [
  ['tools.syncTimeWithHost', 'false'],
  ['tools.afterPowerOn', 'true'],
  ['tools.afterResume', 'true'],
  ['tools.beforeGuestShutdown', 'true'],
  ['tools.beforeGuestStandby', 'true'],
  ['tools.toolsUpgradePolicy', 'manual'],
  ['powerOpInfo.suspendType', 'soft'],
] as const;

const EXTRA_CONFIGS = [
  ['nvram', 'talos.nvram'],
  ['disk.EnableUUID', 'true'],
] as const;

function formatItem({ required, fields, configs = [] }: Item): string {
  const lines = Object.entries(fields).map(
    ([name, value]) => `        <rasd:${name}>${escapeXml(value)}</rasd:${name}>`,
  );
  return [
    required === false ? '      <Item ovf:required="false">' : '      <Item>',
    ...lines,
    ...configs.map(formatConfig('Config', '        ')),
    '      </Item>',
  ].join('\n');
}

function formatConfig(element: string, indent: string) {
  return ([key, value]: readonly [key: string, value: string]): string =>
    `${indent}<vmw:${element} ovf:required="false" vmw:key="${key}" vmw:value="${escapeXml(value)}"/>`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
