import { list, section, text } from '../fields.ts';

export const http = section('The HTTP frontend.', {
  httpListenAddr: text(
    'seed',
    ':8080',
    'Address to listen on, `host:port`; without a host on all interfaces.',
  ),
  certFile: text(
    'seed',
    '',
    'PEM file of the TLS certificate and its chain. With `certFile` or `keyFile` set the server speaks TLS only (1.2 or newer). Both files are watched and read again when they change.',
  ),
  keyFile: text('seed', '', 'PEM file of the private key of the TLS certificate.'),
  externalURL: text(
    'seed',
    'https://localhost/',
    'Public base URL of this factory (`http` or `https`), used in links, in boot scripts and as the registry of installer images.',
  ),
  externalPXEURL: text(
    'seed',
    '',
    'Public base URL of the images that PXE boot scripts name, for firmware that cannot speak the TLS of `externalURL`. Empty: `externalURL`.',
  ),
  allowedOrigins: list(
    'seed',
    ['*'],
    'Origins that browsers may call this factory from (CORS). Each may contain one `*`. Empty: all origins.',
  ),
});
