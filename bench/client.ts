import { runProgram } from '../src/process/run.ts';

/** What a client sees of one download. */
export interface Download {
  /** Seconds from the start of the connection to the first byte of the answer's body. */
  readonly firstByte: number;
  /** Seconds to the last byte. */
  readonly total: number;
  /** Bytes. */
  readonly size: number;
}

/** Downloads with curl, which costs the factory's machine little; its clock starts when it connects. */
export async function curl(url: string, output: string): Promise<Download> {
  const format = '%{http_code} %{time_starttransfer} %{time_total} %{size_download}';
  const { stdout } = await runProgram({
    program: 'curl',
    args: ['--silent', '--show-error', '--noproxy', '*', '--output', output, '--write-out', format, url],
  });
  const [status, firstByte, total, size] = Buffer.from(stdout).toString().split(' ').map(Number);
  if (status !== 200 || firstByte === undefined || total === undefined || size === undefined) {
    throw new Error(`GET ${url} was answered with ${status}`);
  }
  return { firstByte, total, size };
}
