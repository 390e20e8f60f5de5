import { createHash } from 'node:crypto';
import { textBlob } from '../blob/bytes.ts';
import type { HeaderFields, Representation } from './result.ts';

/** Lists change with releases; a stale one is better than none (`spec/http-api.md` §10). */
export const LIST_CACHE_CONTROL = 'public, max-age=300, stale-if-error=86400';

export interface TextOptions {
  readonly contentType: string;
  readonly cacheControl: string;
  /** The hash of the text unless told. */
  readonly etag?: string;
  readonly immutable?: boolean;
  readonly headers?: HeaderFields;
}

/** A small text as a representation that can be revalidated, by the hash of its content unless told otherwise. */
export function textRepresentation(text: string, options: TextOptions): Representation {
  const sha256 = createHash('sha256').update(text).digest('hex');
  return {
    kind: 'representation',
    blob: textBlob(text),
    ...options,
    etag: options.etag ?? sha256.slice(0, 32),
    digest: {
      known: sha256,
      compute: async (algorithm) => createHash(algorithm).update(text).digest('hex'),
    },
  };
}
