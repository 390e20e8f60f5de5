import type { Blob } from '../blob/blob.ts';
import { sliceBlob } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';

/** A row of the section table (PE/COFF specification, "Section Table"). Sizes and offsets in bytes. */
export interface PeSection {
  readonly name: string;
  /** Exact size of the content in memory. */
  readonly virtualSize: number;
  readonly virtualAddress: number;
  /** Size in the file, padded to the file alignment. */
  readonly rawSize: number;
  readonly rawOffset: number;
  readonly characteristics: number;
}

/** The headers of a PE32+ image, checked against the bounds of the file. */
export interface PeImage {
  readonly image: Blob;
  /** COFF machine: 0x8664 for x86-64, 0xaa64 for AArch64. */
  readonly machine: number;
  /** Offset of the `PE\0\0` signature. */
  readonly signatureOffset: number;
  /** Bytes: 240 with all data directories. */
  readonly optionalHeaderSize: number;
  readonly sectionAlignment: number;
  readonly fileAlignment: number;
  readonly sizeOfHeaders: number;
  /** Where the attribute certificates are; size 0 when the image is not signed. */
  readonly certificates: { readonly offset: number; readonly size: number };
  readonly sections: readonly PeSection[];
}

/** Optional header of a PE32+ image before its data directories, of which there are at most 16. */
const OPTIONAL_HEADER_FIELDS = 112;
/** The data directory that says where the attribute certificates are. */
const CERTIFICATE_DIRECTORY = 4;
export const COFF_HEADER_SIZE = 20;
export const SECTION_HEADER_SIZE = 40;

/** Everything before the section data must lie in this many bytes; real images need about 1 KiB. */
const HEADERS_LIMIT = 64 * 1024;

export function peError(message: string): FactoryError {
  return new FactoryError('upstream', 'PE_INVALID', `not a usable PE image: ${message}`);
}

/** Reads and checks the headers. Throws `upstream` `PE_INVALID`. */
export async function readPe(image: Blob, signal?: AbortSignal): Promise<PeImage> {
  const head = await readRange(image, 0, Math.min(image.size, HEADERS_LIMIT), signal);
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  if (head.length < 0x40 || view.getUint16(0) !== 0x4d5a) throw peError('no MZ header');
  const signatureOffset = view.getUint32(0x3c, true);
  const coff = signatureOffset + 4;
  const optional = coff + COFF_HEADER_SIZE;
  if (optional + OPTIONAL_HEADER_FIELDS > head.length) throw peError('its headers are cut off');
  if (view.getUint32(signatureOffset) !== 0x50450000) throw peError('no PE signature');
  if (view.getUint32(coff + 8, true) !== 0 || view.getUint32(coff + 12, true) !== 0)
    throw peError('COFF symbols are not supported');
  const optionalHeaderSize = view.getUint16(coff + 16, true);
  const directories = view.getUint32(optional + 108, true);
  if (
    view.getUint16(optional, true) !== 0x20b ||
    directories <= CERTIFICATE_DIRECTORY ||
    directories > 16 ||
    optionalHeaderSize !== OPTIONAL_HEADER_FIELDS + 8 * directories
  )
    throw peError('failed to get optional header (it must be that of PE32+)');
  const table = optional + optionalHeaderSize;
  const count = view.getUint16(coff + 2, true);
  if (count === 0 || table + count * SECTION_HEADER_SIZE > head.length)
    throw peError(`its table of ${count} sections does not fit`);
  const sectionAlignment = view.getUint32(optional + 32, true);
  const fileAlignment = view.getUint32(optional + 36, true);
  if (!isAlignment(fileAlignment) || !isAlignment(sectionAlignment) || fileAlignment > sectionAlignment)
    throw peError(`alignments ${sectionAlignment} and ${fileAlignment}`);
  const sections: PeSection[] = [];
  for (let i = 0; i < count; i++) sections.push(readSection(view, table + i * SECTION_HEADER_SIZE, image));
  const certificates = {
    offset: view.getUint32(optional + 144, true),
    size: view.getUint32(optional + 148, true),
  };
  if (certificates.size > 0 && certificates.offset + certificates.size > image.size)
    throw peError('its certificates lie beyond the end of the file');
  const sizeOfHeaders = view.getUint32(optional + 60, true);
  if (sizeOfHeaders > image.size || sizeOfHeaders < table + count * SECTION_HEADER_SIZE)
    throw peError(`size of headers ${sizeOfHeaders}`);
  return {
    image,
    machine: view.getUint16(coff, true),
    signatureOffset,
    optionalHeaderSize,
    sectionAlignment,
    fileAlignment,
    sizeOfHeaders,
    certificates,
    sections,
  };
}

/** The first section of that name: the one that counts where several share a name. */
export function findSection(pe: PeImage, name: string): PeSection | undefined {
  return pe.sections.find((section) => section.name === name);
}

/** The content of a section without the padding of the file. */
export function sectionContent(pe: PeImage, section: PeSection): Blob {
  return sliceBlob(pe.image, section.rawOffset, Math.min(section.virtualSize, section.rawSize));
}

function readSection(view: DataView, at: number, image: Blob): PeSection {
  const name = Buffer.from(view.buffer, view.byteOffset + at, 8).toString('latin1');
  const section: PeSection = {
    name: name.replace(/\0+$/, ''),
    virtualSize: view.getUint32(at + 8, true),
    virtualAddress: view.getUint32(at + 12, true),
    rawSize: view.getUint32(at + 16, true),
    rawOffset: view.getUint32(at + 20, true),
    characteristics: view.getUint32(at + 36, true),
  };
  if (section.rawSize > 0 && section.rawOffset + section.rawSize > image.size)
    throw peError(`section ${JSON.stringify(section.name)} lies beyond the end of the file`);
  return section;
}

function isAlignment(value: number): boolean {
  return value >= 1 && value <= 1 << 20 && (value & (value - 1)) === 0;
}
