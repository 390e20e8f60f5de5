import { badAnswer } from './errors.ts';

/**
 * The next page of a list: the `Link` with `rel="next"` (RFC 8288), relative or absolute, but of the same origin
 * only, for credentials go with it.
 */
export function nextPage(header: string | undefined, base: URL): URL | undefined {
  if (header === undefined || header.length > 16 * 1024) return undefined;
  for (const match of header.matchAll(/<([^<>]*)>([^<]*)/g)) {
    const [, target, parameters] = match;
    if (target === undefined || !/;\s*rel\s*=\s*(?:"next"|next)(?:\s*[;,]|\s*$)/i.test(parameters ?? ''))
      continue;
    if (!URL.canParse(target, base.href)) break;
    const next = new URL(target, base);
    // Registries behind a proxy write `http:` into addresses of themselves.
    if (next.host === base.host && base.protocol === 'https:') next.protocol = 'https:';
    if (next.origin === base.origin) return next;
    throw badAnswer(
      'OCI_REDIRECT_REFUSED',
      `${base.host} continues its list at ${next.host}, which is refused`,
    );
  }
  return undefined;
}
