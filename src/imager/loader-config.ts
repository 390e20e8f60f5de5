/** What systemd-boot does with the keys on the medium (loader.conf(5), `secure-boot-enroll`). */
export type EnrollMode = 'if-safe' | 'manual' | 'force' | 'off';

/**
 * `loader.conf` (`spec/uki-secureboot.md` §6.1). `enroll` absent leaves its line out, as disk images want it
 * without Secure Boot or with enrolment off; ISOs always have it.
 */
export function loaderConfig(enroll?: EnrollMode): string {
  const line = enroll === undefined ? '' : `\nsecure-boot-enroll ${enroll}\n`;
  return `# systemd-boot configuration\n\ntimeout 10\n${line}`;
}
