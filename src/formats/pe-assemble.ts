import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { type Placed, placedBlob, sliceBlob } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import {
  COFF_HEADER_SIZE,
  type PeImage,
  type PeSection,
  peError,
  readPe,
  SECTION_HEADER_SIZE,
} from './pe.ts';

/** A section to be appended; several may share a name. */
export interface NewSection {
  /** At most 8 ASCII characters. */
  readonly name: string;
  readonly content: Blob;
  /**
   * Where the content begins in the file: at a multiple of this (bytes, a power of two), which the section
   * before is padded for. The file alignment of the image when absent.
   */
  readonly alignment?: number;
}

const DOS_HEADER_SIZE = 0x40;
const SIGNATURE_OFFSET = 0x80;
const CODE_OR_OTHER = 0;
const INITIALIZED_DATA = 0x40;
/** Initialized data, readable. */
const CHARACTERISTICS = 0x40000040;
const LIMIT = 2 ** 32;

interface PlacedSection extends PeSection {
  readonly content: Blob;
}

/**
 * `stub` with `sections` after its own, as `spec/uki-secureboot.md` §3 lays them out: the DOS program dropped,
 * raw data back to back in the order of the table, checksum zero. `timestamp` in seconds since the epoch.
 * The content is referred to, not copied. Throws `upstream` `PE_INVALID`, `invalid` `PE_TOO_LARGE`.
 */
export async function appendSections(
  stub: Blob,
  sections: readonly NewSection[],
  options: { readonly timestamp: number; readonly signal?: AbortSignal },
): Promise<Blob> {
  const pe = await readPe(stub, options.signal);
  if (pe.certificates.size > 0) throw peError('the stub is signed already');
  const count = pe.sections.length + sections.length;
  const tableEnd = SIGNATURE_OFFSET + COFF_HEADER_SIZE + pe.optionalHeaderSize + SECTION_HEADER_SIZE * count;
  const sizeOfHeaders = align(tableEnd, pe.fileAlignment);
  const firstAddress = Math.min(...pe.sections.map((section) => section.virtualAddress));
  if (tableEnd + 4 > sizeOfHeaders || sizeOfHeaders > firstAddress)
    throw peError(`no room for the headers of ${count} sections`);

  const placed = place(pe, sections, sizeOfHeaders);
  const last = placed.at(-1) ?? raise('the image has no sections');
  const size = last.rawOffset + last.rawSize;
  if (size >= LIMIT || last.virtualAddress + last.virtualSize + pe.sectionAlignment >= LIMIT)
    throw new FactoryError(
      'invalid',
      'PE_TOO_LARGE',
      `the boot image would have ${size} bytes; a PE image must stay below 4 GiB: use fewer or smaller extensions`,
    );

  const head = await readRange(stub, 0, pe.signatureOffset + 4 + COFF_HEADER_SIZE + pe.optionalHeaderSize);
  const headers = new Uint8Array(sizeOfHeaders);
  headers.set(head.subarray(0, DOS_HEADER_SIZE));
  headers.set(head.subarray(pe.signatureOffset), SIGNATURE_OFFSET);
  const view = new DataView(headers.buffer);
  const coff = SIGNATURE_OFFSET + 4;
  const optional = coff + COFF_HEADER_SIZE;
  view.setUint32(0x3c, SIGNATURE_OFFSET, true);
  view.setUint16(coff + 2, count, true);
  view.setUint32(coff + 4, options.timestamp, true);
  view.setUint16(optional + 2, 0, true); // linker version
  view.setUint32(optional + 4, rawTotal(placed, CODE_OR_OTHER), true);
  view.setUint32(optional + 8, rawTotal(placed, INITIALIZED_DATA), true);
  view.setUint32(optional + 56, align(last.virtualAddress + last.virtualSize, pe.sectionAlignment), true);
  view.setUint32(optional + 60, sizeOfHeaders, true);
  view.setUint32(optional + 64, 0, true); // checksum
  for (const [i, section] of placed.entries())
    writeSection(view, optional + pe.optionalHeaderSize + i * SECTION_HEADER_SIZE, section);

  const parts: Placed[] = [{ offset: 0, blob: bytesBlob(headers) }];
  for (const section of placed) parts.push({ offset: section.rawOffset, blob: section.content });
  return placedBlob(size, parts);
}

function place(pe: PeImage, added: readonly NewSection[], sizeOfHeaders: number): readonly PlacedSection[] {
  const placed: PlacedSection[] = [];
  let offset = sizeOfHeaders;
  let address = 0;
  for (const section of pe.sections) {
    placed.push({
      ...section,
      rawOffset: offset,
      content: sliceBlob(pe.image, section.rawSize === 0 ? 0 : section.rawOffset, section.rawSize),
    });
    offset += section.rawSize;
    address = align(section.virtualAddress + section.virtualSize, pe.sectionAlignment);
  }
  for (const [i, section] of added.entries()) {
    if (!/^[\x21-\x7e]{1,8}$/.test(section.name))
      throw new RangeError(`section name ${JSON.stringify(section.name)}`);
    const end = offset + section.content.size;
    const rawEnd = align(end, Math.max(pe.fileAlignment, added[i + 1]?.alignment ?? 1));
    placed.push({
      name: section.name,
      content: section.content,
      virtualSize: section.content.size,
      virtualAddress: address,
      rawSize: rawEnd - offset,
      rawOffset: offset,
      characteristics: CHARACTERISTICS,
    });
    offset = rawEnd;
    address = align(address + section.content.size, pe.sectionAlignment);
  }
  return placed;
}

function writeSection(view: DataView, at: number, section: PeSection): void {
  for (let i = 0; i < section.name.length; i++) view.setUint8(at + i, section.name.charCodeAt(i));
  view.setUint32(at + 8, section.virtualSize, true);
  view.setUint32(at + 12, section.virtualAddress, true);
  view.setUint32(at + 16, section.rawSize, true);
  view.setUint32(at + 20, section.rawOffset, true);
  view.setUint32(at + 36, section.characteristics, true);
}

function rawTotal(sections: readonly PeSection[], flag: number): number {
  return sections
    .filter((section) => (section.characteristics & INITIALIZED_DATA) === flag)
    .reduce((sum, section) => sum + section.rawSize, 0);
}

function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

function raise(message: string): never {
  throw peError(message);
}
