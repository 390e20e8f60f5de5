import type { Log } from '../log.ts';
import { logAccess } from './access-log.ts';
import { HTML } from './content-type.ts';
import { type Cors, corsHeaders, isPreflight, preflightHeaders } from './cors.ts';
import { planDelivery, writeBytes } from './deliver.ts';
import { errorMessage, type PublicError, publicError } from './error-response.ts';
import type { Exchange } from './exchange.ts';
import { html } from './html.ts';
import type { HttpMetrics } from './metrics.ts';
import type { RequestFacts } from './request.ts';
import { requestId } from './request-id.ts';
import type { HeaderFields, Message, Representation, Result } from './result.ts';
import type { Match, Router } from './router.ts';
import { parseTarget, type Target } from './target.ts';

export interface PipelineOptions {
  readonly router: Router;
  readonly cors: Cors;
  readonly metrics: HttpMetrics;
  readonly log: Log;
  /** Value of `Server`. */
  readonly serverName: string;
  /** True while the server waits for its last answers. */
  draining(): boolean;
}

/** Label of answers that no route gave. */
const UNMATCHED = 'unmatched';
/** nginx's number for a client that went away; only in logs and metrics. */
const CLIENT_GONE = 499;

/** The way of one request (`spec/http-api.md` §4): never throws, always logs and measures. */
export async function serve(exchange: Exchange, options: PipelineOptions): Promise<void> {
  const started = performance.now();
  const id = requestId(exchange.header('x-request-id'));
  const log = options.log.with({ request_id: id });
  const target = parseTarget(exchange.target);
  const match: Match = target === undefined ? { kind: 'not-found' } : route(exchange, target, options.router);
  const measured = options.metrics.begin(match.kind === 'route' ? match.route.path : UNMATCHED);
  const send = sender(exchange, options, id);
  let failure: unknown;
  let gone = false;
  try {
    if (isPreflight(exchange.method, exchange.header)) {
      await send.message({
        kind: 'message',
        status: 204,
        headers: preflightHeaders(options.cors, exchange.header),
      });
    } else if (target === undefined) {
      await send.error(routerError(400, 'HTTP_TARGET_INVALID', 'invalid request path'));
    } else if (match.kind === 'route') {
      const { route, params } = match;
      // Also what goes on when the answer has been given, a build for example, says which request began it.
      await log.within({ request_id: id }, async () => {
        await send.result(await route.handle(facts(exchange, target, params, id, log)));
      });
    } else {
      await unmatched(send, match, target);
    }
    gone = exchange.signal.aborted;
  } catch (error) {
    if (exchange.signal.aborted) gone = true;
    else failure = await failed(exchange, send, error);
  }
  const status = gone ? CLIENT_GONE : (exchange.sent ?? CLIENT_GONE);
  const seconds = (performance.now() - started) / 1000;
  const { method, bytes, remote } = exchange;
  measured({ method, status, seconds, bytes });
  logAccess(log, {
    method,
    path: target?.path ?? '',
    status,
    seconds,
    bytes,
    remote,
    userAgent: exchange.header('user-agent'),
    error: failure,
  });
}

function route(exchange: Exchange, target: Target, router: Router): Match {
  if (target.path === '*') {
    return exchange.method === 'OPTIONS'
      ? { kind: 'options', allow: 'GET, HEAD, OPTIONS, POST' }
      : { kind: 'not-found' };
  }
  return router.match(exchange.method, target.path);
}

function facts(
  exchange: Exchange,
  target: Target,
  params: Readonly<Record<string, string>>,
  id: string,
  log: Log,
): RequestFacts {
  return {
    method: exchange.method,
    path: target.path,
    params,
    query: target.query,
    host: exchange.header('host'),
    requestId: id,
    signal: exchange.signal,
    log,
    header: exchange.header,
    body: (limit) => exchange.body(limit),
  };
}

