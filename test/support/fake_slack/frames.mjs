// The server side of RFC 6455, as strict or as lax as Slack's edge is. By hand and not by a library, since
// half of what a test needs (split headers, RST, unmasked frames, no reassembly) is what libraries prevent.
import crypto from 'node:crypto';

export const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;
export const MAX_CLIENT_FRAME = 20480;   // Slack closes with 1009 beyond it

export const acceptKey = key => crypto.createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');

export function encodeFrame(opcode, payload, { fin = true } = {}) {
  const body = Buffer.isBuffer(payload) ? payload : Buffer.from(payload ?? '');
  let head;
  if (body.length < 126) head = Buffer.from([0, body.length]);
  else if (body.length < 65536) { head = Buffer.alloc(4); head[1] = 126; head.writeUInt16BE(body.length, 2); }
  else { head = Buffer.alloc(10); head[1] = 127; head.writeBigUInt64BE(BigInt(body.length), 2); }
  head[0] = (fin ? 0x80 : 0) | opcode;
  return Buffer.concat([head, body]);
}

// One text message as frames of at most `size` bytes; cuts inside UTF-8 sequences, as the protocol allows.
export function encodeFragments(text, size) {
  const body = Buffer.from(text), out = [];
  for (let at = 0; at === 0 || at < body.length; at += size)
    out.push(encodeFrame(at === 0 ? TEXT : 0, body.subarray(at, at + size), { fin: at + size >= body.length }));
  return out;
}

export function encodeClose(code, reason = '') {
  const head = Buffer.alloc(2); head.writeUInt16BE(code);
  return encodeFrame(CLOSE, Buffer.concat([head, Buffer.from(reason)]));
}

// Bytes in, frames out. Throws { code, message } for what the peer must be closed for.
export class FrameParser {
  #buf = Buffer.alloc(0);

  push(chunk) {
    this.#buf = Buffer.concat([this.#buf, chunk]);
    const frames = [];
    for (let frame; (frame = this.#next());) frames.push(frame);
    return frames;
  }

  #next() {
    const b = this.#buf;
    if (b.length < 2) return null;
    const short = b[1] & 127, head = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0), masked = (b[1] & 128) !== 0;
    if (!masked) throw closeWith(1002, 'client frames must be masked');
    if (b[0] & 0x70) throw closeWith(1002, 'reserved bits without an extension');
    if (b.length < head) return null;
    const length = short === 126 ? b.readUInt16BE(2) : short === 127 ? Number(b.readBigUInt64BE(2)) : short;
    if (length > MAX_CLIENT_FRAME) throw closeWith(1009, `Max frame length of ${MAX_CLIENT_FRAME} has been exceeded.`);
    const opcode = b[0] & 15, fin = (b[0] & 128) !== 0;
    if (opcode >= 8 && (length > 125 || !fin)) throw closeWith(1002, 'bad control frame');
    if (b.length < head + 4 + length) return null;
    const mask = b.subarray(head, head + 4), payload = Buffer.from(b.subarray(head + 4, head + 4 + length));
    for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i & 3];
    this.#buf = b.subarray(head + 4 + length);
    return { fin, opcode, payload };
  }
}

const closeWith = (code, message) => Object.assign(new Error(message), { code });
