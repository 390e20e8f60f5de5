import { isUtf8 } from 'node:buffer';

/**
 * Bytes as a text. What is no UTF-8 becomes one lone surrogate a byte (U+DC80..U+DCFF), so that nothing is lost:
 * `!!binary` scalars can hold such bytes, and canonical YAML writes them as `!!binary` again.
 */
export function textOfBytes(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return Buffer.from(bytes).toString('utf8');
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length === 0) parts.push(String.fromCharCode(0xdc00 + (bytes[at] ?? 0)));
    else parts.push(Buffer.from(bytes.subarray(at, at + length)).toString('utf8'));
    at += Math.max(length, 1);
  }
  return parts.join('');
}

/** The bytes that `textOfBytes` made a text of. */
export function bytesOfText(text: string): Buffer {
  const parts: Buffer[] = [];
  for (const run of text.split(/([\udc80-\udcff])/u)) {
    const code = run.charCodeAt(0);
    const isByte = run.length === 1 && code >= 0xdc80 && code <= 0xdcff;
    parts.push(isByte ? Buffer.of(code - 0xdc00) : Buffer.from(run, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** Bytes of the UTF-8 character at `at`, 0 when there is none. */
function characterLength(bytes: Uint8Array, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    if (isUtf8(bytes.subarray(at, at + length))) return length;
  }
  return 0;
}
