import { parse } from 'yaml';
import { z } from 'zod';
import { badOverlay } from './errors.ts';
import { kernelArg } from './overlay-profile.ts';

/** What an overlay wants of images besides its files (`get-options`, `spec/outputs-installer.md` §2.4). */
export interface OverlayOptions {
  /** The overlay's name for itself: for logs. */
  readonly name: string;
  /** Each key replaces what the platform has set (`KernelArgs.setAll`). */
  readonly kernelArgs: readonly string[];
  /** Logical blocks by which the GPT's entries and all partitions move up; 0 for none. */
  readonly partitionOffset: number;
}

const MOST_ARGS = 256;
/** Blocks: 1 GiB in sectors of 512 bytes. No board wants its partitions further up, and no image has room for it. */
const FARTHEST = 2 ** 21;

const answerSchema = z.object({
  name: z.string().max(256).nullish(),
  kernelArgs: z.array(kernelArg).max(MOST_ARGS).nullish(),
  partitionOptions: z.object({ offset: z.int().min(0).max(FARTHEST).nullish() }).nullish(),
});

/** Reads the YAML that `get-options` prints. Throws `upstream` `OVERLAY_ANSWER_INVALID` that names the field. */
export function parseInstallerAnswer(bytes: Uint8Array, overlay: string): OverlayOptions {
  let value: unknown;
  try {
    value = parse(Buffer.from(bytes).toString('utf8'), { maxAliasCount: 100, logLevel: 'error' });
  } catch (cause) {
    throw invalid(overlay, 'something that is not valid YAML', cause);
  }
  const parsed = answerSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') ?? '';
    throw invalid(overlay, `${field === '' ? 'no mapping' : `an invalid field ${field}`}: ${issue?.message}`);
  }
  const { name, kernelArgs, partitionOptions } = parsed.data;
  return {
    name: name ?? '',
    kernelArgs: kernelArgs ?? [],
    partitionOffset: partitionOptions?.offset ?? 0,
  };
}

function invalid(overlay: string, what: string, cause?: unknown) {
  return badOverlay(
    overlay,
    'OVERLAY_ANSWER_INVALID',
    `its installer answered get-options with ${what}`,
    cause,
  );
}
