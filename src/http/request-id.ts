import { randomUUID } from 'node:crypto';

/** The caller's id when it is harmless (`spec/http-api.md` §3 BETTER), else a new one. */
export function requestId(inbound: string | undefined): string {
  return inbound !== undefined && /^[A-Za-z0-9._~:/+=-]{1,128}$/.test(inbound) ? inbound : randomUUID();
}
