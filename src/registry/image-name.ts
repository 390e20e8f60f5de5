import { PLATFORM_NAMES, type PlatformName, parsePlatform } from '../talos/platforms.ts';
import { registryError } from './errors.ts';

/** What the name of an installer image says (`spec/registry.md` §3). */
export interface InstallerName {
  readonly platform: PlatformName;
  readonly secureboot: boolean;
}

const NAME = /^(?:(?<platform>[a-z0-9-]*)-)?installer(?<secureboot>-secureboot)?$/;

/**
 * `installer` is for metal, `<platform>-installer` for a platform. Names of repositories are lower case, so
 * `equinixmetal` stands for `equinixMetal`. Throws `invalid` `REGISTRY_IMAGE_INVALID`.
 */
export function parseInstallerName(image: string): InstallerName {
  const match = NAME.exec(image);
  const invalid = (cause?: unknown): Error =>
    registryError('invalid', 'REGISTRY_IMAGE_INVALID', `invalid image: ${image.slice(0, 200)}`, cause);
  if (match === null) throw invalid();
  const text = match.groups?.platform ?? 'metal';
  try {
    const platform = PLATFORM_NAMES.find((name) => name.toLowerCase() === text) ?? parsePlatform(text);
    return { platform, secureboot: match.groups?.secureboot !== undefined };
  } catch (error) {
    throw invalid(error);
  }
}
