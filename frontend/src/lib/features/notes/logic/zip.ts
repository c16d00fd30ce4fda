/** Creates uncompressed ZIP files of texts. */
export interface ZipEntry {
  readonly name: string;
  readonly text: string;
  readonly time: Date;
}

const VERSION = 20;
/** Flag that file names are UTF-8. */
const FLAGS = 0x0800;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

export function zip(entries: readonly ZipEntry[]): Uint8Array<ArrayBuffer>[] {
  const encoder = new TextEncoder();
  const local: Uint8Array<ArrayBuffer>[] = [];
  const central: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  for (const { name, text, time } of entries) {
    const bytes = encoder.encode(text);
    const called = encoder.encode(name);
    const about: Field[] = [
      [2, VERSION],
      [2, FLAGS],
      [2, 0],
      [4, dosTime(time)],
      [4, crc(bytes)],
      [4, bytes.length],
      [4, bytes.length],
      [2, called.length],
      [2, 0]
    ];
    const head = packed([4, 0x04034b50], ...about);
    local.push(head, called, bytes);
    central.push(packed([4, 0x02014b50], [2, VERSION], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), called);
    at += head.length + called.length + bytes.length;
  }
  const size = central.reduce((sum, { length }) => sum + length, 0);
  const count = entries.length;
  const end = packed([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]);
  return [...local, ...central, end];
}

/** Field of a ZIP structure: its size in bytes and its value. */
type Field = readonly [size: 2 | 4, value: number];

function packed(...fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (TABLE[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Local time in the format of DOS, which starts in 1980 and has a precision of two seconds. */
function dosTime(time: Date): number {
  const date = (Math.max(0, time.getFullYear() - 1980) << 9) | ((time.getMonth() + 1) << 5) | time.getDate();
  const clock = (time.getHours() << 11) | (time.getMinutes() << 5) | (time.getSeconds() >> 1);
  return ((date << 16) | clock) >>> 0;
}
