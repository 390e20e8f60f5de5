import type { Clock } from '../clock.ts';
import type { Environment } from '../config/environment.ts';
import type { BuildInfo, ComposeFactory } from './factory.ts';

export interface TextSink {
  write(text: string): void;
}

/** Everything that the commands need from the process, so that tests can be one. */
export interface Io {
  readonly env: Environment;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly clock: Clock;
  readonly version: BuildInfo;
  /** Loaded only when a factory is to run. */
  readonly compose: () => Promise<ComposeFactory>;
  /** Tells of SIGINT and SIGTERM until disposed. */
  onSignal(listener: (signal: string) => void): Disposable;
  /** Tells of errors that nobody handled until disposed. */
  onFault(listener: (kind: 'rejection' | 'exception', error: unknown) => void): Disposable;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** A failure as one line for people: local time and text (`spec/configuration.md` §5). */
export function printFailure(io: Io, error: unknown): void {
  const date = new Date(io.clock.now());
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}/${two(date.getMonth() + 1)}/${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  io.stderr.write(`${day} ${time} ${error instanceof Error ? error.message : String(error)}\n`);
}
