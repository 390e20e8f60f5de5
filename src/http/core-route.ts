import type { z } from 'zod';
import { FactoryError } from '../errors.ts';
import type { ExternalUrls } from './external-urls.ts';
import type { RequestFacts } from './request.ts';
import type { Result } from './result.ts';
import type { Route, RouteSpec } from './route.ts';
import type { Services } from './services.ts';

/** What a handler of this frontend gets beside the request. */
export interface Context {
  readonly services: Services;
  readonly urls: ExternalUrls;
  /** The build's tag, for documents. */
  readonly tag: string;
}

/** A documented route whose handler is not bound to services yet: documents are made without any. */
export interface CoreRoute extends RouteSpec {
  bind(context: Context): Route;
}

type Output<S extends z.ZodObject | undefined> = S extends z.ZodObject
  ? z.infer<S>
  : Readonly<Record<never, never>>;

type TypedSpec<P extends z.ZodObject | undefined, Q extends z.ZodObject | undefined> = Omit<
  RouteSpec,
  'params' | 'query'
> & { readonly params?: P; readonly query?: Q };

export interface HandlerInput<P, Q> {
  readonly request: RequestFacts;
  readonly params: P;
  readonly query: Q;
  readonly context: Context;
}

/** Ties a handler to its specification; `params` and `query` have passed their schemas when it is called. */
export function coreRoute<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
>(
  spec: TypedSpec<P, Q>,
  handler: (input: HandlerInput<Output<P>, Output<Q>>) => Promise<Result> | Result,
): CoreRoute {
  const { params, query, ...rest } = spec;
  const whole: RouteSpec = {
    ...rest,
    ...(params === undefined ? {} : { params }),
    ...(query === undefined ? {} : { query }),
  };
  return {
    ...whole,
    bind: (context) => ({
      ...whole,
      handle: (request) =>
        handler({
          request,
          params: check(params, request.params) as Output<P>,
          query: check(query, firstValues(request.query)) as Output<Q>,
          context,
        }),
    }),
  };
}

function check(schema: z.ZodObject | undefined, value: Readonly<Record<string, string>>): unknown {
  if (schema === undefined) return {};
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new FactoryError('invalid', 'HTTP_PARAMETER_INVALID', `invalid parameter ${problems.join('; ')}`);
}

/** The first value of each name, as every common server reads a repeated query parameter. */
function firstValues(query: URLSearchParams): Readonly<Record<string, string>> {
  const values: Record<string, string> = Object.create(null);
  for (const [name, value] of query) if (!(name in values)) values[name] = value;
  return values;
}
