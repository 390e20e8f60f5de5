import { section, text } from '../fields.ts';

export const metrics = section('Prometheus metrics.', {
  addr: text(
    'seed',
    ':2122',
    'Address of the separate plain HTTP server that answers `GET /metrics`. Empty: no such server.',
  ),
});
