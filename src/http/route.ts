import type { z } from 'zod';
import type { RequestFacts } from './request.ts';
import type { Result } from './result.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Who may call when authentication is enabled (`spec/http-api.md` §2). */
export type RouteClass = 'auth' | 'auth+token' | 'public' | 'static';

/** One documented answer. Errors need no entry of their own: `errors` lists their statuses. */
export interface ResponseDoc {
  readonly status: number;
  readonly description: string;
  /** By media type: the schema of a JSON body, or `text` or `binary`. */
  readonly content?: Readonly<Record<string, z.ZodType | 'text' | 'binary'>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The truth about a route: the router, `Allow`, metrics labels, OpenAPI and `docs/api.md` come from it. */
export interface RouteSpec {
  readonly method: Method;
  /** `:name` is one non-empty segment; `*name` at the end is the rest with its leading slash. */
  readonly path: string;
  /** Operation id: one word in camel case. */
  readonly id: string;
  readonly class: RouteClass;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: {
    readonly mediaType: string;
    readonly description: string;
    readonly example: string;
    readonly maxBytes: number;
  };
  readonly responses: readonly ResponseDoc[];
  readonly errors: readonly number[];
}

/** A route that can be served. `GET` routes answer `HEAD` too. */
export interface Route extends RouteSpec {
  handle(request: RequestFacts): Promise<Result> | Result;
}
