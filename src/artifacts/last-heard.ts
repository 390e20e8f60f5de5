import { FactoryError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Facts } from '../store/facts.ts';

export interface LastHeardOptions {
  readonly facts: Facts;
  /** Names the fact for ever. */
  readonly key: string;
  /** For the log. */
  readonly what: string;
  /** True when there is something newer to fall back on: then failures are passed on. */
  readonly hasPrevious: boolean;
  readonly log: Log;
}

/**
 * What `ask` answers, which is kept; when it fails and nothing has been heard since the start, what was kept before,
 * so that a restart while a registry is down loses nothing.
 */
export async function lastHeard(options: LastHeardOptions, ask: () => Promise<string>): Promise<string> {
  const { facts, key, what, hasPrevious, log } = options;
  let answer: string;
  try {
    answer = await ask();
  } catch (error) {
    if (hasPrevious || !isUpstreamTrouble(error)) throw error;
    const kept = await facts.recall(key);
    if (kept === undefined) throw error;
    log.warn(`${what} cannot be asked for, using what was heard before the restart`, { error });
    return kept;
  }
  try {
    if ((await facts.recall(key)) !== answer) await facts.keep(key, answer);
  } catch (error) {
    // A full disk is no reason not to use the answer.
    log.warn(`${what} cannot be kept`, { error });
  }
  return answer;
}

function isUpstreamTrouble(error: unknown): boolean {
  return error instanceof FactoryError && (error.kind === 'unavailable' || error.kind === 'upstream');
}
