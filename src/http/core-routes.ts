import type { CoreRoute } from './core-route.ts';
import { documentRoutes } from './routes/documents.ts';
import { healthRoutes } from './routes/health.ts';
import { imageRoutes } from './routes/image.ts';
import { keyRoutes } from './routes/keys.ts';
import { pageRoutes } from './routes/pages.ts';
import { pxeRoutes } from './routes/pxe.ts';
import { releaseRoutes } from './routes/releases.ts';
import { schematicRoutes } from './routes/schematics.ts';
import { talosctlRoutes } from './routes/talosctl.ts';

/** The route table of this frontend. */
export function coreRoutes(): readonly CoreRoute[] {
  const routes = [
    ...schematicRoutes,
    ...imageRoutes,
    ...pxeRoutes,
    ...releaseRoutes,
    ...talosctlRoutes,
    ...keyRoutes,
    ...healthRoutes,
    ...pageRoutes,
  ];
  return [...routes, ...documentRoutes(routes)];
}
