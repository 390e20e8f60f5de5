import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Posts a schematic (YAML or JSON text) and returns its ID. Throws with the answer when it is refused. */
export async function createSchematic(url: string, schematic: string): Promise<string> {
  const response = await fetch(`${url}/schematics`, { method: 'POST', body: schematic });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`POST /schematics: ${response.status} ${text}`);
  return (JSON.parse(text) as { id: string }).id;
}

/** Downloads a path to a file and returns its size in bytes. Throws unless the answer is 200 and whole. */
export async function download(url: string, path: string, file: string): Promise<number> {
  const response = await fetch(`${url}${path}`);
  if (response.status !== 200 || response.body === null) {
    throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  }
  const output = createWriteStream(file);
  await pipeline(Readable.fromWeb(response.body), output);
  const length = Number(response.headers.get('content-length'));
  if (output.bytesWritten !== length) {
    throw new Error(`GET ${path}: ${output.bytesWritten} bytes came, Content-Length is ${length}`);
  }
  return length;
}
