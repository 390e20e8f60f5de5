import { Counter, Gauge, type Registry } from 'prom-client';
import type { SchematicMetrics } from './store.ts';

/** Registers the metrics of schematics (`spec/schematic.md` §4.3). */
export function schematicMetrics(registry: Registry): SchematicMetrics {
  const counter = (name: string, help: string): Counter =>
    new Counter({ name: `image_factory_schematic_${name}_total`, help, registers: [registry] });
  const reads = counter('get', 'Number of schematics read from storage.');
  const created = counter('create', 'Number of schematics created.');
  const duplicates = counter('duplicate_create', 'Number of schematics created that existed already.');
  const cached = new Gauge({
    name: 'image_factory_schematic_cache_size',
    help: 'Number of schematics in memory.',
    registers: [registry],
  });
  return {
    read: () => reads.inc(),
    created: () => created.inc(),
    duplicate: () => duplicates.inc(),
    cached: (entries) => cached.set(entries),
  };
}