interface Sender {
  result(result: Result): Promise<void>;
  message(message: Message): Promise<void>;
  error(error: PublicError, headers?: HeaderFields): Promise<void>;
}

/** Puts the headers that every answer carries (§3) around a result. */
function sender(exchange: Exchange, options: PipelineOptions, id: string): Sender {
  const head = (status: number, headers: HeaderFields): void => {
    const { Vary, ...rest } = headers;
    const vary = Vary === undefined ? 'Origin' : Vary.startsWith('Origin') ? Vary : `Origin, ${Vary}`;
    const common = {
      Server: options.serverName,
      'X-Request-Id': id,
      Vary: vary,
      'X-Content-Type-Options': 'nosniff',
      ...(isPreflight(exchange.method, exchange.header)
        ? {}
        : corsHeaders(options.cors, exchange.method, exchange.header)),
    };
    exchange.head(status, { ...rest, ...common }, options.draining());
  };

  const message = async ({ status, headers, body }: Message): Promise<void> => {
    const bytes = typeof body === 'string' ? Buffer.from(body) : (body ?? new Uint8Array());
    const bodiless = status === 204 || status === 304;
    head(status, { ...headers, ...(bodiless ? {} : { 'Content-Length': String(bytes.length) }) });
    if (exchange.method !== 'HEAD' && bytes.length > 0) await exchange.write(bytes);
    await exchange.end();
  };

  const error = (failure: PublicError, headers: HeaderFields = {}): Promise<void> => {
    const made = errorMessage(failure, id, exchange.header('accept'));
    return message({ ...made, headers: { ...made.headers, ...headers } });
  };

  const representation = async (made: Representation): Promise<void> => {
    try {
      const plan = await planDelivery(made, exchange.method, exchange.header);
      exchange.signal.throwIfAborted();
      if (plan.status === 412 || plan.status === 416) {
        const text = plan.status === 412 ? 'precondition failed' : 'range not satisfiable';
        const code = plan.status === 412 ? 'HTTP_PRECONDITION_FAILED' : 'HTTP_RANGE_UNSATISFIABLE';
        await error(routerError(plan.status, code, text), plan.headers);
        return;
      }
      head(plan.status, plan.headers);
      if (exchange.method !== 'HEAD' && plan.length > 0) {
        await writeBytes(exchange, made, plan, exchange.signal);
      }
      await exchange.end();
    } finally {
      made.release?.();
    }
  };

  return {
    message,
    error,
    result: (result) => (result.kind === 'message' ? message(result) : representation(result)),
  };
}

async function unmatched(
  send: Sender,
  match: Exclude<Match, { kind: 'route' }>,
  target: Target,
): Promise<void> {
  switch (match.kind) {
    case 'redirect': {
      const location = `${match.path}${target.search}`;
      const body = html`<a href="${location}">Moved</a>.\n`;
      const headers = { Location: location, 'Content-Type': HTML };
      return send.message({ kind: 'message', status: match.status, headers, body });
    }
    case 'options':
      return send.message({ kind: 'message', status: 200, headers: { Allow: match.allow } });
    case 'method-not-allowed':
      return send.error(routerError(405, 'HTTP_METHOD_NOT_ALLOWED', 'Method Not Allowed'), {
        Allow: match.allow,
      });
    case 'not-found':
      return send.error(routerError(404, 'HTTP_NOT_FOUND', '404 page not found'));
  }
}

function routerError(status: number, code: string, message: string): PublicError {
  return { status, code, message, stage: 'request', retryable: false, retryAfter: undefined };
}

/** Answers an error where that is still possible; returns what the log should say. */
async function failed(exchange: Exchange, send: Sender, error: unknown): Promise<unknown> {
  if (exchange.sent !== undefined) {
    exchange.destroy();
    return error;
  }
  try {
    await send.error(publicError(error));
  } catch (second) {
    exchange.destroy();
    return new Error('the error could not be answered', { cause: new AggregateError([error, second]) });
  }
  return error;
}
