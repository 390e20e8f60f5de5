import { duration, flag, number, secret, section, text } from '../fields.ts';

export const authentication = section('Who may use this factory.', {
  enabled: flag('newer', 'Require authentication. Nothing below is read when false.'),
  provider: text('newer', 'htpasswd', '`htpasswd` or `auth0`.'),
  htpasswdPath: text('newer', '', 'File of users and bcrypt hashes; read again when it changes.'),
  auth0: section('Sign-in with Auth0.', {
    domain: text('newer', '', 'Domain of the tenant.'),
    audience: text('newer', '', 'Audience that tokens must carry.'),
    clientID: text('newer', '', 'Client of this factory.'),
    clientSecret: secret('newer', 'Secret of that client.'),
    machineScope: text('newer', '', 'Scope that marks tokens of machines.'),
    sessionKey: secret('newer', 'Base64 of 32 bytes that seal browser sessions. Empty: no browser sign-in.'),
    maxNodeAppsPerOrg: number('newer', 'int', 10, 'Most machine clients of an organization.'),
  }),
  downloadTokenKeyPath: text(
    'newer',
    '',
    'PEM file of the P-256 private key that signs download tokens. Empty: a new key at each start.',
  ),
  downloadTokenTTL: section('Lifetime of download tokens.', {
    min: duration('newer', '30s', 'Shortest.'),
    default: duration('newer', '5m0s', 'When none is asked for.'),
    max: duration('newer', '8h0m0s', 'Longest.'),
  }),
});
