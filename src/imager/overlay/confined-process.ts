import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { FactoryError } from '../../errors.ts';

/** A program that nobody trusts to end, to be quiet, or to leave its disk space alone. */
export interface ConfinedProgram {
  readonly program: string;
  readonly args: readonly string[];
  readonly stdin: Uint8Array;
  readonly cwd: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly maxOutput: number;
  readonly signal: AbortSignal;
  /** Asked again and again while the program runs: why it has to be stopped, or `undefined`. */
  readonly watch: () => Promise<string | undefined>;
}

export interface ProgramEnd {
  readonly stdout: Uint8Array;
  /** The last 16 KiB. */
  readonly stderr: string;
  /** What it wrote to descriptor 3, at most 64 bytes. */
  readonly status: string;
  /** `undefined` when it ended by itself with 0. */
  readonly failure: string | undefined;
  /** Whether a limit was exceeded. */
  readonly isStopped: boolean;
}

/** The environment of everything that is run here. */
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const STDERR_KEPT = 16 << 10;
/** Bytes on standard error after which nobody can be meant to read them. */
const STDERR_LIMIT = 1 << 20;
const WATCH_INTERVAL = 100;
/** Milliseconds after the end for what may still be in the pipes, or holds them open. */
const DRAIN_TIMEOUT = 2_000;

/**
 * Runs a program, and ends it with everything in its process group when it exceeds a limit or the signal aborts
 * (then throws the signal's reason). Throws `internal` `PROGRAM_MISSING`; how the program ended is the result.
 */
export async function runConfined(spec: ConfinedProgram): Promise<ProgramEnd> {
  spec.signal.throwIfAborted();
  const child = spawn(spec.program, [...spec.args], {
    cwd: spec.cwd,
    env: { PATH, LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const exited = Promise.withResolvers<string | undefined>();
  child.once('error', exited.reject);
  child.once('exit', (code, killedBy) => {
    exited.resolve(code === 0 ? undefined : `ended with ${code ?? killedBy ?? 'unknown'}`);
  });

  let stopped: string | undefined;
  const kill = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Ended already.
    }
  };
  const stop = (reason: string): void => {
    stopped ??= reason;
    kill();
  };

  const pipes = [child.stdout, child.stderr, child.stdio[3] as Readable];
  // A pipe that is cut off ends; what came through it counts.
  const output = collect(pipes[0], spec.maxOutput, 'head', () =>
    stop(`printed more than ${spec.maxOutput} bytes`),
  );
  const errors = collect(pipes[1], STDERR_LIMIT, STDERR_KEPT, () =>
    stop(`printed more than ${STDERR_LIMIT} bytes on standard error`),
  );
  const status = collect(pipes[2], 64, 'head', () => {});
  // A program that ends early closes its standard input: how it ended tells the story, not EPIPE.
  child.stdin.on('error', () => {});
  child.stdin.end(spec.stdin);

  const over = new AbortController();
  const timer = setTimeout(() => stop(`did not end within ${spec.timeout / 1000} s`), spec.timeout);
  spec.signal.addEventListener('abort', kill, { once: true });
  const watching = watch(spec.watch, stop, over.signal);
  try {
    const ended = await exited.promise;
    // Nothing of it goes on: what it started is in its process group or its namespace.
    kill();
    const drained = Promise.all([output, errors, status]);
    await Promise.race([drained, delay(DRAIN_TIMEOUT, undefined, { signal: over.signal })]);
    for (const pipe of pipes) pipe?.destroy();
    const [stdout, stderr, said] = await drained;
    spec.signal.throwIfAborted();
    return {
      stdout,
      stderr: stderr.toString('utf8'),
      status: said.toString('utf8'),
      failure: stopped ?? ended,
      isStopped: stopped !== undefined,
    };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new FactoryError('internal', 'PROGRAM_MISSING', `program ${spec.program} is not installed`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    clearTimeout(timer);
    spec.signal.removeEventListener('abort', kill);
    over.abort();
    await watching;
  }
}

/** Keeps the first `limit` bytes, or the last `keep`; `onLimit` hears of more than `limit`. */
async function collect(
  pipe: Readable | undefined,
  limit: number,
  keep: number | 'head',
  onLimit: () => void,
): Promise<Buffer> {
  let kept = Buffer.alloc(0);
  let size = 0;
  try {
    for await (const chunk of pipe ?? []) {
      size += chunk.length;
      if (size > limit) onLimit();
      if (keep === 'head') {
        if (size <= limit) kept = Buffer.concat([kept, chunk]);
      } else {
        kept = Buffer.concat([kept, chunk]);
        kept = kept.subarray(Math.max(0, kept.length - keep));
      }
    }
  } catch (error) {
    // We have closed it ourselves.
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'))
      throw error;
  }
  return kept;
}

async function watch(
  ask: () => Promise<string | undefined>,
  stop: (reason: string) => void,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    const reason = await ask();
    if (reason !== undefined) stop(reason);
    // Ends with an error when it is over, which is no news.
    await delay(WATCH_INTERVAL, undefined, { signal: over }).catch(() => {});
  }
}
