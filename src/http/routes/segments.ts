import { z } from 'zod';

/** Path parameters that several routes share, with their documentation. */
export const schematicParam = z.string().describe('Schematic id: 64 lower-case hex digits.');

export const versionParam = z
  .string()
  .describe('Talos version: semantic version with or without `v`, for example `v1.11.0`.');

export const DEFAULT_SCHEMATIC = '376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba';
