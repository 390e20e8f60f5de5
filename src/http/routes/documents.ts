import { z } from 'zod';
import { JSON_TYPE, TEXT } from '../content-type.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import { joinUrl } from '../external-urls.ts';
import { jsonLine } from '../json-line.ts';
import { llmsText } from '../llms-text.ts';
import { openapiDocument } from '../openapi.ts';
import type { RouteSpec } from '../route.ts';
import { LIST_CACHE_CONTROL, textRepresentation } from '../text-representation.ts';

/** What describes `routes` to programs (`spec/http-api.md` §6.13). */
export function documentRoutes(routes: readonly RouteSpec[]): readonly CoreRoute[] {
  const openapi: CoreRoute = coreRoute(
    {
      method: 'GET',
      path: '/openapi.json',
      id: 'getOpenApi',
      class: 'public',
      tag: 'documents',
      summary: 'This interface as OpenAPI 3.1',
      responses: [{ status: 200, description: 'The document.', content: { [JSON_TYPE]: z.looseObject({}) } }],
      errors: [],
    },
    ({ context }) => {
      const serverUrl = joinUrl(context.urls.external).replace(/\/$/, '');
      const document = openapiDocument([...routes, ...documents], { version: context.tag, serverUrl });
      return textRepresentation(jsonLine(document), {
        contentType: JSON_TYPE,
        cacheControl: LIST_CACHE_CONTROL,
      });
    },
  );
  const llms = coreRoute(
    {
      method: 'GET',
      path: '/llms.txt',
      id: 'getLlmsText',
      class: 'public',
      tag: 'documents',
      summary: 'This service explained for language models',
      responses: [{ status: 200, description: 'Markdown.', content: { 'text/plain': 'text' } }],
      errors: [],
    },
    ({ context }) =>
      textRepresentation(llmsText(context.urls), { contentType: TEXT, cacheControl: LIST_CACHE_CONTROL }),
  );
  const documents: readonly CoreRoute[] = [openapi, llms];
  return documents;
}
