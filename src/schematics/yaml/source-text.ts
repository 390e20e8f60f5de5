import { isUtf8 } from 'node:buffer';

/**
 * The characters of a document as far as they are characters. A text may go wrong after the first document,
 * where nobody looks, so what is wrong is kept for the reader that gets there.
 */
export interface SourceText {
  readonly text: string;
  /** Why the text ends where it does, when that is not the end of the bytes. */
  readonly flaw: string | undefined;
}

/** What YAML 1.1 §5.1 does not allow unescaped: C0 but TAB, LF and CR, DEL and C1 but NEL, lone surrogates, U+FFFE. */
const FORBIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]/;

/** UTF-8, or UTF-16 when there is a byte order mark; the mark is dropped. */
export function decodeSource(bytes: Uint8Array): SourceText {
  const { text, flaw } = decodeBytes(bytes);
  const control = FORBIDDEN.exec(text);
  return control === null
    ? { text, flaw }
    : { text: text.slice(0, control.index), flaw: 'control characters are not allowed' };
}

function decodeBytes(bytes: Uint8Array): SourceText {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return decodeUtf16(bytes.subarray(2), 'utf-16le');
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return decodeUtf16(bytes.subarray(2), 'utf-16be');
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const content = hasMark ? bytes.subarray(3) : bytes;
  if (isUtf8(content)) return { text: decode(content, 'utf-8'), flaw: undefined };
  return {
    text: decode(content.subarray(0, validUtf8Prefix(content)), 'utf-8'),
    flaw: 'invalid UTF-8 sequence',
  };
}

function decodeUtf16(bytes: Uint8Array, encoding: 'utf-16le' | 'utf-16be'): SourceText {
  const even = bytes.length - (bytes.length % 2);
  const text = new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes.subarray(0, even));
  // The decoder writes U+FFFD for a lone surrogate; one that was written as such is not worth telling apart.
  const lone = text.indexOf('\ufffd');
  if (lone >= 0) return { text: text.slice(0, lone), flaw: 'unexpected low surrogate area' };
  return { text, flaw: even === bytes.length ? undefined : 'incomplete UTF-16 character' };
}

function decode(bytes: Uint8Array, encoding: string): string {
  return new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes);
}

/** Length of the longest prefix that is whole UTF-8, by halving. */
function validUtf8Prefix(bytes: Uint8Array): number {
  let valid = 0;
  let step = bytes.length;
  while (step > 0) {
    // A cut inside of a character is no error yet: try up to three bytes less.
    for (let end = Math.min(valid + step, bytes.length); end > valid && end > valid + step - 4; end--) {
      if (isUtf8(bytes.subarray(valid, end))) {
        valid = end;
        break;
      }
    }
    step >>= 1;
  }
  return valid;
}
