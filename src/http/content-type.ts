/** `spec/http-api.md` §6.4; one table, so that no answer depends on the host's MIME database. */
const TYPES: Readonly<Record<string, string>> = {
  '.efi': 'application/efi',
  '.iso': 'application/x-iso9660-image',
  '.xz': 'application/x-xz',
  '.gz': 'application/gzip',
  '.qcow2': 'application/x-qemu-disk',
  '.txt': 'text/plain; charset=utf-8',
};

export const TEXT = 'text/plain; charset=utf-8';
export const HTML = 'text/html; charset=utf-8';
export const JSON_TYPE = 'application/json';
export const BINARY = 'application/octet-stream';

/** The media type of an asset by what follows the last dot of its path. */
export function contentTypeOf(path: string): string {
  const dot = path.lastIndexOf('.');
  const extension = dot < 0 ? '' : path.slice(dot);
  return Object.hasOwn(TYPES, extension) ? (TYPES[extension] ?? BINARY) : BINARY;
}
