import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { USAGE } from '../cli/usage.ts';
import { configurationDoc } from './documentation.ts';
import { printed } from './fields.ts';
import { configRoot, defaultConfig, fieldsOf, valueAt } from './schema.ts';

test('every key is documented, once and with a sentence', () => {
  const doc = configurationDoc(USAGE);
  for (const { path, field } of fieldsOf(configRoot)) {
    const variable = path.join('_').toUpperCase();
    const heading = `### \`${path.join('.')}\`\n\n- **Type:** \`${field.type}\``;
    assert.equal(doc.split(heading).length, 2, path.join('.'));
    assert.equal(doc.split(`- **Env:** \`${variable}\`\n\n${field.description}\n\n---`).length, 2, variable);
    assert.match(field.description, /^[A-Z`].*\.$/, path.join('.'));
  }
});

test('the document in docs is up to date', async () => {
  const there = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  assert.ok(there === configurationDoc(USAGE), 'run node scripts/generate-docs.ts');
});

/** `spec/configuration.md` §4: every key of the reference, its type and its default as it is printed. */
const REFERENCE = String.raw`
http.httpListenAddr string :8080
http.certFile string
http.keyFile string
http.externalURL string https://localhost/
http.externalPXEURL string
http.allowedOrigins []string ["*"]
build.minTalosVersion string 1.2.0
build.brokenTalosVersions []string []
build.maxConcurrency int 6
containerSignature.subjectRegExp string (@siderolabs\.com$|^releasemgr-svc@talos-production\.iam\.gserviceaccount\.com$)
containerSignature.issuerRegExp string
containerSignature.issuer string https://accounts.google.com
containerSignature.publicKeyFile string
containerSignature.publicKeyHashAlgo string sha256
containerSignature.disabled bool false
cache.oci.registry string ghcr.io
cache.oci.namespace string siderolabs/image-factory
cache.oci.repository string cache
cache.oci.insecure bool false
cache.signingKeyPath string
cache.gsa.serviceAccountEmail string
cache.gsa.keyFile string
cache.gsa.fulcioURL string
cache.gsa.rekorURL string
cache.gsa.tsaURL string
cache.cdn.enabled bool false
cache.cdn.host string
cache.cdn.trimPrefix string
cache.s3.enabled bool false
cache.s3.bucket string image-factory
cache.s3.endpoint string
cache.s3.region string
cache.s3.insecure bool false
cache.s3.presignedURLTTL time.Duration 1h0m0s
cache.schematic.capacity uint64 100000
cache.schematic.negativeTTL time.Duration 30s
metrics.addr string :2122
secureBoot.enabled bool false
secureBoot.file.signingKeyPath string
secureBoot.file.signingCertPath string
secureBoot.file.pcrKeyPath string
secureBoot.azureKeyVault.url string
secureBoot.azureKeyVault.certificateName string
secureBoot.azureKeyVault.keyName string
secureBoot.awsKMS.keyID string
secureBoot.awsKMS.pcrKeyID string
secureBoot.awsKMS.certPath string
secureBoot.awsKMS.certARN string
secureBoot.awsKMS.region string
artifacts.core.registry string ghcr.io
artifacts.core.namespace string
artifacts.core.components.installerBase string siderolabs/installer-base
artifacts.core.components.installer string siderolabs/installer
artifacts.core.components.imager string siderolabs/imager
artifacts.core.components.extensionManifest string siderolabs/extensions
artifacts.core.components.overlayManifest string siderolabs/overlays
artifacts.core.components.talosctl string siderolabs/talosctl-all
artifacts.core.insecure bool false
artifacts.schematic.registry string ghcr.io
artifacts.schematic.namespace string siderolabs/image-factory
artifacts.schematic.repository string schematics
artifacts.schematic.insecure bool false
artifacts.installer.internal.registry string ghcr.io
artifacts.installer.internal.namespace string siderolabs
artifacts.installer.internal.repository string
artifacts.installer.internal.insecure bool false
artifacts.installer.external.registry string
artifacts.installer.external.namespace string
artifacts.installer.external.repository string
artifacts.installer.external.insecure bool false
artifacts.talosVersionRecheckInterval time.Duration 15m0s
artifacts.refreshInterval time.Duration 5m0s
authentication.enabled bool false
authentication.provider string htpasswd
authentication.htpasswdPath string
authentication.auth0.domain string
authentication.auth0.audience string
authentication.auth0.clientID string
authentication.auth0.clientSecret string
authentication.auth0.machineScope string
authentication.auth0.sessionKey string
authentication.auth0.maxNodeAppsPerOrg int 10
authentication.downloadTokenKeyPath string
authentication.downloadTokenTTL.min time.Duration 30s
authentication.downloadTokenTTL.default time.Duration 5m0s
authentication.downloadTokenTTL.max time.Duration 8h0m0s
enterprise.extraExtensions.manifest.registry string
enterprise.extraExtensions.manifest.namespace string
enterprise.extraExtensions.manifest.repository string
enterprise.extraExtensions.manifest.insecure bool false
enterprise.spdx.cache.registry string ghcr.io
enterprise.spdx.cache.namespace string siderolabs/image-factory
enterprise.spdx.cache.repository string spdx-cache
enterprise.spdx.cache.insecure bool false
enterprise.vex.data.registry string ghcr.io
enterprise.vex.data.namespace string siderolabs/talos-vex
enterprise.vex.data.repository string talos-vex-data
enterprise.vex.data.insecure bool false
enterprise.vex.cache.ttl time.Duration 15m0s
enterprise.vex.cache.capacity uint64 65536
enterprise.scanner.databaseURL string https://grype.anchore.io/databases
enterprise.scanner.databaseUpdateAt string 07:00
enterprise.scanner.databaseRootDir string /var/lib/grype
enterprise.scanner.cache.ttl time.Duration 15m0s
enterprise.scanner.cache.capacity uint64 4096
registry.jobs int 64
registry.debug bool false
audit.mode string
audit.file.path string
audit.file.maxAge uint16 30
audit.file.maxSizeMB uint16 256
audit.file.maxBackups uint16 16
`;

test('the schema has every key of the reference, with its type and default, in its order', () => {
  const lines = [...fieldsOf(configRoot)]
    .filter(({ field }) => field.origin !== 'ours')
    .map(({ path, field }) => {
      const value = printed(field, field.fallback);
      const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
      return `${path.join('.')} ${field.type} ${text}`.trimEnd();
    });
  assert.deepEqual(lines, REFERENCE.trim().split('\n'));
  const ours = [...fieldsOf(configRoot)].filter(({ field }) => field.origin === 'ours');
  assert.deepEqual(
    ours.map(({ path }) => path.join('.')),
    [
      'build.queueLimit',
      'build.grubDirectory',
      'containerSignature.trustedRootFile',
      'store.dir',
      'store.maxSize',
    ],
  );
});

test('the defaults of the schema are the decoded defaults', () => {
  for (const { path, field } of fieldsOf(configRoot)) {
    assert.deepEqual(valueAt(defaultConfig(), path), field.fallback, path.join('.'));
  }
});
