/** What runs in each worker thread: it takes requests one after the other and answers each. */
import { parentPort, workerData } from 'node:worker_threads';
import { type TaskAnswer, type TaskRegistry, type TaskRequest, Transferred, toWire } from './tasks.ts';

const registry: string = workerData.registry;

async function answer(name: string, input: unknown, signal: AbortSignal): Promise<Transferred<TaskAnswer>> {
  try {
    const { tasks }: { readonly tasks: TaskRegistry } = await import(registry);
    const load = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
    if (load === undefined) throw new TypeError(`there is no task ${JSON.stringify(name)}`);
    const task = await load();
    const output = await task(input as never, signal);
    return output instanceof Transferred
      ? new Transferred({ ok: true, output: output.value }, output.transfer)
      : new Transferred({ ok: true, output }, []);
  } catch (error) {
    return new Transferred({ ok: false, error: toWire(error) }, []);
  }
}

let running = new AbortController();

parentPort?.on('message', (request: TaskRequest) => {
  if (request.kind === 'abort') {
    running.abort();
    return;
  }
  running = new AbortController();
  void answer(request.name, request.input, running.signal).then(({ value, transfer }) => {
    try {
      parentPort?.postMessage(value, [...transfer]);
    } catch (error) {
      // An output that cannot be cloned is the task's mistake, which its caller should hear of.
      const refusal: TaskAnswer = { ok: false, error: toWire(error) };
      parentPort?.postMessage(refusal);
    }
  });
});
