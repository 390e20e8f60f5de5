import { FactoryError } from '../errors.ts';

/** PATH_MAX and NAME_MAX of Linux, in bytes. */
const PATH_LIMIT = 4096;
const NAME_LIMIT = 255;

/**
 * The place of an archive member's name below a root, as a tree path (`''` is the root): `.`, empty and `..`
 * parts are resolved by the text alone, and neither a leading `/` nor any number of `..` leaves the root.
 * Throws `invalid` `ARCHIVE_PATH_INVALID` for a name that is empty, has NUL in it or is too long for Linux.
 */
export function confinePath(name: string): string {
  if (name === '') throw invalid(name, 'it is empty');
  if (name.includes('\0')) throw invalid(name, 'it contains NUL');
  if (Buffer.byteLength(name) >= PATH_LIMIT) throw invalid(name, `it is longer than ${PATH_LIMIT - 1} bytes`);
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else if (Buffer.byteLength(part) > NAME_LIMIT)
      throw invalid(name, `a part is longer than ${NAME_LIMIT} bytes`);
    else parts.push(part);
  }
  return parts.join('/');
}

function invalid(name: string, reason: string): FactoryError {
  return new FactoryError(
    'invalid',
    'ARCHIVE_PATH_INVALID',
    `invalid path in an archive: ${JSON.stringify(name.slice(0, 200))}: ${reason}`,
  );
}
