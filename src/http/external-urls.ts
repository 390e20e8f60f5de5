/** Under which addresses clients reach this factory. */
export interface ExternalUrls {
  readonly external: URL;
  /** The external one unless configured. */
  readonly pxe: URL;
  /** True when firmware has an address of its own. */
  readonly separatePxe: boolean;
}

export function externalUrls(external: URL, pxe?: URL): ExternalUrls {
  return { external, pxe: pxe ?? external, separatePxe: pxe !== undefined };
}

/** The base's path is kept, slashes are cleaned; segments are percent-encoded. */
export function joinUrl(base: URL, ...segments: readonly string[]): string {
  const path = base.pathname.split('/').filter((segment) => segment !== '');
  return `${base.origin}/${[...path, ...segments.map(encodeURIComponent)].join('/')}`;
}
