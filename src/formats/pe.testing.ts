const SBAT = 'sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n';

/** The stub of `spec/uki-secureboot.md` §3.1: two sections, 1536 bytes. */
export function syntheticStub(): Uint8Array {
  const stub = Buffer.alloc(1536);
  stub.write('MZ');
  stub.writeUInt32LE(0x40, 0x3c);
  stub.write('PE\0\0', 0x40, 'latin1');
  const coff = 0x44;
  stub.writeUInt16LE(0x8664, coff);
  stub.writeUInt16LE(2, coff + 2);
  stub.writeUInt16LE(240, coff + 16);
  stub.writeUInt16LE(0x022e, coff + 18);
  const optional = coff + 20;
  stub.writeUInt16LE(0x20b, optional);
  stub.set([1, 2], optional + 2); // linker
  stub.writeUInt32LE(0x1000, optional + 16); // entry
  stub.writeUInt32LE(0x1000, optional + 20); // base of code
  stub.writeBigUInt64LE(0x140000000n, optional + 24);
  stub.writeUInt32LE(0x1000, optional + 32);
  stub.writeUInt32LE(0x200, optional + 36);
  stub.writeUInt16LE(257, optional + 44);
  stub.writeUInt16LE(2, optional + 46);
  stub.writeUInt16LE(1, optional + 48);
  stub.writeUInt16LE(1, optional + 50);
  stub.writeUInt32LE(0x3000, optional + 56);
  stub.writeUInt32LE(0x200, optional + 60);
  stub.writeUInt16LE(10, optional + 68);
  stub.writeUInt16LE(0x160, optional + 70);
  for (const [i, size] of [0x100000n, 0x1000n, 0x100000n, 0x1000n].entries())
    stub.writeBigUInt64LE(size, optional + 72 + i * 8);
  stub.writeUInt32LE(16, optional + 108);
  const table = optional + 240;
  section(stub, table, '.text', 16, 0x1000, 0x200, 0x60000020);
  section(stub, table + 40, '.sbat', SBAT.length, 0x2000, 0x400, 0x40000040);
  stub.fill(0xc3, 0x200, 0x210);
  stub.write(SBAT, 0x400);
  return stub;
}

function section(
  stub: Buffer,
  at: number,
  name: string,
  size: number,
  address: number,
  offset: number,
  flags: number,
): void {
  stub.write(name, at);
  stub.writeUInt32LE(size, at + 8);
  stub.writeUInt32LE(address, at + 12);
  stub.writeUInt32LE(0x200, at + 16);
  stub.writeUInt32LE(offset, at + 20);
  stub.writeUInt32LE(flags, at + 36);
}
