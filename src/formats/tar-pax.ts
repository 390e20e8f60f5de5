/** POSIX.1-2017 pax, "pax Extended Header": records of `<length> <keyword>=<value>\n`, values as bytes. */
export type PaxRecords = ReadonlyMap<string, Uint8Array>;

/** The keyword of an extended attribute is this and its name (star, GNU tar, Go). */
export const PAX_XATTR = 'SCHILY.xattr.';

/** Throws `RangeError` when the bytes are no sequence of records. A later record of a keyword wins. */
export function parsePax(bytes: Uint8Array): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  for (let at = 0; at < bytes.length; ) {
    // The length has few digits; a search without bound would be quadratic in hostile input.
    const space = bytes.subarray(at, at + 12).indexOf(0x20);
    const digits = latin1(bytes.subarray(at, at + Math.max(space, 0)));
    const end = at + Number(digits);
    const keyword = at + space + 1;
    if (!/^[0-9]+$/.test(digits) || end > bytes.length || end <= keyword || bytes[end - 1] !== 0x0a) {
      throw new RangeError('a record has a wrong length');
    }
    const record = bytes.subarray(keyword, end - 1);
    const equals = record.indexOf(0x3d);
    if (equals <= 0) throw new RangeError('a record has no keyword');
    records.set(Buffer.from(record.subarray(0, equals)).toString('utf8'), record.slice(equals + 1));
    at = end;
  }
  return records;
}

/** The records sorted by keyword. Throws `RangeError` for a keyword that is empty or has `=` in it. */
export function formatPax(records: PaxRecords): Uint8Array {
  const keywords = [...records.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return Buffer.concat(
    keywords.map((keyword) => {
      if (keyword === '' || keyword.includes('='))
        throw new RangeError(`invalid keyword ${JSON.stringify(keyword)}`);
      const name = Buffer.from(` ${keyword}=`);
      const value = records.get(keyword) ?? new Uint8Array(0);
      const rest = name.length + value.length + 1;
      // The length counts its own digits.
      let length = rest + String(rest).length;
      if (String(length).length > String(rest).length) length = rest + String(length).length;
      return Buffer.concat([Buffer.from(String(length)), name, value, Buffer.from('\n')]);
    }),
  );
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
