/** Longest name (characters) that is passed on: what file systems take. */
const MAX_LENGTH = 255;
const FALLBACK = 'download';

/**
 * A file name that is safe in a header, in a checksum line and in a download directory: without control and
 * bidirectional characters, slashes and backslashes; `download` when nothing is left.
 */
export function safeFilename(name: string): string {
  const kept = name
    .toWellFormed()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069/\\]/g, '')
    .trim();
  const short = kept.length <= MAX_LENGTH ? kept : kept.slice(0, MAX_LENGTH).replace(/[\ud800-\udbff]$/, '');
  return short === '' || short === '.' || short === '..' ? FALLBACK : short;
}

/** `Content-Disposition: attachment` (RFC 6266 §4.3), with `filename*` of RFC 8187 beside a plain form. */
export function attachment(name: string): string {
  const safe = safeFilename(name);
  const plain = safe.replace(/[^\x20-\x7e]/gu, '_').replace(/["\\]/g, '\\$&');
  const quoted = `attachment; filename="${plain}"`;
  return /[^\x20-\x7e]/.test(safe) ? `${quoted}; filename*=UTF-8''${extendedValue(safe)}` : quoted;
}

/** RFC 8187 §3.2.1: everything but `attr-char` is percent-encoded. */
function extendedValue(text: string): string {
  return encodeURIComponent(text).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
