import { deflateRawSync } from 'node:zlib';
import type { Blob, Nature } from '../blob/blob.ts';
import { readRange } from '../blob/consume.ts';

const SAMPLES = 16;
const SAMPLE_SIZE = 32 << 10;
/** What does not lose a tenth of its size is not worth compressing. */
const WORTH_IT = 0.9;

/**
 * Tries to compress a few samples, spread over the whole. The first bytes do not tell: kernels of some architectures
 * are programs that unpack themselves, of others they are not.
 */
export async function contentNature(content: Blob, signal?: AbortSignal): Promise<Nature> {
  let before = 0;
  let after = 0;
  const length = Math.min(SAMPLE_SIZE, content.size);
  for (let i = 0; i < SAMPLES; i++) {
    const offset = Math.floor(((content.size - length) * i) / (SAMPLES - 1));
    const sample = await readRange(content, offset, length, signal);
    before += sample.length;
    after += deflateRawSync(sample, { level: 1 }).length;
  }
  return before > 0 && after >= before * WORTH_IT ? 'packed' : 'plain';
}
