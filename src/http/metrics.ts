import { Gauge, Histogram, type Registry } from 'prom-client';

/** What is measured of requests (`spec/http-api.md` §8). Label `service` is always empty, for the reference's sake. */
export interface HttpMetrics {
  /** `handler` is a route pattern. Returns what ends it. */
  begin(handler: string): (outcome: MeasuredOutcome) => void;
}

export interface MeasuredOutcome {
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
  /** Bytes of the body that were sent. */
  readonly bytes: number;
}

/** Label values must be few: methods that nobody should use share one. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Registers the three metrics in `registry`; throws when they are there already. */
export function createHttpMetrics(registry: Registry): HttpMetrics {
  const labels = ['service', 'handler', 'method', 'code'] as const;
  const registers = [registry];
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'The latency of the HTTP requests.',
    labelNames: labels,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const size = new Histogram({
    name: 'http_response_size_bytes',
    help: 'The size of the HTTP responses.',
    labelNames: labels,
    buckets: [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
    registers,
  });
  const inflight = new Gauge({
    name: 'http_requests_inflight',
    help: 'The number of inflight requests being handled at the same time.',
    labelNames: ['service', 'handler'],
    registers,
  });
  return {
    begin(handler) {
      inflight.inc({ service: '', handler });
      return (outcome) => {
        const method = METHODS.has(outcome.method) ? outcome.method : 'OTHER';
        const values = { service: '', handler, method, code: String(outcome.status) };
        inflight.dec({ service: '', handler });
        duration.observe(values, outcome.seconds);
        size.observe(values, outcome.bytes);
      };
    },
  };
}
