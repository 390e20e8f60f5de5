import { spawn } from 'node:child_process';
import { FactoryError } from '../errors.ts';

export interface Program {
  readonly program: string;
  readonly args: readonly string[];
  readonly stdin?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly cwd?: string;
  /** The whole environment of the child; only `PATH` and `LC_ALL=C` when absent. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; the child is killed then. 20 minutes when absent. */
  readonly timeout?: number;
  /** The most bytes of standard output that are kept; more is an error. 1 MiB when absent. */
  readonly maxOutput?: number;
  /** Takes standard output as it comes, instead of keeping it. */
  readonly onOutput?: (chunk: Uint8Array) => void | Promise<void>;
}

export interface ProgramResult {
  readonly stdout: Uint8Array;
  /** The last 16 KiB. */
  readonly stderr: string;
}

const STDERR_KEPT = 16 * 1024;

/**
 * Runs a program to its end, without a shell. Throws `FactoryError` `PROGRAM_MISSING` (say which package to
 * install), `PROGRAM_FAILED` (with the end of its stderr), `PROGRAM_OUTPUT_TOO_LARGE`; aborts with the signal.
 */
export async function runProgram(spec: Program): Promise<ProgramResult> {
  const timeout = AbortSignal.timeout(spec.timeout ?? 20 * 60_000);
  const signal = spec.signal === undefined ? timeout : AbortSignal.any([spec.signal, timeout]);
  signal.throwIfAborted();
  const child = spawn(spec.program, [...spec.args], {
    cwd: spec.cwd,
    env: spec.env ?? { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe'],
    killSignal: 'SIGKILL',
    signal,
  });
  const ended = Promise.withResolvers<number | string>();
  child.once('error', (error) => ended.reject(error));
  child.once('close', (code, killedBy) => ended.resolve(code ?? killedBy ?? 'unknown'));
  // A child that ends early closes its standard input: its exit code tells the story, not EPIPE.
  child.stdin.on('error', () => {});
  try {
    const [stdout, stderr, , status] = await Promise.all([
      collectOutput(child.stdout, spec),
      collectTail(child.stderr),
      feed(child.stdin, spec.stdin),
      ended.promise,
    ]);
    signal.throwIfAborted();
    if (status !== 0) {
      const said = stderr.trim() === '' ? '' : `: ${stderr.trim()}`;
      throw new FactoryError('internal', 'PROGRAM_FAILED', `${spec.program} ended with ${status}${said}`);
    }
    return { stdout, stderr };
  } catch (error) {
    child.kill('SIGKILL');
    ended.promise.catch(() => {});
    if (spec.signal?.aborted) throw spec.signal.reason;
    if (timeout.aborted) {
      const limit = (spec.timeout ?? 20 * 60_000) / 1000;
      throw new FactoryError('internal', 'PROGRAM_TIMEOUT', `${spec.program} did not end within ${limit} s`, {
        cause: error,
      });
    }
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new FactoryError('internal', 'PROGRAM_MISSING', `program ${spec.program} is not installed`, {
        cause: error,
      });
    }
    throw error;
  }
}

async function collectOutput(stream: AsyncIterable<Uint8Array>, spec: Program): Promise<Uint8Array> {
  const limit = spec.maxOutput ?? 1 << 20;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    if (spec.onOutput !== undefined) {
      await spec.onOutput(chunk);
      continue;
    }
    size += chunk.length;
    if (size > limit) {
      throw new FactoryError(
        'internal',
        'PROGRAM_OUTPUT_TOO_LARGE',
        `${spec.program} printed more than ${limit} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function collectTail(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let tail = Buffer.alloc(0);
  for await (const chunk of stream) {
    tail = Buffer.concat([tail, chunk]);
    if (tail.length > STDERR_KEPT) tail = tail.subarray(tail.length - STDERR_KEPT);
  }
  return tail.toString('utf8');
}

async function feed(input: NodeJS.WritableStream, source: Program['stdin']): Promise<void> {
  if (source === undefined) {
    input.end();
    return;
  }
  if (source instanceof Uint8Array) {
    input.end(source);
    return;
  }
  for await (const chunk of source) {
    if (!input.writable) return;
    if (!input.write(chunk)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          input.off('drain', done);
          input.off('close', done);
          resolve();
        };
        input.on('drain', done);
        input.on('close', done);
      });
    }
  }
  input.end();
}
