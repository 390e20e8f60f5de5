import type { ImagerTasks } from './tasks/registry.ts';

type TaskOf<K extends keyof ImagerTasks> = Awaited<ReturnType<ImagerTasks[K]>>;

/** Runs one of the imager's tasks apart from the caller: in a worker thread, or right here in tests. */
export interface TaskRunner {
  runTask<K extends keyof ImagerTasks>(
    name: K,
    input: Parameters<TaskOf<K>>[0],
    options?: { readonly signal?: AbortSignal },
  ): Promise<Awaited<ReturnType<TaskOf<K>>>>;
}
