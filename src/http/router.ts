import type { Route } from './route.ts';

/** What the router says of a request. `handler` is the metrics label. */
export type Match =
  | { readonly kind: 'route'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'redirect'; readonly status: 301 | 307; readonly path: string }
  | { readonly kind: 'options'; readonly allow: string }
  | { readonly kind: 'method-not-allowed'; readonly allow: string }
  | { readonly kind: 'not-found' };

type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'param'; readonly name: string }
  | { readonly kind: 'rest'; readonly name: string };

interface Pattern {
  readonly segments: readonly Segment[];
  readonly route: Route;
}

interface Hit {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
  /** The path with literals in the pattern's own case. */
  readonly path: string;
}

/** The rules of `spec/http-api.md` §2.1, with HEAD wherever GET is. */
export interface Router {
  /** `path` is percent-decoded and starts with a slash. */
  match(method: string, path: string): Match;
}

/** Throws when two routes have the same method and pattern. */
export function createRouter(routes: readonly Route[]): Router {
  const patterns = routes.map((route) => ({ route, segments: parsePattern(route.path) })).sort(byPrecedence);
  const seen = new Set<string>();
  for (const { route } of patterns) {
    const key = `${route.method} ${route.path}`;
    if (seen.has(key)) throw new Error(`route ${key} is there twice`);
    seen.add(key);
  }

  const find = (method: string, path: string, foldCase: boolean): Hit | undefined => {
    const wanted = method === 'HEAD' ? 'GET' : method;
    for (const pattern of patterns) {
      if (pattern.route.method !== wanted) continue;
      const hit = matchPattern(pattern, path, foldCase);
      if (hit !== undefined) return hit;
    }
    return undefined;
  };

  return {
    match(method, path) {
      const hit = find(method, path, false);
      if (hit !== undefined) return { kind: 'route', route: hit.route, params: hit.params };
      const target = redirectTarget(path, (other, foldCase) => find(method, other, foldCase));
      if (target !== undefined)
        return { kind: 'redirect', status: method === 'GET' ? 301 : 307, path: encodePath(target) };
      const methods = new Set<string>();
      for (const pattern of patterns) {
        if (matchPattern(pattern, path, false) !== undefined) methods.add(pattern.route.method);
      }
      if (methods.size === 0) return { kind: 'not-found' };
      if (methods.has('GET')) methods.add('HEAD');
      const allow = [...methods, 'OPTIONS'].sort().join(', ');
      return { kind: method === 'OPTIONS' ? 'options' : 'method-not-allowed', allow };
    },
  };
}

/** The existing form of a path: other trailing slash first, then cleaned, then in another case. */
function redirectTarget(
  path: string,
  find: (path: string, foldCase: boolean) => Hit | undefined,
): string | undefined {
  if (path === '/') return undefined;
  const swapped = find(swapTrailingSlash(path), false);
  if (swapped !== undefined) return swapped.path;
  const cleaned = cleanPath(path);
  return (find(cleaned, true) ?? find(swapTrailingSlash(cleaned), true))?.path;
}

function swapTrailingSlash(path: string): string {
  return path.endsWith('/') && path.length > 1 ? path.slice(0, -1) : `${path}/`;
}

/** Without empty, `.` and `..` segments; a trailing slash stays. */
function cleanPath(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/');
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const trailing = kept.length > 0 && ['', '.', '..'].includes(segments.at(-1) ?? '');
  return `/${kept.join('/')}${trailing ? '/' : ''}`;
}

/** Segments are encoded one by one, so that a `Location` made of it is always a path of this host. */
function encodePath(path: string): string {
  return path
    .split('/')
    .map((segment) => encodeURIComponent(segment.toWellFormed()))
    .join('/');
}

function parsePattern(path: string): readonly Segment[] {
  return path
    .slice(1)
    .split('/')
    .map((text): Segment => {
      if (text.startsWith(':')) return { kind: 'param', name: text.slice(1) };
      if (text.startsWith('*')) return { kind: 'rest', name: text.slice(1) };
      return { kind: 'literal', text };
    });
}

const RANK = { literal: 0, param: 1, rest: 2 } as const;

/** Literals before parameters before rests, segment by segment. */
function byPrecedence(a: Pattern, b: Pattern): number {
  for (let i = 0; i < Math.min(a.segments.length, b.segments.length); i++) {
    const order = RANK[a.segments[i]?.kind ?? 'rest'] - RANK[b.segments[i]?.kind ?? 'rest'];
    if (order !== 0) return order;
  }
  return 0;
}

function matchPattern(pattern: Pattern, path: string, foldCase: boolean): Hit | undefined {
  const parts = path.slice(1).split('/');
  const params: Record<string, string> = Object.create(null);
  const own: string[] = [];
  for (const [index, segment] of pattern.segments.entries()) {
    if (segment.kind === 'rest') {
      if (parts.length <= index) return undefined;
      params[segment.name] = `/${parts.slice(index).join('/')}`;
      return { route: pattern.route, params, path: `/${[...own, ...parts.slice(index)].join('/')}` };
    }
    const part = parts[index];
    if (part === undefined) return undefined;
    if (segment.kind === 'param') {
      if (part === '') return undefined;
      params[segment.name] = part;
      own.push(part);
    } else {
      const same = part === segment.text || (foldCase && part.toLowerCase() === segment.text.toLowerCase());
      if (!same) return undefined;
      own.push(segment.text);
    }
  }
  if (parts.length !== pattern.segments.length) return undefined;
  return { route: pattern.route, params, path: `/${own.join('/')}` };
}
