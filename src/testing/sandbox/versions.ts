import { type Gates, gatesOf } from '../../talos/gates.ts';
import { parseTalosVersion, type TalosVersion, versionTag } from '../../talos/version.ts';

/** A version of the sandbox release. */
export interface SandboxVersion {
  readonly version: TalosVersion;
  /** `v1.10.1` */
  readonly tag: string;
  readonly gates: Gates;
}

/** Versions on both sides of every gate of `spec/profile.md` §8. */
const VERSIONS = [
  '1.3.7',
  '1.5.5',
  '1.6.4',
  '1.7.6',
  '1.9.5',
  '1.10.1',
  '1.11.2',
  '1.12.0',
  '1.13.0',
  '1.14.0-beta.0',
] as const;

export const sandboxVersions: readonly SandboxVersion[] = VERSIONS.map((text) => {
  const version = parseTalosVersion(text);
  return { version, tag: versionTag(version), gates: gatesOf(version) };
});
