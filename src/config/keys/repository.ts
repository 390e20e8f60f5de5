import { flag, type Origin, section, text } from '../fields.ts';

/** An OCI repository: also written as one string, `registry/namespace/repository`. */
export function repository(
  origin: Origin,
  description: string,
  fallback: readonly [registry: string, namespace: string, repository: string],
) {
  return section(
    `${description} Also accepted as one string, \`registry/namespace/repository\`, which sets all four values.`,
    {
      registry: text(origin, fallback[0], 'Host and port of the registry. Docker Hub when empty.'),
      namespace: text(origin, fallback[1], 'Path before the name of the repository; may be empty.'),
      repository: text(origin, fallback[2], 'Last part of the name of the repository; may be empty.'),
      insecure: flag(
        origin,
        'Allow plain HTTP (HTTPS is tried first) and certificates that cannot be verified.',
      ),
    },
    true,
  );
}
