import { z } from 'zod';

/** Base64, standard or URL-safe, as protobuf's JSON mapping accepts it; the decoded bytes. */
export const base64Bytes = z
  .string()
  .regex(/^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$/, 'not base64')
  .transform((text): Uint8Array => Buffer.from(text, 'base64'));

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What the JSON of `bytes` holds when it is UTF-8, JSON, and of that shape; else `undefined`. */
export function parseJsonBytes<T>(schema: z.ZodType<T>, bytes: Uint8Array): T | undefined {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch {
    // From outside: being no JSON is one of the ways of not having the shape.
    return undefined;
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}
