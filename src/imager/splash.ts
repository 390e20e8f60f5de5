const SIZE = 96;
const HEADERS = 14 + 40;
/** Blue, green, red, reserved: the background and two tones of the mark. */
const PALETTE = [
  [0x00, 0x00, 0x00, 0],
  [0x6b, 0x6b, 0x6b, 0],
  [0xc8, 0xc8, 0xc8, 0],
] as const;

/**
 * The boot splash: a plain mark (a hexagonal nut) as an 8-bit BMP with `BITMAPINFOHEADER`, which systemd-stub
 * centres on the screen. Drawn by integer arithmetic, so that its bytes, which are measured, are the same everywhere.
 */
export function splashBmp(): Uint8Array {
  const pixels = HEADERS + PALETTE.length * 4;
  const bmp = new Uint8Array(pixels + SIZE * SIZE);
  const view = new DataView(bmp.buffer);
  view.setUint16(0, 0x424d);
  view.setUint32(2, bmp.length, true);
  view.setUint32(10, pixels, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, SIZE, true);
  view.setInt32(22, SIZE, true);
  view.setUint16(26, 1, true); // planes
  view.setUint16(28, 8, true); // bits a pixel
  view.setUint32(34, SIZE * SIZE, true);
  view.setUint32(46, PALETTE.length, true);
  bmp.set(PALETTE.flat(), HEADERS);
  for (let y = 0; y < SIZE; y++)
    for (let x = 0; x < SIZE; x++) bmp[pixels + y * SIZE + x] = tone(2 * x - SIZE + 1, 2 * y - SIZE + 1);
  return bmp;
}

/** Palette index at a point relative to the centre, in half pixels. */
function tone(x: number, y: number): number {
  const across = Math.abs(x);
  const up = Math.abs(y);
  // Twice the distance to the hexagon's sides; 0.866 is cos 30 degrees.
  const hexagon = Math.max(2000 * across, 1000 * across + 1732 * up);
  const round = x * x + y * y;
  if (hexagon > 2000 * 80 || round < 34 * 34) return 0;
  return hexagon > 2000 * 70 || round < 42 * 42 ? 1 : 2;
}
