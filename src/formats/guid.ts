import { createHash } from 'node:crypto';

/** A GUID as text: lower case, with hyphens. */
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The 16 bytes of a GUID as EFI writes it (UEFI 2.10 appendix A): the first three fields little-endian. */
export function efiGuidBytes(guid: string): Uint8Array {
  if (!GUID.test(guid)) throw new RangeError(`GUID ${JSON.stringify(guid)}`);
  return swapFields(Buffer.from(guid.replaceAll('-', ''), 'hex'));
}

/** The text of 16 bytes that EFI wrote. */
export function efiGuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(swapFields(bytes)).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/**
 * The fixed GUID of a name (`spec/outputs-disk.md` §2.2): a version 8 UUID (RFC 9562 §5.8) of the SHA-256 of
 * 16 zero bytes and the name.
 */
export function guidOfName(name: string): string {
  const hash = createHash('sha256').update(new Uint8Array(16)).update(name).digest().subarray(0, 16);
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x80, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  return efiGuidText(swapFields(hash));
}

function swapFields(bytes: Uint8Array): Uint8Array {
  const field = (from: number, to: number): Uint8Array => bytes.slice(from, to).reverse();
  return Buffer.concat([field(0, 4), field(4, 6), field(6, 8), bytes.subarray(8, 16)]);
}
