import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BuildHooks } from '../builds/builder.ts';
import type { BuildQueue } from '../builds/queue.ts';
import type { AssetFacts, AssetMetrics } from './assets.ts';

const LABELS = ['talos_version', 'output_kind', 'arch'] as const;
const LATENCY_BUCKETS = [1, 10, 60, 180, 600];

/** Registers the metrics of assets and their builds (`spec/asset-cache.md` §10), and ours of the queue. */
export function assetMetrics(
  registry: Registry,
  queue: BuildQueue,
): { readonly metrics: AssetMetrics; readonly hooks: BuildHooks<AssetFacts> } {
  const counter = (name: string, help: string) =>
    new Counter({ name: `image_factory_assets_${name}`, help, labelNames: LABELS, registers: [registry] });
  const latency = (name: string, help: string) =>
    new Histogram({
      name: `image_factory_assets_${name}_latency_seconds`,
      help,
      buckets: LATENCY_BUCKETS,
      registers: [registry],
    });
  const delivered = counter('delivered_cached_total', 'Number of assets delivered from the cache.');
  const deliveredBytes = counter('cached_bytes_total', 'Number of bytes of assets delivered from the cache.');
  const missed = counter('cached_errors_total', 'Number of assets that were not in the cache.');
  const built = counter('built_total', 'Number of assets built.');
  const builtBytes = counter('built_bytes_total', 'Number of bytes of assets built.');
  const waiting = latency('concurrency', 'Time spent waiting for a build slot.');
  const building = latency('build', 'Time spent building, without waiting.');
  const extensions = new Counter({
    name: 'image_factory_profile_system_extension_hits_total',
    help: 'Number of builds that a system extension was used in.',
    labelNames: ['extension'],
    registers: [registry],
  });
  new Gauge({
    name: 'image_factory_builds_queued',
    help: 'Number of builds waiting for a slot.',
    registers: [registry],
    collect() {
      this.set(queue.length);
    },
  });
  new Gauge({
    name: 'image_factory_builds_active',
    help: 'Number of builds running in a slot.',
    registers: [registry],
    collect() {
      this.set(queue.active);
    },
  });
  const labels = ({ version, kind, arch }: AssetFacts) => ({
    talos_version: version,
    output_kind: kind,
    arch,
  });
  return {
    metrics: {
      delivered: (about, bytes) => {
        delivered.inc(labels(about));
        deliveredBytes.inc(labels(about), bytes);
      },
      built: (about, bytes) => {
        missed.inc(labels(about));
        built.inc(labels(about));
        builtBytes.inc(labels(about), bytes);
      },
      extension: (extension) => extensions.inc({ extension }),
    },
    hooks: {
      waited: (milliseconds) => waiting.observe(milliseconds / 1000),
      built: (milliseconds) => building.observe(milliseconds / 1000),
    },
  };
}
