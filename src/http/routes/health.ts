import { FactoryError } from '../../errors.ts';
import { type CoreRoute, coreRoute } from '../core-route.ts';
import type { Message } from '../result.ts';

const OK: Message = { kind: 'message', status: 200, headers: { 'Cache-Control': 'no-store' } };

/** `spec/http-api.md` §6.1. */
export const healthRoutes: readonly CoreRoute[] = [
  coreRoute(
    {
      method: 'GET',
      path: '/healthz',
      id: 'health',
      class: 'public',
      tag: 'health',
      summary: 'The process answers',
      responses: [{ status: 200, description: 'Empty.' }],
      errors: [],
    },
    () => OK,
  ),
  coreRoute(
    {
      method: 'GET',
      path: '/readyz',
      id: 'readiness',
      class: 'public',
      tag: 'health',
      summary: 'The factory can serve requests',
      description: 'Not before the first listing of Talos versions, nor during shutdown.',
      responses: [{ status: 200, description: 'Empty.' }],
      errors: [503],
    },
    ({ context }) => {
      const { ready, reason } = context.services.ready();
      if (ready) return OK;
      const message = reason === undefined ? 'not ready' : `not ready: ${reason}`;
      throw new FactoryError('unavailable', 'HTTP_NOT_READY', message, { retryAfter: 1 });
    },
  ),
];
