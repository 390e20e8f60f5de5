import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Small facts that were true when they were last heard, for when nobody can be asked: kept over restarts, replaced
 * as a whole, never the only copy of anything.
 */
export interface Facts {
  recall(key: string): Promise<string | undefined>;
  keep(key: string, text: string): Promise<void>;
}

/** Remembers nothing. */
export const noFacts: Facts = { recall: async () => undefined, keep: async () => {} };

/** The most bytes of a fact. */
const FACT_LIMIT = 8 << 20;

/** Facts in files of a directory, which is made when there is none. */
export async function openFacts(directory: string): Promise<Facts> {
  await mkdir(directory, { recursive: true });
  const place = (key: string): string => join(directory, createHash('sha256').update(key).digest('hex'));
  return {
    async recall(key) {
      try {
        const bytes = await readFile(place(key));
        return bytes.length > FACT_LIMIT ? undefined : bytes.toString('utf8');
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async keep(key, text) {
      const temporary = join(directory, `${randomUUID()}.tmp`);
      try {
        {
          await using file = await open(temporary, 'wx');
          await file.writeFile(text);
          await file.sync();
        }
        await rename(temporary, place(key));
      } finally {
        await rm(temporary, { force: true });
      }
    },
  };
}
