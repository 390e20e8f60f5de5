import type { Blob } from '../blob/blob.ts';
import type { DigestAlgorithm } from './services.ts';

export type HeaderFields = Readonly<Record<string, string>>;

/** What a handler answers. Errors are thrown. */
export type Result = Message | Representation;

/** A small answer that is sent as it is. */
export interface Message {
  readonly kind: 'message';
  readonly status: number;
  readonly headers?: HeaderFields;
  readonly body?: string | Uint8Array;
}

/**
 * A 200 answer whose bytes can be validated, revalidated and requested in part (RFC 9110 §13, §14); the server
 * makes 304, 206, 412 and 416 of it where the request asks for them.
 */
export interface Representation {
  readonly kind: 'representation';
  readonly blob: Blob;
  readonly contentType: string;
  readonly cacheControl: string;
  /** Opaque tag without quotes; strong. */
  readonly etag: string;
  /** True when the URL can never name other bytes: only then is a (fixed) modification date sent and heeded. */
  readonly immutable?: boolean;
  readonly headers?: HeaderFields;
  /** For `Repr-Digest` (RFC 9530). */
  readonly digest?: DigestSource;
  /** Called once, after the last byte or the failure. */
  readonly release?: () => void;
}

export interface DigestSource {
  /** Hex SHA-256 when it is known already. */
  readonly known: string | undefined;
  compute(algorithm: DigestAlgorithm): Promise<string>;
}
