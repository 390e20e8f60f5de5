import { type ExternalUrls, joinUrl } from './external-urls.ts';
import { DEFAULT_SCHEMATIC } from './routes/segments.ts';

/** `/llms.txt` with the addresses of this instance (`spec/http-api.md` §6.13). */
export function llmsText(urls: ExternalUrls): string {
  const base = joinUrl(urls.external).replace(/\/$/, '');
  const pxe = joinUrl(urls.pxe).replace(/\/$/, '');
  return `# Image Factory

> Bootable images of Talos Linux, built on demand from a description of what goes into them.

This instance: ${base}. The public instance of the Talos project with the same interface is https://factory.talos.dev.

## Concepts

- **Schematic**: what is added to plain Talos: system extensions, kernel arguments, initial META values, an overlay
  for a single-board computer, a bootloader. It is YAML, and its id is the SHA-256 of its canonical form: the same
  content has the same id on every instance. The schematic without any additions is
  \`${DEFAULT_SCHEMATIC}\`.
- **Version**: a Talos release, for example \`v1.11.0\`.
- **Asset**: schematic + version + path, for example \`metal-amd64.iso\`. The same three give the same bytes, always.

## Workflow

1. \`POST ${base}/schematics\` with the YAML: the answer has the id.
2. \`GET ${base}/versions\`: choose a version.
3. \`GET ${base}/image/<schematic>/<version>/<path>\`: the image. The first request for it builds it and may take
   minutes without a byte; keep the connection open, or ask again later.

## HTTP interface

Open to everyone unless the operator put it behind authentication. Errors are one line of plain text; ask for
\`application/problem+json\` to get fields. The whole interface as OpenAPI 3.1: ${base}/openapi.json

### POST /schematics

Body: YAML or JSON, at most 4 MiB. Answer 201: \`{"id": "...", "schematic": "..."}\`. Storing the same schematic
twice is fine. Unknown fields are refused with 400.

### GET /schematics/<schematic>

The canonical YAML of an id.

### GET /versions

JSON array, ascending. \`?broken=true\` lists the versions that are withheld.

### GET /version/<version>/extensions/official

JSON array of \`name\`, \`ref\`, \`digest\`, \`author\`, \`description\`. \`name\` is what a schematic takes.

### GET /version/<version>/overlays/official

JSON array of \`name\`, \`image\`, \`ref\`, \`digest\`; empty before Talos 1.7. \`name\` and \`image\` are what a
schematic takes.

### GET /image/<schematic>/<version>/<path>

| path | what |
|---|---|
| \`<platform>-<arch>.iso\` | bootable ISO |
| \`<platform>-<arch>.raw.zst\`, \`.raw.xz\`, \`.qcow2\`, \`.vhd\`, \`.ova\` | disk image |
| \`<platform>-<arch>-uki.efi\` | unified kernel image |
| \`kernel-<arch>\`, \`initramfs-<arch>.xz\`, \`cmdline-<platform>-<arch>\` | parts for network boot |
| \`installer-<arch>.tar\` | installer container image |

\`<arch>\` is \`amd64\` or \`arm64\`; \`<platform>\` is \`metal\` or a cloud such as \`aws\`, \`gcp\`, \`azure\`.
\`-secureboot\` after the architecture selects the signed form. Append \`.sha256\` or \`.sha512\` for a checksum line.
Downloads can be resumed (\`Range\`) and revalidated (\`ETag\`). \`?filename=\` changes the name that is suggested.

### GET /talosctl/<version> and /talosctl/<version>/<file>

The list of client programs (absolute URLs) and the programs; Talos 1.11 and later.

### GET /secureboot/signing-cert.pem

The certificate to enrol for \`-secureboot\` assets; 404 when Secure Boot is disabled.

## PXE

\`\`\`
chain --replace --autofree ${pxe}/pxe/<schematic>/<version>/metal-\${buildarch}
\`\`\`

## Container images

Where the registry frontend is enabled, installer images are pulled from this host as
\`<platform>-installer/<schematic>:<version>\` (\`<platform>-installer-secureboot\` for the signed form, \`installer\`
for old Talos versions). Their signatures verify with the key of ${base}/oci/cosign/signing-key.pub:

\`\`\`
cosign verify --key signing-key.pub <host>/metal-installer/<schematic>:<version>
\`\`\`

## Examples

\`\`\`
curl -LO ${base}/image/${DEFAULT_SCHEMATIC}/v1.11.0/metal-amd64.iso

curl -X POST --data-binary @schematic.yaml ${base}/schematics

curl ${base}/version/v1.11.0/extensions/official
\`\`\`

with \`schematic.yaml\`:

\`\`\`yaml
customization:
  systemExtensions:
    officialExtensions:
      - siderolabs/iscsi-tools
\`\`\`
`;
}
