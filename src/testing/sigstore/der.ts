/** DER (ITU-T X.690), as much of it as certificates and timestamps are made of. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
  return Buffer.concat([
    Buffer.from(content.length < 0x80 ? [tag, content.length] : [tag, 0x80 | length.length, ...length]),
    content,
  ]);
}

export const sequence = (...members: readonly Uint8Array[]): Buffer => tlv(0x30, ...members);
export const set = (...members: readonly Uint8Array[]): Buffer => tlv(0x31, ...members);
export const octets = (...content: readonly Uint8Array[]): Buffer => tlv(0x04, ...content);
export const bits = (content: Uint8Array, unused = 0): Buffer => tlv(0x03, Buffer.from([unused]), content);
export const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text));
export const yes: Buffer = tlv(0x01, Buffer.from([0xff]));
/** Context-specific and constructed. */
export const explicit = (number: number, ...members: readonly Uint8Array[]): Buffer =>
  tlv(0xa0 | number, ...members);
/** Context-specific and primitive. */
export const implicit = (number: number, content: Uint8Array): Buffer => tlv(0x80 | number, content);

/** Of a number below 2^31, or of bytes that are not negative. */
export function integer(value: number | Uint8Array): Buffer {
  if (typeof value !== 'number') return tlv(0x02, value);
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  let at = 0;
  while (at < 3 && bytes[at] === 0 && (bytes[at + 1] ?? 0) < 0x80) at++;
  return tlv(0x02, bytes.subarray(at));
}

/** `1.2.840.113549`. */
export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const base128 = (arc: number): number[] => {
    const digits = [arc & 0x7f];
    for (let more = arc >>> 7; more > 0; more >>>= 7) digits.unshift(0x80 | (more & 0x7f));
    return digits;
  };
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** GeneralizedTime, in whole seconds. */
export function time(seconds: number): Buffer {
  const text = new Date(seconds * 1000).toISOString().replace(/\.000Z$|[-:T]/g, '');
  return tlv(0x18, Buffer.from(`${text}Z`));
}
