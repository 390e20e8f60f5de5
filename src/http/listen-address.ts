import { FactoryError } from '../errors.ts';

export interface ListenAddress {
  /** Absent: all addresses, IPv6 and IPv4. */
  readonly host?: string;
  readonly port: number;
}

const SERVICES: Readonly<Record<string, number>> = { '': 0, http: 80, https: 443 };

/** Go's `net.Listen` form: `:8080`, `127.0.0.1:0`, `[::1]:80`, `localhost:http`. Throws `LISTEN_ADDRESS_INVALID`. */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^[\]]+)\]|([^:[\]]*)):([0-9]{1,5}|[a-z]*)$/.exec(text);
  const service = match?.[3] ?? '';
  const port = Object.hasOwn(SERVICES, service) ? SERVICES[service] : Number(service);
  if (match === null || port === undefined || !Number.isInteger(port) || port > 65535) {
    throw new FactoryError(
      'invalid',
      'LISTEN_ADDRESS_INVALID',
      `invalid listen address ${JSON.stringify(text)}: write host:port, for example ":8080" or "127.0.0.1:8080"`,
    );
  }
  const host = match[1] ?? match[2] ?? '';
  return host === '' ? { port } : { host, port };
}
