import { type ResourceLimits, type Transferable, Worker } from 'node:worker_threads';
import { FactoryError } from '../errors.ts';
import {
  fromWire,
  type TaskAnswer,
  type TaskInput,
  type TaskOutput,
  type TaskRegistry,
  type TaskRequest,
} from './tasks.ts';

export interface WorkerPoolOptions {
  /** URL of the module that exports `tasks`. */
  readonly registry: URL;
  /** The most threads. They are started when they are needed. */
  readonly size: number;
  /** Of each thread; a task that needs more fails alone. */
  readonly limits?: ResourceLimits;
  /** Milliseconds after which a thread without work ends; 60 s when absent. */
  readonly idleMs?: number;
}

export interface TaskOptions {
  /** The task stops for good when it aborts: its thread is ended. */
  readonly signal?: AbortSignal;
  /** Milliseconds that the task may run, not counting the wait for a thread; 20 minutes when absent. */
  readonly timeout?: number;
  /** Buffers of the input that are handed over instead of copied. */
  readonly transfer?: readonly Transferable[];
}

interface Job {
  readonly name: string;
  readonly input: unknown;
  readonly options: TaskOptions;
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const DEFAULT_TIMEOUT_MS = 20 * 60_000;
const DEFAULT_IDLE_MS = 60_000;
/** How long an aborted task may take to end what it started. */
const ABORT_GRACE_MS = 1_000;
const ENTRY = new URL('worker-entry.ts', import.meta.url);

/**
 * Threads for work that would keep the requests waiting. One task at a time in each; a task that is aborted, is late,
 * crashes or runs out of memory costs its own thread and nothing else.
 */
export class WorkerPool<R extends TaskRegistry> {
  readonly #options: WorkerPoolOptions;
  readonly #threads = new Set<Thread>();
  readonly #waiting = new Set<Job>();
  #closed = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** Threads that are alive. */
  get threads(): number {
    return this.#threads.size;
  }

