/** Tasks of the tests of the worker pool. */
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { threadId } from 'node:worker_threads';
import { FactoryError } from '../errors.ts';
import { runProgram } from '../process/run.ts';
import { Transferred } from './tasks.ts';

export const tasks = {
  double: async () => (input: { readonly n: number }) => ({ n: input.n * 2, thread: threadId }),
  fill: async () => (input: { readonly bytes: Uint8Array<ArrayBuffer> }) => {
    input.bytes.fill(7);
    return new Transferred(input.bytes, [input.bytes.buffer]);
  },
  environment: async () => () => ({ env: { ...process.env }, argv: process.execArgv }),
  refuse: async () => (input: { readonly retryAfter?: number }) => {
    throw new FactoryError('unavailable', 'REFUSED', 'refused', input);
  },
  throwType: async () => () => {
    throw new TypeError('wrong type');
  },
  openNothing: async () => () => open('/nonexistent/file'),
  throwText: async () => () => {
    throw 'just a text';
  },
  uncloneable: async () => () => () => 1,
  exit: async () => () => process.exit(3),
  crashLater: async () => () =>
    new Promise(() => {
      setImmediate(() => {
        throw new Error('later');
      });
    }),
  spin: async () => () => {
    for (;;);
  },
  never: async () => () => new Promise(() => {}),
  devour: async () => () => {
    const all: number[][] = [];
    for (;;) all.push(new Array(1e5).fill(1));
  },
  /** Writes `file` when it is told to stop, as a task does that ends the programs it runs. */
  polite: async () => (input: { readonly file: string }, signal: AbortSignal) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        writeFileSync(input.file, 'stopped');
        reject(signal.reason);
      });
      writeFileSync(`${input.file}.started`, '');
    }),
  sleepProgram: async () => (input: { readonly seconds: string }, signal: AbortSignal) =>
    runProgram({ program: 'sleep', args: [input.seconds], signal }),
  broken: async () => {
    throw new Error('cannot be imported');
  },
};
