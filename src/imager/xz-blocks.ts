import { availableParallelism } from 'node:os';
import { FactoryError } from '../errors.ts';
import { formatXzStream, parseXzStream } from '../formats/xz-container.ts';
import { runProgram } from '../process/run.ts';

interface Job {
  readonly input: Uint8Array;
  /** Bytes of the decompressed form. */
  readonly size: number;
  readonly done: PromiseWithResolvers<Uint8Array>;
}

/** Blocks and bytes of input of one run. */
const BATCH_BLOCKS = 64;
const BATCH_BYTES = 8 << 20;
const CHECK_CRC32 = 1;

/**
 * Many small pieces through few runs of the `xz` program: what is asked for while others run is gathered, and
 * goes through one run as blocks of one stream, which are cut apart again. Blocks do not know of one another, so
 * the bytes do not depend on who ran with whom.
 */
export class XzBlocks {
  readonly #options: { readonly dictionary: number; readonly preset: number };
  readonly #compress: Batches;
  readonly #decompress: Batches;

  constructor(options: { readonly dictionary: number; readonly preset: number }) {
    this.#options = options;
    this.#compress = new Batches((jobs) => this.#runCompress(jobs));
    this.#decompress = new Batches((jobs) => runDecompress(jobs));
  }

  /** `block` as a stream of one block with a CRC32 check. */
  async compress(block: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    return this.#compress.add(block, block.length);
  }

  /** Throws `XZ_INVALID` when it is no stream, or the result would be larger than `limit`. */
  async decompress(stream: Uint8Array, limit: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    const size = parseXzStream(stream).blocks.reduce((sum, block) => sum + block.uncompressedSize, 0);
    if (size > limit) {
      throw new FactoryError(
        'invalid',
        'XZ_INVALID',
        `invalid .xz stream: it holds ${size} bytes, more than ${limit}`,
      );
    }
    return this.#decompress.add(stream, size);
  }

  async #runCompress(jobs: readonly Job[]): Promise<readonly Uint8Array[]> {
    const { dictionary, preset } = this.#options;
    const total = jobs.reduce((sum, job) => sum + job.size, 0);
    const { stdout } = await runProgram({
      program: 'xz',
      args: [
        '--format=xz',
        '--check=crc32',
        '--threads=1',
        `--lzma2=preset=${preset},dict=${dictionary}`,
        `--block-list=${jobs.map((job) => job.size).join(',')}`,
        '--stdout',
        '--quiet',
      ],
      stdin: inputs(jobs),
      maxOutput: total + (total >> 4) + 65536,
    });
    const { check, blocks } = parseXzStream(stdout);
    const sizes = blocks.map((block) => block.uncompressedSize);
    if (check !== CHECK_CRC32 || sizes.join() !== jobs.map((job) => job.size).join()) {
      throw new FactoryError('internal', 'XZ_BLOCKS_UNEXPECTED', `xz made blocks of ${sizes.join()} bytes`);
    }
    return blocks.map((block) => formatXzStream({ check, blocks: [block] }));
  }
}

/** Streams one after the other are a file of their own (§2); what they hold is cut at the sizes they state. */
async function runDecompress(jobs: readonly Job[]): Promise<readonly Uint8Array[]> {
  const total = jobs.reduce((sum, job) => sum + job.size, 0);
  let stdout: Uint8Array;
  try {
    ({ stdout } = await runProgram({
      program: 'xz',
      args: ['--decompress', '--format=xz', '--threads=1', '--stdout', '--quiet'],
      stdin: inputs(jobs),
      maxOutput: total,
    }));
  } catch (error) {
    if (!(error instanceof FactoryError) || error.code === 'PROGRAM_MISSING') throw error;
    throw new FactoryError('invalid', 'XZ_INVALID', `invalid .xz stream: ${error.message}`, { cause: error });
  }
  if (stdout.length !== total) {
    throw new FactoryError(
      'invalid',
      'XZ_INVALID',
      `invalid .xz stream: ${stdout.length} bytes instead of ${total}`,
    );
  }
  let at = 0;
  return jobs.map((job) => {
    const bytes = stdout.subarray(at, at + job.size);
    at += job.size;
    return bytes;
  });
}

async function* inputs(jobs: readonly Job[]): AsyncIterable<Uint8Array> {
  for (const job of jobs) yield job.input;
}

/** Gathers jobs while as many runs are going on as there are processors. */
class Batches {
  readonly #run: (jobs: readonly Job[]) => Promise<readonly Uint8Array[]>;
  readonly #waiting: Job[] = [];
  #running = 0;
  #scheduled = false;

  constructor(run: (jobs: readonly Job[]) => Promise<readonly Uint8Array[]>) {
    this.#run = run;
  }

  add(input: Uint8Array, size: number): Promise<Uint8Array> {
    const done = Promise.withResolvers<Uint8Array>();
    this.#waiting.push({ input, size, done });
    if (!this.#scheduled) {
      this.#scheduled = true;
      // Not at once, so that callers in the same turn share a run.
      setImmediate(() => {
        this.#scheduled = false;
        this.#start();
      });
    }
    return done.promise;
  }

  #start(): void {
    while (this.#running < availableParallelism() && this.#waiting.length > 0) {
      this.#running++;
      void this.#runBatch(this.#takeBatch());
    }
  }

  #takeBatch(): readonly Job[] {
    let count = 0;
    let bytes = 0;
    for (const { input } of this.#waiting) {
      bytes += input.length;
      if (count > 0 && (count === BATCH_BLOCKS || bytes > BATCH_BYTES)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #runBatch(jobs: readonly Job[]): Promise<void> {
    try {
      const results = await this.#run(jobs);
      for (const [i, job] of jobs.entries()) {
        const result = results[i];
        if (result === undefined) throw new TypeError('a run gave fewer results than it had jobs');
        job.done.resolve(result);
      }
    } catch (error) {
      for (const job of jobs) job.done.reject(error);
    } finally {
      this.#running--;
      this.#start();
    }
  }
}
