const SIDE = 16;
const HEADER = 40;
/** BGRA. */
const ORANGE = [0x2b, 0x5c, 0xf5, 0xff] as const;
const DARK = [0x2e, 0x20, 0x1c, 0xff] as const;

/** A 16x16 icon (ICO with one 32-bit bitmap): a box with a lighter core. */
export function favicon(): Uint8Array {
  const pixels = SIDE * SIDE * 4;
  const mask = SIDE * 4;
  const offset = 6 + 16;
  const bytes = new Uint8Array(offset + HEADER + pixels + mask);
  const view = new DataView(bytes.buffer);
  // ICONDIR and its one ICONDIRENTRY.
  view.setUint16(2, 1, true);
  view.setUint16(4, 1, true);
  bytes[6] = SIDE;
  bytes[7] = SIDE;
  view.setUint16(10, 1, true);
  view.setUint16(12, 32, true);
  view.setUint32(14, HEADER + pixels + mask, true);
  view.setUint32(18, offset, true);
  // BITMAPINFOHEADER; the height counts the mask too.
  view.setUint32(offset, HEADER, true);
  view.setInt32(offset + 4, SIDE, true);
  view.setInt32(offset + 8, SIDE * 2, true);
  view.setUint16(offset + 12, 1, true);
  view.setUint16(offset + 14, 32, true);
  view.setUint32(offset + 20, pixels, true);
  for (let y = 1; y < SIDE - 1; y++) {
    for (let x = 1; x < SIDE - 1; x++) {
      const core = x > 4 && x < SIDE - 5 && y > 4 && y < SIDE - 5;
      bytes.set(core ? ORANGE : DARK, offset + HEADER + (y * SIDE + x) * 4);
    }
  }
  return bytes;
}
