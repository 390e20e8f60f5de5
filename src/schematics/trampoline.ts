/** A computation that hands its recursive calls to whoever runs it, and gets their results back. */
export type Steps<T> = Generator<Steps<T>, T, T>;

/**
 * Runs a recursion with a stack on the heap: documents may be nested deeper than the program's own stack is.
 */
export function runSteps<T>(first: Steps<T>): T {
  const stack: Steps<T>[] = [first];
  let step = first.next();
  for (;;) {
    if (step.done !== true) {
      stack.push(step.value);
      step = step.value.next();
      continue;
    }
    stack.pop();
    const caller = stack.at(-1);
    if (caller === undefined) return step.value;
    step = caller.next(step.value);
  }
}
