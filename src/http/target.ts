/** The path and query of a request target. */
export interface Target {
  /** Percent-decoded once, starting with a slash; `*` for the server as a whole. */
  readonly path: string;
  /** As sent, with its question mark; empty when there is none. */
  readonly search: string;
  readonly query: URLSearchParams;
}

/**
 * Origin form, absolute form and asterisk form (RFC 9112 §3.2). `undefined` when the escapes of the path are not
 * UTF-8 or it has control characters, which no name here has.
 */
export function parseTarget(target: string): Target | undefined {
  if (target === '*') return { path: '*', search: '', query: new URLSearchParams() };
  const origin = target.startsWith('/') ? target : /^https?:\/\/[^/?#]*(.*)$/i.exec(target)?.[1];
  if (origin === undefined) return undefined;
  const withoutFragment = origin.split('#', 1)[0] ?? '';
  const mark = withoutFragment.indexOf('?');
  const raw = mark < 0 ? withoutFragment : withoutFragment.slice(0, mark);
  const search = mark < 0 ? '' : withoutFragment.slice(mark);
  const path = decode(raw === '' ? '/' : raw);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (path === undefined || !path.startsWith('/') || /[\u0000-\u001f\u007f]/.test(path)) return undefined;
  return { path, search, query: new URLSearchParams(search) };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
