import { createHash } from 'node:crypto';
import { fromPortable, type PortableBlob } from '../../blob/portable.ts';

export interface DigestInput {
  readonly blob: PortableBlob;
  readonly algorithm: 'sha256' | 'sha512';
}

/** Lower-case hex digest of a whole blob. */
export async function digestBlob(input: DigestInput, signal: AbortSignal): Promise<string> {
  const hash = createHash(input.algorithm);
  const blob = fromPortable(input.blob);
  for await (const chunk of blob.read(0, blob.size, signal)) hash.update(chunk);
  return hash.digest('hex');
}