  /**
   * Runs a task. Rejects with what it threw (`FactoryError`s keep kind and code); `internal` `TASK_TIMEOUT`,
   * `TASK_CRASHED`, `TASK_OUT_OF_MEMORY`; with the signal's reason when that aborts; `unavailable` `WORKERS_CLOSED`.
   */
  runTask<K extends keyof R & string>(
    name: K,
    input: TaskInput<R, K>,
    options: TaskOptions = {},
  ): Promise<TaskOutput<R, K>> {
    const { signal } = options;
    if (this.#closed) return Promise.reject(closed());
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<TaskOutput<R, K>>();
    const job: Job = { name, input, options, resolve: resolve as Job['resolve'], reject };
    const leave = (): void => {
      // Once a thread has it, the thread sees to it.
      if (this.#waiting.delete(job)) reject(signal?.reason);
    };
    signal?.addEventListener('abort', leave, { once: true });
    this.#waiting.add(job);
    this.#advance();
    return promise.finally(() => signal?.removeEventListener('abort', leave));
  }

  /** `runTask` for callers that know tasks by name alone. */
  run(name: string, input: unknown, signal?: AbortSignal): Promise<unknown> {
    return this.runTask(name, input as never, signal === undefined ? {} : { signal });
  }

  /** Ends all threads; tasks that run or wait are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#waiting) job.reject(closed());
    this.#waiting.clear();
    await Promise.all([...this.#threads].map((thread) => thread.end(closed())));
  }

  #advance(): void {
    for (const job of this.#waiting) {
      const thread = this.#freeThread();
      if (thread === undefined) return;
      this.#waiting.delete(job);
      thread.take(job);
    }
  }

  #freeThread(): Thread | undefined {
    for (const thread of this.#threads) if (thread.free) return thread;
    if (this.#closed || this.#threads.size >= this.#options.size) return undefined;
    const thread = new Thread(this.#options, {
      free: () => this.#advance(),
      gone: (gone) => {
        this.#threads.delete(gone);
        this.#advance();
      },
    });
    this.#threads.add(thread);
    return thread;
  }
}

interface ThreadEvents {
  readonly free: () => void;
  readonly gone: (thread: Thread) => void;
}

/** One worker thread and the job it has. */
class Thread {
  readonly #worker: Worker;
  readonly #events: ThreadEvents;
  readonly #idleMs: number;
  #job: Job | undefined;
  #stopWatching: () => void = () => {};
  #idle: NodeJS.Timeout | undefined;
  #ending = false;
  readonly #ended = Promise.withResolvers<void>();

  constructor(options: WorkerPoolOptions, events: ThreadEvents) {
    this.#events = events;
    this.#idleMs = options.idleMs ?? DEFAULT_IDLE_MS;
    this.#worker = new Worker(ENTRY, {
      workerData: { registry: options.registry.href },
      // Nothing of the process is theirs: no environment, no flags, no input.
      env: {},
      argv: [],
      execArgv: [],
      ...(options.limits === undefined ? {} : { resourceLimits: options.limits }),
    });
    this.#worker.on('message', (answer: TaskAnswer) => this.#answered(answer));
    this.#worker.on('messageerror', (error) => void this.end(crashed(error)));
    this.#worker.on('error', (error) => this.#fail(crashed(error)));
    this.#worker.on('exit', (code) => this.#exited(code));
    this.#worker.unref();
  }

  get free(): boolean {
    return this.#job === undefined && !this.#ending;
  }

  take(job: Job): void {
    clearTimeout(this.#idle);
    this.#job = job;
    this.#worker.ref();
    const { signal, timeout = DEFAULT_TIMEOUT_MS, transfer = [] } = job.options;
    const abort = (): void => void this.end(signal?.reason);
    const timer = setTimeout(() => void this.end(late(job.name, timeout)), timeout);
    signal?.addEventListener('abort', abort, { once: true });
    this.#stopWatching = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    try {
      const request: TaskRequest = { kind: 'run', name: job.name, input: job.input };
      this.#worker.postMessage(request, [...transfer]);
    } catch (error) {
      // An input that cannot be cloned never reached the thread.
      this.#settle((failed) => failed.reject(error));
      this.#rest();
    }
  }

  /**
   * Ends the thread; its job is rejected with `reason`. The task hears of it first: ending a thread does not end the
   * programs that it started.
   */
  async end(reason: unknown): Promise<void> {
    if (this.#ending) return this.#ended.promise;
    this.#ending = true;
    clearTimeout(this.#idle);
    if (this.#job === undefined) void this.#worker.terminate();
    else {
      const request: TaskRequest = { kind: 'abort' };
      this.#worker.postMessage(request);
      this.#settle((job) => job.reject(reason));
      const timer = setTimeout(() => void this.#worker.terminate(), ABORT_GRACE_MS);
      void this.#ended.promise.then(() => clearTimeout(timer));
    }
    return this.#ended.promise;
  }

  #answered(answer: TaskAnswer): void {
    if (this.#ending) {
      void this.#worker.terminate();
      return;
    }
    this.#settle((job) => (answer.ok ? job.resolve(answer.output) : job.reject(fromWire(answer.error))));
    this.#rest();
  }

  /** The thread crashed; `exit` follows. */
  #fail(error: FactoryError): void {
    this.#ending = true;
    this.#settle((job) => job.reject(error));
  }

  #exited(code: number): void {
    this.#fail(crashed(new Error(`the thread ended with ${code}`)));
    clearTimeout(this.#idle);
    this.#ended.resolve();
    this.#events.gone(this);
  }

  #rest(): void {
    this.#worker.unref();
    this.#idle = setTimeout(() => void this.end(undefined), this.#idleMs);
    this.#idle.unref();
    this.#events.free();
  }

  #settle(settle: (job: Job) => void): void {
    const job = this.#job;
    if (job === undefined) return;
    this.#job = undefined;
    this.#stopWatching();
    settle(job);
  }
}

function crashed(error: Error): FactoryError {
  if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new FactoryError(
      'internal',
      'TASK_OUT_OF_MEMORY',
      'the task needs more memory than a task may have',
      {
        cause: error,
      },
    );
  }
  return new FactoryError('internal', 'TASK_CRASHED', `the task crashed: ${error.message}`, { cause: error });
}

function late(name: string, milliseconds: number): FactoryError {
  return new FactoryError(
    'internal',
    'TASK_TIMEOUT',
    `the task ${name} did not end within ${milliseconds / 1000} s`,
  );
}

function closed(): FactoryError {
  return new FactoryError('unavailable', 'WORKERS_CLOSED', 'the factory is shutting down');
}
