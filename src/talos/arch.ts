import { FactoryError } from '../errors.ts';

/** CPU architectures of Talos, by their Go and OCI names. */
export const ARCHES = ['amd64', 'arm64'] as const;
export type Arch = (typeof ARCHES)[number];

/** Names that iPXE's `${buildarch}` uses for amd64. */
const ALIASES: Readonly<Record<string, Arch>> = {
  amd64: 'amd64',
  arm64: 'arm64',
  x86_64: 'amd64',
  i386: 'amd64',
};

/** Throws `invalid` `ARCH_INVALID`: `invalid architecture: "mips"` (`spec/profile.md` §1). */
export function parseArch(text: string): Arch {
  const arch = Object.hasOwn(ALIASES, text) ? ALIASES[text] : undefined;
  if (arch === undefined) {
    throw new FactoryError('invalid', 'ARCH_INVALID', `invalid architecture: ${JSON.stringify(text)}`);
  }
  return arch;
}
