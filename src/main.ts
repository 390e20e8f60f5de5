import { readBuildInfo } from './cli/build-info.ts';
import type { Io, TextSink } from './cli/io.ts';
import { runCommandLine } from './cli/run.ts';
import { systemClock } from './clock.ts';
import { processEnvironment } from './config/environment.ts';

/** Runs the command line of this process and ends the process. */
export async function main(): Promise<void> {
  const env = processEnvironment();
  const io: Io = {
    env,
    stdout: sink(process.stdout),
    stderr: sink(process.stderr),
    clock: systemClock,
    version: await readBuildInfo(env),
    compose: async () => (await import('./compose.ts')).composeFactory,
    onSignal: (listener) => {
      process.on('SIGINT', listener);
      process.on('SIGTERM', listener);
      return disposable(() => {
        process.off('SIGINT', listener);
        process.off('SIGTERM', listener);
      });
    },
    onFault: (listener) => {
      const rejection = (error: unknown): void => listener('rejection', error);
      const exception = (error: unknown): void => listener('exception', error);
      process.on('unhandledRejection', rejection);
      process.on('uncaughtException', exception);
      return disposable(() => {
        process.off('unhandledRejection', rejection);
        process.off('uncaughtException', exception);
      });
    },
    exit: (code) => process.exit(code),
  };
  process.exit(await runCommandLine(process.argv.slice(2), io));
}

/** A reader that goes away must not end the factory. */
function sink(stream: NodeJS.WriteStream): TextSink {
  stream.on('error', () => {});
  return { write: (text) => void stream.write(text) };
}

function disposable(dispose: () => void): Disposable {
  return { [Symbol.dispose]: dispose };
}
