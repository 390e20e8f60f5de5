import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from './registry-faults.ts';
import type { Answer } from './registry-routes.ts';

/** Writes an answer, or what a fault makes of it. */
export async function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  fault: Fault | undefined,
): Promise<void> {
  if (fault?.kind === 'delay') await delay(fault.milliseconds);
  const headers = new Map(Object.entries(answer.headers));
  const { body } = answer;
  if (body instanceof Uint8Array && !headers.has('content-length')) {
    headers.set('content-length', String(body.length));
  }
  if (fault?.kind === 'without-headers') for (const name of fault.names) headers.delete(name);
  if (fault?.kind === 'headers')
    for (const [name, value] of Object.entries(fault.headers)) headers.set(name, value);
  response.writeHead(answer.status, Object.fromEntries(headers));
  if (request.method === 'HEAD' || body === undefined) {
    response.end();
    return;
  }
  let sent = 0;
  for await (const original of body instanceof Uint8Array ? [body] : body) {
    let chunk = original;
    if (fault?.kind === 'corrupt') {
      const at = (fault.at ?? 0) - sent;
      if (at >= 0 && at < chunk.length) {
        chunk = Uint8Array.from(chunk);
        chunk[at] = (chunk[at] ?? 0) ^ 0xff;
      }
    }
    if ((fault?.kind === 'truncate' || fault?.kind === 'stall') && sent + chunk.length > fault.after) {
      response.write(chunk.subarray(0, fault.after - sent));
      if (fault.kind === 'stall') return;
      // What was written leaves first, then the connection breaks.
      await delay(20);
      request.socket.destroy();
      return;
    }
    sent += chunk.length;
    if (response.destroyed) return;
    if (!response.write(chunk)) await drained(response);
  }
  response.end();
}

/** Until more can be written, or nothing can be any more. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
