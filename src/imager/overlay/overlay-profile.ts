import { parse } from 'yaml';
import { z } from 'zod';
import type { ImageTree } from '../../artifacts/image-tree.ts';
import { readAll } from '../../blob/consume.ts';
import type { FactoryError } from '../../errors.ts';
import { BOOTLOADERS, type Bootloader } from '../../talos/bootloader.ts';
import type { EnrollMode } from '../loader-config.ts';
import { badOverlay } from './errors.ts';
import { follow } from './tree-links.ts';

/**
 * What an overlay's own profile may say about images (`spec/profile.md` §3.3); the schematic is applied after it.
 * What the profile leaves out, or gives its zero value, is `undefined`, and the list empty.
 */
export interface OverlayProfile {
  /** Before those of the schematic. */
  readonly extraKernelArgs: readonly string[];
  readonly image: {
    readonly bootloader: Exclude<Bootloader, 'none'> | undefined;
    /** Bytes. */
    readonly sectorSize: 512 | 4096 | undefined;
    readonly enrollKeys: EnrollMode | undefined;
  };
  readonly iso: {
    readonly bootloader: Exclude<Bootloader, 'none'> | undefined;
    readonly enrollKeys: EnrollMode | undefined;
  };
}

/** The most bytes of a profile; real ones have some hundred. */
const PROFILE_LIMIT = 256 << 10;
const MOST_ARGS = 256;
/** Bytes of the longest kernel command line there is (`COMMAND_LINE_SIZE` of arm64 and x86). */
const LONGEST_ARG = 2048;

const ENROLL_MODES = ['if-safe', 'manual', 'force', 'off'] as const;

/** One kernel argument, or several with blanks between them. */
export const kernelArg = z
  .string()
  .max(LONGEST_ARG)
  .regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'has a line break or another control character');

const lowerCase = (value: unknown): unknown => (typeof value === 'string' ? value.toLowerCase() : value);
const bootloader = z.preprocess(lowerCase, z.enum(BOOTLOADERS)).nullish();
const enrollKeys = z.preprocess(lowerCase, z.enum(ENROLL_MODES)).nullish();

/** Only what is taken is looked at: input, arch, platform, disk size and the like may be anything. */
const profileSchema = z
  .object({
    customization: z.object({ extraKernelArgs: z.array(kernelArg).max(MOST_ARGS).nullish() }).nullish(),
    output: z
      .object({
        imageOptions: z
          .object({
            bootloader,
            diskSectorSize: z.union([z.literal(0), z.literal(512), z.literal(4096)]).nullish(),
            sdBootEnrollKeys: enrollKeys,
          })
          .nullish(),
        isoOptions: z.object({ bootloader, sdBootEnrollKeys: enrollKeys }).nullish(),
      })
      .nullish(),
  })
  .nullable();

/** The path of an overlay's profile in its image. */
export function profilePath(name: string): string {
  return `profiles/${name}.yaml`;
}

/**
 * The profile of the overlay `name` in its image of the target's architecture. Throws `upstream`
 * `OVERLAY_FILE_MISSING`, `OVERLAY_PROFILE_INVALID` (naming the field).
 */
export async function readOverlayProfile(
  tree: ImageTree,
  name: string,
  signal?: AbortSignal,
): Promise<OverlayProfile> {
  const path = profilePath(name);
  const file = follow(tree, path);
  if (file?.type !== 'file') {
    throw badOverlay(name, 'OVERLAY_FILE_MISSING', `image ${tree.digest} has no file ${path}`);
  }
  if (file.content.size > PROFILE_LIMIT) throw invalid(name, `is larger than ${PROFILE_LIMIT} bytes`);
  const text = Buffer.from(await readAll(file.content, PROFILE_LIMIT, signal)).toString('utf8');
  return parseOverlayProfile(text, name);
}

/** Throws `upstream` `OVERLAY_PROFILE_INVALID`. */
export function parseOverlayProfile(text: string, name: string): OverlayProfile {
  let value: unknown;
  try {
    // Without a limit, aliases of aliases would grow without end.
    value = parse(text, { maxAliasCount: 100, logLevel: 'error' });
  } catch (cause) {
    throw invalid(name, 'is not valid YAML', cause);
  }
  const parsed = profileSchema.safeParse(value ?? null);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') ?? '';
    throw invalid(name, `${field === '' ? '' : `field ${field}: `}${issue?.message ?? 'cannot be read'}`);
  }
  const { imageOptions: image, isoOptions: iso } = parsed.data?.output ?? {};
  return {
    extraKernelArgs: parsed.data?.customization?.extraKernelArgs ?? [],
    image: {
      bootloader: chosen(image?.bootloader),
      sectorSize: image?.diskSectorSize || undefined,
      enrollKeys: image?.sdBootEnrollKeys ?? undefined,
    },
    iso: { bootloader: chosen(iso?.bootloader), enrollKeys: iso?.sdBootEnrollKeys ?? undefined },
  };
}

/** `none` is the zero value, which replaces nothing. */
function chosen(wanted: Bootloader | null | undefined): Exclude<Bootloader, 'none'> | undefined {
  return wanted === 'none' || wanted === null ? undefined : wanted;
}

function invalid(name: string, what: string, cause?: unknown): FactoryError {
  return badOverlay(name, 'OVERLAY_PROFILE_INVALID', `its profile ${profilePath(name)} ${what}`, cause);
}
