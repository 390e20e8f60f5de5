import { bytesBlob } from '../../blob/bytes.ts';
import { HTML, TEXT } from '../content-type.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import { joinUrl } from '../external-urls.ts';
import { favicon } from '../favicon.ts';
import { landingPage } from '../landing-page.ts';
import { LIST_CACHE_CONTROL, textRepresentation } from '../text-representation.ts';

const ROBOTS = `User-agent: *
Disallow: /image/
Disallow: /pxe/
Disallow: /talosctl/
Disallow: /v2/
`;

/** What browsers and crawlers ask for. */
export const pageRoutes: readonly CoreRoute[] = [
  coreRoute(
    {
      method: 'GET',
      path: '/',
      id: 'getLandingPage',
      class: 'auth',
      tag: 'pages',
      summary: 'What this service is',
      responses: [{ status: 200, description: 'A page.', content: { 'text/html': 'text' } }],
      errors: [],
    },
    ({ context }) =>
      textRepresentation(landingPage(joinUrl(context.urls.external).replace(/\/$/, ''), context.tag), {
        contentType: HTML,
        cacheControl: 'no-cache',
        headers: {
          'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'",
        },
      }),
  ),
  coreRoute(
    {
      method: 'GET',
      path: '/robots.txt',
      id: 'getRobots',
      class: 'static',
      tag: 'pages',
      summary: 'What crawlers should leave alone',
      description: 'A crawler that follows image links would have every image built.',
      responses: [{ status: 200, description: 'Rules.', content: { 'text/plain': 'text' } }],
      errors: [],
    },
    () => textRepresentation(ROBOTS, { contentType: TEXT, cacheControl: LIST_CACHE_CONTROL }),
  ),
  coreRoute(
    {
      method: 'GET',
      path: '/favicon.ico',
      id: 'getFavicon',
      class: 'static',
      tag: 'pages',
      summary: 'Icon',
      responses: [{ status: 200, description: 'An icon.', content: { 'image/x-icon': 'binary' } }],
      errors: [],
    },
    () => ({
      kind: 'representation',
      blob: bytesBlob(favicon()),
      contentType: 'image/x-icon',
      cacheControl: 'public, max-age=86400',
      etag: 'favicon-1',
    }),
  ),
];
