import { FactoryError } from '../errors.ts';

/**
 * Work for a worker thread: input and output must be structured-cloneable. `signal` aborts a moment before the thread
 * is ended, so that programs that the task runs can be ended too.
 */
export type Task = (input: never, signal: AbortSignal) => unknown;

/**
 * The tasks that workers know, by name; each is imported when it is first run. A registry module exports it as
 * `tasks`: `export const tasks = { squash: async () => (await import('./squash.ts')).squash };`
 */
export type TaskRegistry = Readonly<Record<string, () => Promise<Task>>>;

type TaskOf<R extends TaskRegistry, K extends keyof R> = Awaited<ReturnType<R[K]>>;
export type TaskInput<R extends TaskRegistry, K extends keyof R> = Parameters<TaskOf<R, K>>[0];
export type TaskOutput<R extends TaskRegistry, K extends keyof R> = Awaited<ReturnType<TaskOf<R, K>>>;

/** An output with buffers that are handed over instead of copied. */
export class Transferred<T> {
  readonly value: T;
  readonly transfer: readonly ArrayBuffer[];

  constructor(value: T, transfer: readonly ArrayBuffer[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

/** What goes to a worker: a task, or that the one it has shall stop. */
export type TaskRequest =
  | { readonly kind: 'run'; readonly name: string; readonly input: unknown }
  | { readonly kind: 'abort' };

/** What comes back. */
export type TaskAnswer =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly error: WireError };

/** An error without its class, which structured cloning loses. */
interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Of an error of the system: `ENOSPC`. */
  readonly code: string | undefined;
  readonly factory: Pick<FactoryError, 'kind' | 'code' | 'retryAfter'> | undefined;
}

export function toWire(error: unknown): WireError {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: String(error), stack: undefined, code: undefined, factory: undefined };
  }
  const factory =
    error instanceof FactoryError
      ? { kind: error.kind, code: error.code, retryAfter: error.retryAfter }
      : undefined;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return { name: error.name, message: error.message, stack: error.stack, code, factory };
}

export function fromWire(wire: WireError): Error {
  const error =
    wire.factory === undefined ? new Error(wire.message) : factoryError(wire.message, wire.factory);
  if (wire.factory === undefined) {
    Object.defineProperty(error, 'name', { value: wire.name });
    if (wire.code !== undefined) Object.assign(error, { code: wire.code });
  }
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

function factoryError(message: string, wire: NonNullable<WireError['factory']>): FactoryError {
  const { kind, code, retryAfter } = wire;
  return new FactoryError(kind, code, message, retryAfter === undefined ? {} : { retryAfter });
}
