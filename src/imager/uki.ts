import type { Blob } from '../blob/blob.ts';
import { bytesBlob, textBlob } from '../blob/bytes.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { findSection, readPe, sectionContent } from '../formats/pe.ts';
import { appendSections, type NewSection } from '../formats/pe-assemble.ts';
import { gatesOf } from '../talos/gates.ts';
import { formatVersion, type TalosVersion, versionTag } from '../talos/version.ts';
import { kernelRelease } from './kernel-release.ts';
import { osRelease } from './os-release.ts';
import { splashBmp } from './splash.ts';

/** What the image is part of: it decides the extra menu entry. */
export type UkiKind = 'uki' | 'iso' | 'image' | 'installer';

/** Signs what systemd-stub will measure into PCR 11 (`spec/uki-secureboot.md` §4). */
export interface PcrSigner {
  /** Content of `.pcrpkey`: PEM of the public key. */
  readonly publicKey: Uint8Array;
  /**
   * Content of `.pcrsig` for one boot menu entry, of which `sections` are all sections by name
   * (those of the stub too; the signer takes the measured ones).
   */
  sign(sections: ReadonlyMap<string, Blob>, signal?: AbortSignal): Promise<Uint8Array>;
}

export interface UkiSpec {
  readonly version: TalosVersion;
  readonly kind: UkiKind;
  /** systemd-stub of the release and architecture. */
  readonly stub: Blob;
  readonly kernel: Blob;
  /** The customized initramfs. */
  readonly initramfs: Blob;
  readonly cmdline: string;
  /** A BMP; our own mark when absent. */
  readonly splash?: Blob;
  /** Secure Boot only. */
  readonly pcrSigner?: PcrSigner;
  /**
   * Where kernel and initramfs begin in the file: at multiples of this (bytes). 2048 lets an ISO refer to them
   * instead of holding them twice; the file alignment of the stub (512) when absent.
   */
  readonly bootFileAlignment?: number;
}

interface Profile {
  readonly id: string;
  readonly title?: string;
  /** Added to the command line. */
  readonly argument?: string;
}

const MAIN: Profile = { id: 'main' };
const RESET_DISK: Profile = {
  id: 'reset',
  title: 'Reset system disk',
  argument: 'talos.experimental.wipe=system',
};
const RESET_TO_MAINTENANCE: Profile = {
  id: 'reset-maintenance',
  title: 'Reset to maintenance mode',
  argument: 'talos.experimental.wipe=system:EPHEMERAL,STATE',
};
const PROFILES: Readonly<Record<UkiKind, readonly Profile[]>> = {
  uki: [MAIN],
  iso: [MAIN, RESET_DISK],
  image: [MAIN, RESET_TO_MAINTENANCE],
  installer: [MAIN, RESET_TO_MAINTENANCE],
};

/**
 * The unified kernel image (`spec/uki-secureboot.md` §2): the stub with os-release, command line, kernel release,
 * splash, kernel, initramfs and the boot menu's profiles as sections; with a signer also the PCR key and
 * signatures, not yet Authenticode. Kernel and initramfs are referred to, not copied.
 * Throws `invalid` `UKI_UNSUPPORTED` (Talos before 1.5), `upstream` `PE_INVALID` or `UKI_STUB_INVALID`,
 * `invalid` `PE_TOO_LARGE`.
 */
export async function composeUki(spec: UkiSpec, signal?: AbortSignal): Promise<Blob> {
  const gates = gatesOf(spec.version);
  if (!gates.uki)
    throw new FactoryError(
      'invalid',
      'UKI_UNSUPPORTED',
      `UKI output is not supported in this Talos version: ${formatVersion(spec.version)} is older than 1.5.0`,
    );
  const stub = await readPe(spec.stub, signal);
  // Only Secure Boot reads and measures it, and Debian's stub for arm64 has none.
  if (spec.pcrSigner !== undefined && findSection(stub, '.sbat') === undefined)
    throw new FactoryError('upstream', 'UKI_STUB_INVALID', 'systemd-stub: could not find SBAT section');

  const base = await baseSections(spec, signal);
  const measured = new Map<string, Blob>();
  for (const section of stub.sections)
    if (!measured.has(section.name)) measured.set(section.name, sectionContent(stub, section));
  for (const section of base) measured.set(section.name, section.content);

  const sections = [...base];
  for (const group of gates.ukiProfiles ? PROFILES[spec.kind] : [undefined]) {
    const own = group === undefined ? [] : profileSections(group, spec.cmdline);
    sections.push(...own);
    if (spec.pcrSigner === undefined) continue;
    const view = new Map(measured);
    for (const section of own) view.set(section.name, section.content);
    const signature = await spec.pcrSigner.sign(view, signal);
    sections.push({ name: '.pcrsig', content: bytesBlob(signature) });
  }
  return appendSections(spec.stub, sections, {
    timestamp: SOURCE_DATE_EPOCH,
    ...(signal === undefined ? {} : { signal }),
  });
}

async function baseSections(spec: UkiSpec, signal: AbortSignal | undefined): Promise<readonly NewSection[]> {
  const release = await kernelRelease(spec.kernel, signal);
  const place = spec.bootFileAlignment === undefined ? {} : { alignment: spec.bootFileAlignment };
  return [
    { name: '.osrel', content: textBlob(osRelease(versionTag(spec.version))) },
    { name: '.cmdline', content: textBlob(spec.cmdline) },
    ...(release === undefined ? [] : [{ name: '.uname', content: textBlob(release) }]),
    { name: '.splash', content: spec.splash ?? bytesBlob(splashBmp()) },
    ...(spec.pcrSigner === undefined
      ? []
      : [{ name: '.pcrpkey', content: bytesBlob(spec.pcrSigner.publicKey) }]),
    { name: '.linux', content: spec.kernel, ...place },
    { name: '.initrd', content: spec.initramfs, ...place },
  ];
}

function profileSections(profile: Profile, cmdline: string): readonly NewSection[] {
  const title = profile.title === undefined ? '' : `\nTITLE=${profile.title}`;
  const sections: NewSection[] = [{ name: '.profile', content: textBlob(`ID=${profile.id}${title}`) }];
  if (profile.argument !== undefined)
    sections.push({ name: '.cmdline', content: textBlob(`${cmdline} ${profile.argument}`) });
  return sections;
}
