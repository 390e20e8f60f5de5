import { BlockList, isIP } from 'node:net';
import { type RepositoryName, registryHost, repositoryPath } from './names.ts';

/** Where a repository is spoken to. */
export interface Endpoint {
  /** `host[:port]`, lower case, Docker Hub's names rewritten. */
  readonly host: string;
  /** The repository's path there. */
  readonly path: string;
}

const DOCKER_HUB = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

export function isDockerHub(host: string): boolean {
  return DOCKER_HUB.has(host.toLowerCase());
}

/** `docker.io` is `index.docker.io` on the wire, and its one-part names live under `library/`. */
export function endpointOf(name: RepositoryName): Endpoint {
  const host = registryHost(name).toLowerCase();
  const path = repositoryPath(name);
  if (!isDockerHub(host)) return { host, path };
  return { host: 'index.docker.io', path: path.includes('/') ? path : `library/${path}` };
}

/** The host of `host[:port]`, without the brackets of an IPv6 literal. */
export function hostnameOf(host: string): string {
  const bracketed = /^\[([^\]]+)\]/.exec(host);
  if (bracketed?.[1] !== undefined) return bracketed[1].toLowerCase();
  const colon = host.indexOf(':');
  return (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
}

function blockList(ranges: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix, family] of ranges) list.addSubnet(address, prefix, family);
  return list;
}

const LOOPBACK = [
  ['127.0.0.0', 8, 'ipv4'],
  ['::1', 128, 'ipv6'],
] as const;
const RFC_1918 = [
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
] as const;
/** RFC 3927, RFC 4291 §2.5.6; also where clouds serve the credentials of machines. */
const LINK_LOCAL = [
  ['169.254.0.0', 16, 'ipv4'],
  ['fe80::', 10, 'ipv6'],
  ['fd00:ec2::254', 128, 'ipv6'],
] as const;
/** Unique local, shared, unspecified. */
const OTHER_INTERNAL = [
  ['0.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
  ['::', 128, 'ipv6'],
] as const;

function isIn(address: string, ranges: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[]): boolean {
  const family = isIP(address);
  return family !== 0 && blockList(ranges).check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** An address literal that means something only inside a network: loopback, private, link-local. */
export function isInternalAddress(hostname: string): boolean {
  return isIn(hostname, [...LOOPBACK, ...RFC_1918, ...LINK_LOCAL, ...OTHER_INTERNAL]);
}

/** An address literal that no registry has a reason to lead to. */
export function isLinkLocalAddress(hostname: string): boolean {
  return isIn(hostname, LINK_LOCAL);
}

/** Hosts that may be spoken to over plain HTTP without being marked insecure (spec artifacts §7.1). */
export function isPlainHttpHost(host: string): boolean {
  const name = hostnameOf(host);
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name.endsWith('.local') ||
    isIn(name, LOOPBACK) ||
    isIn(name, RFC_1918)
  );
}
