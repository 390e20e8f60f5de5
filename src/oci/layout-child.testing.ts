import { randomBytes } from 'node:crypto';
import { bytesBlob } from '../blob/bytes.ts';
import { digestOf } from './digest.ts';
import { openLayout } from './layout.ts';
import { OCI_MANIFEST } from './media-types.ts';
import { parseRepositoryName, parseTag } from './names.ts';

/** Writes images into the layout at `argv[2]` until it is killed, a line of output for each. */
const layout = await openLayout(process.argv[2] ?? '');
const repository = layout.repository(parseRepositoryName('localhost/killed'));
for (let number = 0; ; number++) {
  const bytes = randomBytes(1 + ((number * 77_777) % 900_000));
  const layer = { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: bytes.length };
  await repository.pushBlob(layer, bytesBlob(bytes));
  const subject = { mediaType: OCI_MANIFEST, digest: layer.digest, size: 1 };
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: layer, layers: [layer], subject }),
  );
  await repository.pushManifest(parseTag(`v${number}`), OCI_MANIFEST, manifest);
  process.stdout.write(`${number}\n`);
}
